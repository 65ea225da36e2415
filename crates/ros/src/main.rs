//! The `ros` Lambda function.

use app_core::{config::Env, db, http::with_layers, lambda, lambda::Delivery, telemetry};
use ros::RosConfig;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    telemetry::init();
    let config = RosConfig::read(Env::of_process()).inspect_err(|error| tracing::error!("{error}"))?;
    let state = config.state();
    db::warm_up(&state.db).await;
    let delivery = Delivery::of_process();
    lambda::run(with_layers(ros::router(state), &config.http, delivery), delivery).await
}
