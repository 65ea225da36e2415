//! `POST /api/ai/clear-rate-limit`

use app_core::{
    http::{Administrator, FieldProblems, Json},
    openapi::Forbidden,
    values::Trimmed,
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AiError, AiState};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RateLimitTarget)]
pub(super) struct Target {
    /// Who may ask again.
    #[schema(value_type = Trimmed<255>)]
    user_id: Option<Trimmed<255>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RateLimitCleared)]
pub(super) struct Cleared {
    success: bool,
    message: String,
}

/// Lets a user ask again at once. For administrators.
#[utoipa::path(post, path = "", operation_id = "clearRateLimit", request_body = Target, responses(
    (status = 200, description = "The user may ask", body = Cleared),
    (status = 403, response = Forbidden),
))]
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
