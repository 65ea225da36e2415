//! `POST /api/inventory/adjust`

use app_core::{
    http::{Actor, Administrator, ApiError, JsonResponse},
    idempotency::Idempotent,
    openapi::{Forbidden, IdempotencyKeyHeader, NotFound},
};
use axum::extract::State;

use super::change::change;
use crate::{
    InventoryState,
    model::{AdjustRequest, Changed},
};

/// Sets the quantity to what was counted. For administrators: the ledger then says what somebody claims, not what
/// happened.
#[utoipa::path(post, path = "", operation_id = "adjustStock", params(IdempotencyKeyHeader), request_body = AdjustRequest, responses(
    (status = 200, description = "The quantity is set", body = Changed),
    (status = 403, response = Forbidden),
    (status = 404, response = NotFound),
))]
pub(super) async fn adjust(
    State(state): State<InventoryState>,
    _: Administrator,
    actor: Actor,
    Idempotent { body: request, key }: Idempotent<AdjustRequest>,
) -> Result<JsonResponse, ApiError> {
    change(&state, &actor, &key, request.into_change()?).await
}
