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
        let routes = inventory::router(state.clone(), config.http.legacy_dashboard);
        // Nobody has such a part: figures and lists of everything would take longer.
        let check = DeploymentCheck::new("inventory")
            .get("search", &routes, "/api/inventory/search?partNumber=DEPLOYMENT-CHECK")
            .get("ledger", &routes, "/api/inventory/transactions?partNumber=DEPLOYMENT-CHECK&limit=1");
        lambda::serve(routes, &config.http, state.db.warm_up(), check).await
    })
    .await
}
