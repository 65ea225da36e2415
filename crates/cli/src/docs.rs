//! The `docs` Lambda function: serves Swagger UI, in which requests can be tried out. Only `cargo dev` runs it, on the
//! same origin as the other functions. It is not deployed.

use std::process::ExitCode;

use app_core::lambda::{self, Delivery};
use axum::{Router, http::header, routing::get};
use rotracker_cli::openapi;
use utoipa_swagger_ui::{Config, SwaggerUi};

const DESCRIPTION: &str = "/openapi.json";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::start(serve()).await
}

async fn serve() -> Result<(), lambda::Error> {
    let document = openapi::document()?;
    let page = SwaggerUi::new("/docs").config(
        Config::from(DESCRIPTION)
            .try_it_out_enabled(true)
            .display_operation_id(true)
            // The validator would send the description to a public server.
            .validator_url("none"),
    );
    let description = get(async || ([(header::CONTENT_TYPE, "application/json")], document));
    // The other functions' layers are not used, because they remove the trailing slash of the page's path.
    lambda::run(Router::from(page).route(DESCRIPTION, description), Delivery::Streaming).await
}
