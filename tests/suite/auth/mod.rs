//! Who asks, and what they may do.

mod emulator;
mod keys;
mod ownership;
mod roles;
mod tokens;
