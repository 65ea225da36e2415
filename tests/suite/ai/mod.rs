//! Tests of the `ai` function: one file per route, and files for rules that several routes share.

mod cache;
mod chat;
mod clear_rate_limit;
mod failures;
mod health;
mod logging;
mod streaming;
mod tokens;
