//! What every function of the service shares, free of any domain's words: HTTP plumbing, configuration, the clock,
//! the database, telemetry and the Lambda runner.

pub mod clock;
pub mod config;
pub mod db;
mod digest;
pub mod http;
pub mod idempotency;
pub mod lambda;
pub mod metrics;
mod patch;
pub mod telemetry;
pub mod values;

pub use digest::Digest;
pub use patch::Patch;
