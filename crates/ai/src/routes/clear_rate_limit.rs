//! `POST /api/ai/clear-rate-limit`

use app_core::{
    http::{Administrator, FieldProblems, Json},
    values::Trimmed,
};
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::{AiError, AiState};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    user_id: Option<Trimmed<255>>,
}

#[derive(Serialize)]
pub(super) struct Cleared {
    success: bool,
    message: String,
}

/// Lets a user ask again at once. For administrators.
pub(super) async fn clear_rate_limit(
    State(state): State<AiState>,
    _: Administrator,
    Json(Target { user_id }): Json<Target>,
) -> Result<Json<Cleared>, AiError> {
    let mut problems = FieldProblems::default();
    let user_id = problems.require("userId", user_id);
    let user_id = problems.finish(user_id)?;
    state.limiter.clear(&user_id).await?;
    Ok(Json(Cleared { success: true, message: format!("Rate limit cleared for {}", &*user_id) }))
}
