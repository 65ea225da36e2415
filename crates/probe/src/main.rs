//! The `probe` Lambda function.

use std::process::ExitCode;

use app_core::lambda;
use lambda_runtime::service_fn;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::start(lambda_runtime::run(service_fn(probe::handle))).await
}
