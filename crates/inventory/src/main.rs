//! The `inventory` Lambda function.

use std::process::ExitCode;

use app_core::{
    config::Env,
    lambda::{self, DeploymentCheck},
};
use inventory::InventoryConfig;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::start(async {
        let config = InventoryConfig::read(Env::of_process())?;
        let state = config.state();
        lambda::serve(&config.http, state.db.warm_up(), || {
            let routes = inventory::router(state.clone(), config.http.legacy_dashboard);
            // Both are short: the parts without a piece, of all tables, and the changes of a part that nobody has.
            let check = DeploymentCheck::new("inventory")
                .get("low stock", &routes, "/api/inventory/low-stock?threshold=1")
                .get("ledger", &routes, "/api/inventory/transactions?partNumber=DEPLOYMENT-CHECK&limit=1");
            (routes, check)
        })
        .await
    })
    .await
}
