//! The `ros` Lambda function.

use std::process::ExitCode;

use app_core::{config::Env, lambda};
use ros::RosConfig;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::start(async {
        let config = RosConfig::read(Env::of_process())?;
        let state = config.state();
        lambda::serve(ros::router(state.clone(), config.http.legacy_dashboard), &config.http, state.db.warm_up()).await
    })
    .await
}
