//! The `docs` Lambda function: the API's documentation page, where requests can be tried out. Only `cargo dev` runs it, on
//! the same origin as the others; it is not deployed.

use std::process::ExitCode;

use app_core::{
    lambda::{self, Delivery},
    telemetry,
};
use axum::{Router, http::header, routing::get};
use rotracker_cli::openapi;
use utoipa_swagger_ui::{Config, SwaggerUi};

const DESCRIPTION: &str = "/openapi.json";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init();
    lambda::exit_code(serve().await)
}

async fn serve() -> Result<(), lambda::Error> {
    let document = openapi::document()?;
    let page = SwaggerUi::new("/docs").config(
        Config::from(DESCRIPTION)
            .try_it_out_enabled(true)
            .display_operation_id(true)
            // It would ask a server on the Internet.
            .validator_url("none"),
    );
    let description = get(async || ([(header::CONTENT_TYPE, "application/json")], document));
    // Without the layers around the other functions: they take slashes off the ends of paths, and the page needs its one.
    lambda::run(Router::from(page).route(DESCRIPTION, description), Delivery::Streaming).await
}
