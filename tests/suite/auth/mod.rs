//! Authentication and authorization.

mod emulator;
mod keys;
mod ownership;
mod proxy;
mod roles;
mod tokens;
