//! What the tests share: a real database server, a database of its own for every test, and the functions' routers on
//! it. The support code reads as verbs: `app.create("RO1").await`.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends")]

pub mod anthropic;
pub mod app;
pub mod assistant;
pub mod counters;
pub mod database;
pub mod dynamodb;
pub mod emulator;
pub mod gateway;
pub mod held_connections;
pub mod issuer;
pub mod metrics;
pub mod proxy;
pub mod runtime_api;
pub mod stock;
pub mod tcp_proxy;

pub use app::{App, TestResponse};
pub use database::TestDatabase;
