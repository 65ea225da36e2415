//! `DELETE /api/ai-logs/user/{user}`

use app_core::{
    db,
    http::{Administrator, ApiError, Json, Path},
    openapi::Forbidden,
};
use axum::extract::State;
use conversations::{User, UserName};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{AiLogsState, store};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogsDeleted {
    success: bool,
    deleted_count: u64,
}

/// Deletes all entries of a user for good; there may be none. Only administrators may do this.
#[utoipa::path(delete, path = "", operation_id = "deleteLogsOfUser", params(("user" = inline(UserName), Path, description = "The user who asked")),
    responses((status = 200, description = "The entries are deleted", body = LogsDeleted), (status = 403, response = Forbidden)))]
pub(super) async fn delete_of_user(
    State(state): State<AiLogsState>,
    Administrator(caller): Administrator,
    Path(user): Path<String>,
) -> Result<Json<LogsDeleted>, ApiError> {
    let user = User::named_by(&caller, &user).map_err(|problem| ApiError::invalid("user", problem))?;
    let deleted_count = db::transaction!(state.db, |connection| store::delete_of_user(connection, &user).await)?;
    Ok(Json(LogsDeleted { success: true, deleted_count }))
}
