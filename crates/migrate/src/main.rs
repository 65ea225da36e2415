//! The `migrate` Lambda function.

use std::process::ExitCode;

use app_core::lambda;
use lambda_runtime::service_fn;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Nothing else happens here that could fail, because CloudFormation would then wait up to an hour for a response.
    lambda::start(lambda_runtime::run(service_fn(migrate::function::handle))).await
}
