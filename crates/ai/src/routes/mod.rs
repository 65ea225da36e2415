//! The route table: every path of the function, and the handler that answers it.

mod chat;
mod clear_rate_limit;
mod health;

use app_core::{http::under_both_prefixes, openapi::Description, route_table};
use axum::Router;

use crate::AiState;

route_table! {
    /// The assistant.
    Assistant(AiState) {
        "/chat" => post(chat::chat),
        "/health" => get(health::health),
        "/clear-rate-limit" => post(clear_rate_limit::clear_rate_limit),
    }
}

/// Creates the router, without the layers around it.
pub fn router(state: AiState) -> Router {
    under_both_prefixes::<Assistant>("/ai").with_state(state)
}

/// Describes the routes for the OpenAPI document.
pub fn openapi() -> Description {
    Description::new("Assistant", "An AI assistant: a proxy for Anthropic's Messages API.")
        .examples(include_str!("examples.json"))
        .table::<Assistant>("/api/ai")
}
