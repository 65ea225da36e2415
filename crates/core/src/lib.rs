//! What every function of the service shares, free of any domain's words: HTTP plumbing, who asks, configuration, the
//! clock, the database, telemetry and the Lambda runner.

pub mod auth;
pub mod clock;
pub mod config;
pub mod db;
mod digest;
pub mod http;
pub mod idempotency;
pub mod lambda;
pub mod metrics;
pub mod openapi;
pub mod outbound;
mod patch;
pub mod telemetry;
pub mod values;

pub use digest::Digest;
pub use patch::Patch;
