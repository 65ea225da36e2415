//! The route table: every path of the function, and the handler that answers it.

mod conversation;
mod create;
mod delete;
mod delete_of_user;
mod list;
mod stats;
mod usage;

use app_core::{
    http::{ApiError, Caller, under_both_prefixes},
    openapi::Description,
    route_table,
};
use axum::Router;
use conversations::User;

use crate::AiLogsState;

route_table! {
    /// The log.
    Logs(AiLogsState) {
        "/" => get(list::list).post(create::create),
        "/conversation/{conversation_id}" => get(conversation::conversation),
        "/stats" => get(stats::stats),
        "/usage" => get(usage::usage),
        "/user/{user}" => delete(delete_of_user::delete_of_user),
        "/{id}" => delete(delete::delete),
    }
}

/// Creates the router, without the layers around it.
pub fn router(state: AiLogsState) -> Router {
    under_both_prefixes::<Logs>("/ai-logs").with_state(state)
}

/// Describes the routes for the OpenAPI document.
pub fn openapi() -> Description {
    let request = [("conversationId", "$request.body#/conversationId"), ("user", "$request.body#/user")];
    Description::new("AI logs", "The questions to the assistant and its answers.")
        .examples(include_str!("examples.json"))
        .table::<Logs>("/api/ai-logs")
        .links("createLog", 201, &[("id", "$response.body#/id"), request[0], request[1]])
        .links("listLogs", 200, &[("conversationId", "$response.body#/logs/0/conversationId")])
}

/// Returns the user whose entries the response shows, or `None` for the entries of all users. `user` is the user that the request
/// asks for, if any.
///
/// # Errors
/// [`ApiError::Forbidden`] if `caller` asks for the entries of somebody else and is no administrator.
fn visible_user(caller: &Caller, user: Option<User>) -> Result<Option<User>, ApiError> {
    match (conversations::owner(caller)?, user) {
        (Some(owner), Some(user)) if owner != user => {
            Err(caller.forbidden("Only administrators may see the questions of other users."))
        }
        (owner, user) => Ok(owner.or(user)),
    }
}
