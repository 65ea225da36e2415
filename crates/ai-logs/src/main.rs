//! The `ai-logs` Lambda function.

use std::process::ExitCode;

use ai_logs::AiLogsConfig;
use app_core::{config::Env, lambda};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::start(async {
        let config = AiLogsConfig::read(Env::of_process())?;
        let state = config.state();
        lambda::serve(ai_logs::router(state.clone()), &config.http, state.db.warm_up()).await
    })
    .await
}
