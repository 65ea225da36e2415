//! `DELETE /api/ai-logs/{id}`

use app_core::{
    db,
    http::{ApiError, Caller, Json, Path},
    openapi::{Digits, NotFound},
    values::parse_id,
};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{AiLogsState, store};

#[derive(Serialize, ToSchema)]
pub(super) struct LogDeleted {
    success: bool,
    message: &'static str,
}

/// Deletes an entry for good. Entries of other users are 404, except for administrators.
#[utoipa::path(delete, path = "", operation_id = "deleteLog", params(("id" = inline(Digits), Path, description = "The entry's id")),
    responses((status = 200, description = "The entry is deleted", body = LogDeleted), (status = 404, response = NotFound)))]
pub(super) async fn delete(
    State(state): State<AiLogsState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<LogDeleted>, ApiError> {
    let id = parse_id(&id).map_err(|problem| ApiError::invalid("id", problem))?;
    let owner = conversations::owner(&caller)?;
    let existed = db::transaction!(state.db, |connection| store::delete(connection, id, owner.as_ref()).await)?;
    if existed {
        Ok(Json(LogDeleted { success: true, message: "Log deleted" }))
    } else {
        Err(ApiError::NotFound("Log not found".to_owned()))
    }
}
