//! The commands of `rotracker`. It serves the API, runs the whole system on this machine, migrates databases, fills them with sample
//! data, exports them, compares what must agree in them, repairs the inventory's index, deletes old entries of the AI log, examines an
//! installation, tests a deployed API, and prints the API description. The commands are in a library, so that the tests can use them.

pub mod cargo_lambda;
pub mod check;
pub mod database_server;
pub mod dev;
pub mod docs;
pub mod doctor;
pub mod dynamodb;
pub mod export;
pub mod fake_anthropic;
pub mod fake_issuer;
pub mod import;
pub mod local_client;
pub mod migrate;
pub mod openapi;
pub mod output;
pub mod programs;
pub mod prune_ai_logs;
pub mod reindex;
pub mod sam_local;
pub mod seed;
pub mod serve;
mod signals;
pub mod smoke;
mod snapshot;
pub mod supervise;
