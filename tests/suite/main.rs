//! The integration tests. Every test has a database of its own on a real server. Some start the real binaries, such as those in
//! `emulator`, `failover`, `framing`, `freeze` and `serve`.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]
#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod accounts;
mod ai;
mod ai_limiter;
mod ai_logs;
mod ai_outages;
mod ai_tokens;
mod auth;
mod check;
mod concurrency;
mod cursors;
mod dashboard;
mod database_errors;
mod dev;
mod doctor;
mod emulator;
mod examples;
mod export;
mod export_since;
mod failover;
mod failures;
mod faults;
mod framing;
mod freeze;
mod guards;
mod http;
mod idempotency;
mod import;
mod inventory;
mod legacy_dashboard;
mod migrate;
mod migrate_function;
mod observability;
mod openapi;
mod probe;
mod released_migrations;
mod restore;
mod ros;
mod serve;
mod smoke;
mod statements;
mod tls;
mod variables;
