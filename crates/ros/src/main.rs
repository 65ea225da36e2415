//! The `ros` Lambda function.

use std::process::ExitCode;

use app_core::{config::Env, lambda, telemetry};
use ros::RosConfig;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init();
    lambda::exit_code(serve().await)
}

async fn serve() -> Result<(), lambda::Error> {
    let config = RosConfig::read(Env::of_process())?;
    let state = config.state();
    lambda::serve(ros::router(state.clone()), &config.http, state.db.warm_up()).await
}
