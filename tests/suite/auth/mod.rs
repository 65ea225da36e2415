//! Authentication and authorization.

mod emulator;
mod issuers;
mod keys;
mod ownership;
mod proxy;
mod roles;
mod tokens;
