//! The `ros` Lambda function.

use std::process::ExitCode;

use app_core::{
    config::Env,
    lambda::{self, DeploymentCheck},
};
use ros::RosConfig;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::start(async {
        let config = RosConfig::read(Env::of_process())?;
        let state = config.state();
        lambda::serve(&config.http, state.db.warm_up(), || {
            let routes = ros::router(state.clone(), config.http.legacy_dashboard);
            let check =
                DeploymentCheck::new("ros").get("health", &routes, "/health").get("list", &routes, "/api/ros?limit=1");
            (routes, check)
        })
        .await
    })
    .await
}
