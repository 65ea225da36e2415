//! `POST /api/ai/clear-rate-limit`

use app_core::{
    http::{Administrator, FieldProblems, Json},
    openapi::Forbidden,
};
use axum::extract::State;
use conversations::{User, UserName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AiError, AiState};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RateLimitTarget {
    /// The user who may ask again.
    #[schema(value_type = UserName)]
    user_id: Option<UserName>,
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
    Administrator(caller): Administrator,
    Json(RateLimitTarget { user_id }): Json<RateLimitTarget>,
) -> Result<Json<RateLimitCleared>, AiError> {
    let mut problems = FieldProblems::default();
    let user_id = problems.require("userId", user_id.as_deref());
    let user = problems.parse("userId", user_id, |user_id| User::named_by(&caller, user_id));
    let user = problems.finish(user)?;
    state.limiter.clear(&user).await?;
    Ok(Json(RateLimitCleared { success: true, message: format!("Rate limit cleared for {}", &*user) }))
}
