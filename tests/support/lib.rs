//! Shared support for the tests: a real database server, a separate database for every test, and the functions'
//! routers.

#![allow(clippy::expect_used, clippy::panic, reason = "a failure here fails the test")]

pub mod anthropic;
pub mod app;
pub mod assistant;
pub mod cloudformation;
pub mod counters;
pub mod csv_file;
pub mod database;
pub mod dynamodb;
pub mod emulator;
pub mod failover;
pub mod gateway;
pub mod held_connections;
pub mod importer;
pub mod issuer;
pub mod metrics;
pub mod proxy;
pub mod runtime_api;
pub mod service;
pub mod stock;
pub mod tcp_proxy;
pub mod tls_server;
pub mod workbooks;
pub mod workload;

pub use app::{App, TestResponse};
pub use database::TestDatabase;
