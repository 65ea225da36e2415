//! The `ai-logs` Lambda function.

use std::process::ExitCode;

use ai_logs::AiLogsConfig;
use app_core::{config::Env, lambda, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init();
    lambda::exit_code(serve().await)
}

async fn serve() -> Result<(), lambda::Error> {
    let config = AiLogsConfig::read(Env::of_process())?;
    let state = config.state();
    lambda::serve(ai_logs::router(state.clone()), &config.http, state.db.warm_up()).await
}
