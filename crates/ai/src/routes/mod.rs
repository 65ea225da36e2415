//! The route table: every path of the function, and the handler that answers it.

mod chat;
mod clear_rate_limit;
mod health;

use app_core::http::under_both_prefixes;
use axum::{
    Router,
    routing::{get, post},
};

use crate::AiState;

/// All routes, without the layers around them.
pub fn router(state: AiState) -> Router {
    let ai = Router::new()
        .route("/chat", post(chat::chat))
        .route("/health", get(health::health))
        .route("/clear-rate-limit", post(clear_rate_limit::clear_rate_limit));
    under_both_prefixes("/ai", ai).with_state(state)
}
