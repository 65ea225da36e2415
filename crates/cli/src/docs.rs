//! The documentation page of the API: Swagger UI, in which requests can be tried out.

use anyhow::Result;
use axum::{Router, http::header, routing::get};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::openapi;

const DESCRIPTION: &str = "/openapi.json";

/// Returns the routes of the page, `/docs` and `/openapi.json`. They go without the functions' layers, because one of those removes
/// trailing slashes and the page is at `/docs/`.
///
/// # Errors
/// When two functions describe the same thing differently.
pub fn router() -> Result<Router> {
    let document = openapi::document()?;
    let page = SwaggerUi::new("/docs").config(
        Config::from(DESCRIPTION)
            .try_it_out_enabled(true)
            .display_operation_id(true)
            // Swagger's online validator would send the description to a public server.
            .validator_url("none"),
    );
    let description = get(async || ([(header::CONTENT_TYPE, "application/json")], document));
    Ok(Router::from(page).route(DESCRIPTION, description))
}
