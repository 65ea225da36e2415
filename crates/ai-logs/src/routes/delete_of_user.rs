//! `DELETE /api/ai-logs/user/{user}`

use app_core::{
    db::{self, Transaction},
    http::{Administrator, ApiError, Json, Path},
    openapi::Forbidden,
};
use axum::extract::State;
use conversations::User;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{AiLogsState, store};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LogsDeleted)]
pub(super) struct Deleted {
    success: bool,
    deleted_count: u64,
}

/// Deletes all entries of a user for good; there may be none. For administrators.
#[utoipa::path(delete, path = "", operation_id = "deleteLogsOfUser", params(("user" = inline(User), Path, description = "Who asked")),
    responses((status = 200, description = "They are deleted", body = Deleted), (status = 403, response = Forbidden)))]
pub(super) async fn delete_of_user(
    State(state): State<AiLogsState>,
    Administrator(caller): Administrator,
    Path(user): Path<String>,
) -> Result<Json<Deleted>, ApiError> {
    let user = User::parse(&user).map_err(|problem| ApiError::invalid("user", problem))?;
    // Subjects are others when a byte is; names from before there were any, in whatever case, are one person's.
    let is_subject = caller.subject().is_some();
    let deleted_count = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let deleted = store::delete_of_user(&mut transaction, &user, is_subject).await;
        transaction.commit_or_roll_back(deleted).await
    })
    .await?;
    Ok(Json(Deleted { success: true, deleted_count }))
}
