//! The `ai` Lambda function.

use std::process::ExitCode;

use ai::AiConfig;
use app_core::{config::Env, lambda};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::start(async {
        let config = AiConfig::read(Env::of_process())?;
        let state = config.state()?;
        lambda::serve(&config.http, state.warm_up(), || {
            let routes = ai::router(state.clone());
            let check = state.deployment_check().get("health", &routes, "/api/ai/health");
            (routes, check)
        })
        .await
    })
    .await
}
