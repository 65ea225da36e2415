//! Authentication and authorization.

mod emulator;
mod keys;
mod ownership;
mod roles;
mod tokens;
