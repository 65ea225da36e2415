//! The code that all functions share, without a word of any domain: HTTP, authentication, configuration, the clock, the database,
//! logs and metrics, the OpenAPI document and the Lambda runner.

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
mod sockets;
pub mod telemetry;
pub mod values;

pub use digest::Digest;
pub use patch::Patch;
