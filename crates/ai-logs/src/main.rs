//! The `ai-logs` Lambda function.

use std::process::ExitCode;

use ai_logs::AiLogsConfig;
use app_core::{
    config::Env,
    lambda::{self, DeploymentCheck},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::start(async {
        let config = AiLogsConfig::read(Env::of_process())?;
        let state = config.state();
        lambda::serve(&config.http, state.db.warm_up(), || {
            let routes = ai_logs::router(state.clone());
            let check = DeploymentCheck::new("ai-logs").get("list", &routes, "/api/ai-logs?limit=1");
            (routes, check)
        })
        .await
    })
    .await
}
