//! What `rotracker` does: run the whole system on this machine, migrate databases, fill them with sample data, mend
//! the inventory's index. A library, so that the tests can use its parts.

pub mod cargo_lambda;
pub mod database_server;
pub mod dev;
pub mod migrate;
pub mod programs;
pub mod reindex;
pub mod say;
pub mod seed;
pub mod supervise;
