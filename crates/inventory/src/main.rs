//! The `inventory` Lambda function.

use std::process::ExitCode;

use app_core::{config::Env, lambda};
use inventory::InventoryConfig;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::start(async {
        let config = InventoryConfig::read(Env::of_process())?;
        let state = config.state();
        lambda::serve(inventory::router(state.clone(), config.http.legacy_dashboard), &config.http, state.db.warm_up())
            .await
    })
    .await
}
