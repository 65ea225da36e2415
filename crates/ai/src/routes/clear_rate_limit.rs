//! `POST /api/ai/clear-rate-limit`

use app_core::{
    http::{Administrator, FieldProblems, Json},
    openapi::Forbidden,
    values::TrimmedText,
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AiError, AiState};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RateLimitTarget {
    /// The user who may ask again.
    #[schema(value_type = TrimmedText<255>)]
    user_id: Option<TrimmedText<255>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct RateLimitCleared {
    success: bool,
    message: String,
}

/// Clears the rate limit of a user, but not the tokens of the day. Only administrators may do this. Other instances follow within
/// three seconds.
#[utoipa::path(post, path = "", operation_id = "clearRateLimit", request_body = RateLimitTarget, responses(
    (status = 200, description = "The user may ask again", body = RateLimitCleared),
    (status = 403, response = Forbidden),
))]
pub(super) async fn clear_rate_limit(
    State(state): State<AiState>,
    _: Administrator,
    Json(RateLimitTarget { user_id }): Json<RateLimitTarget>,
) -> Result<Json<RateLimitCleared>, AiError> {
    let mut problems = FieldProblems::default();
    let user_id = problems.require("userId", user_id);
    let user_id = problems.finish(user_id)?;
    state.limiter.clear(&user_id).await?;
    Ok(Json(RateLimitCleared { success: true, message: format!("Rate limit cleared for {}", &*user_id) }))
}
