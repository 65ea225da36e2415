//! `DELETE /api/ai-logs/user/{user}`

use app_core::{
    db::{self, Transaction},
    http::{Administrator, ApiError, Json, Path},
};
use axum::extract::State;
use conversations::User;
use serde::Serialize;

use crate::{AiLogsState, store};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deleted {
    success: bool,
    deleted_count: u64,
}

/// Deletes all entries of a user for good; there may be none. For administrators.
pub(super) async fn delete_of_user(
    State(state): State<AiLogsState>,
    _: Administrator,
    Path(user): Path<String>,
) -> Result<Json<Deleted>, ApiError> {
    let user = User::parse(&user).map_err(|problem| ApiError::invalid("user", problem))?;
    let deleted_count = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let deleted = store::delete_of_user(&mut transaction, &user).await;
        transaction.end(deleted).await
    })
    .await?;
    Ok(Json(Deleted { success: true, deleted_count }))
}
