//! What `rotracker` does: run the whole system on this machine, migrate databases, fill them with sample data, mend
//! the inventory's index, delete old entries of the AI log, describe the API. A library, so that the tests can use its parts.

pub mod cargo_lambda;
pub mod database_server;
pub mod dev;
pub mod dynamodb;
pub mod fake_anthropic;
pub mod fake_issuer;
pub mod local_client;
pub mod migrate;
pub mod openapi;
pub mod output;
pub mod programs;
pub mod prune_ai_logs;
pub mod reindex;
pub mod sam_local;
pub mod seed;
pub mod supervise;
