//! `POST /api/inventory/adjust`

use app_core::{
    http::{Administrator, Answer, ApiError, Author},
    idempotency::Once,
    openapi::{Forbidden, IdempotencyKey, NotFound},
};
use axum::extract::State;

use super::change::change;
use crate::{
    InventoryState,
    model::{AdjustRequest, Changed},
};

/// Sets the quantity to what was counted. For administrators: the ledger then says what somebody claims, not what
/// happened.
#[utoipa::path(post, path = "", operation_id = "adjustStock", params(IdempotencyKey), request_body = AdjustRequest, responses(
    (status = 200, description = "The quantity is set", body = Changed),
    (status = 403, response = Forbidden),
    (status = 404, response = NotFound),
))]
pub(super) async fn adjust(
    State(state): State<InventoryState>,
    _: Administrator,
    author: Author,
    Once { body: request, attempt }: Once<AdjustRequest>,
) -> Result<Answer, ApiError> {
    change(&state, &author, &attempt, request.into_change()?).await
}
