//! The assistant, a file for each path, and what concerns several of them.

mod chat;
mod clear_rate_limit;
mod failures;
mod health;
mod logging;
mod streaming;
