//! The route table: every path of the function, and the handler that answers it.

mod conversation;
mod create;
mod delete;
mod delete_of_user;
mod list;
mod stats;
mod usage;

use app_core::http::{ApiError, Caller, under_both_prefixes};
use axum::{
    Router,
    routing::{delete, get},
};
use conversations::User;

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

/// Whose entries `caller` may see, where those of `user` are asked for.
fn owner_among(caller: &Caller, user: Option<&User>) -> Result<Option<User>, ApiError> {
    let owner = conversations::owner(caller)?;
    match (&owner, user) {
        (Some(owner), Some(user)) if owner != user => {
            Err(ApiError::Forbidden("Only administrators may see what others asked.".to_owned()))
        }
        _ => Ok(owner),
    }
}
