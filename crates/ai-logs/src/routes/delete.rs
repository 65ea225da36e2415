//! `DELETE /api/ai-logs/{id}`

use app_core::{
    db::{self, Transaction},
    http::{ApiError, Caller, Json, Path},
    openapi::{Digits, NotFound},
    values::parse_id,
};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{AiLogsState, store};

#[derive(Serialize, ToSchema)]
#[schema(as = LogDeleted)]
pub(super) struct Deleted {
    success: bool,
    message: &'static str,
}

/// Deletes one entry for good. That of somebody else is not there, but for administrators.
#[utoipa::path(delete, path = "", operation_id = "deleteLog", params(("id" = inline(Digits), Path, description = "The entry's id")),
    responses((status = 200, description = "It is deleted", body = Deleted), (status = 404, response = NotFound)))]
pub(super) async fn delete(
    State(state): State<AiLogsState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Deleted>, ApiError> {
    let id = parse_id(&id).map_err(|problem| ApiError::invalid("id", problem))?;
    let owner = conversations::owner(&caller)?;
    let was_there = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let was_there = store::delete(&mut transaction, id, owner.as_ref()).await;
        transaction.commit_or_roll_back(was_there).await
    })
    .await?;
    if was_there {
        Ok(Json(Deleted { success: true, message: "Log deleted" }))
    } else {
        Err(ApiError::NotFound("Log not found".to_owned()))
    }
}
