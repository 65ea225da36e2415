//! The route table: every path of the function, and the handler that answers it.

mod conversation;
mod create;
mod delete;
mod delete_of_user;
mod list;
mod stats;
mod usage;

use app_core::http::under_both_prefixes;
use axum::{
    Router,
    routing::{delete, get},
};

use crate::AiLogsState;

/// All routes, without the layers around them.
pub fn router(state: AiLogsState) -> Router {
    let logs = Router::new()
        .route("/", get(list::list).post(create::create))
        .route("/conversation/{conversation_id}", get(conversation::conversation))
        .route("/stats", get(stats::stats))
        .route("/usage", get(usage::usage))
        .route("/user/{user}", delete(delete_of_user::delete_of_user))
        .route("/{id}", delete(delete::delete));
    under_both_prefixes("/ai-logs", logs).with_state(state)
}
