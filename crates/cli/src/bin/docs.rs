//! The `docs` Lambda function: the documentation page. Only `cargo dev --lambda` runs it; it is not deployed.

use std::process::ExitCode;

use app_core::lambda::{self, Delivery, DeploymentCheck};
use rotracker_cli::docs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::start(async { lambda::run(docs::router()?, Delivery::Streaming, DeploymentCheck::new("docs")).await }).await
}
