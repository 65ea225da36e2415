//! `POST /api/inventory/adjust`

use app_core::{
    http::{Actor, Administrator, ApiError, JsonResponse},
    idempotency::Idempotent,
    openapi::{Conflict, Forbidden, IdempotencyKeyHeader, NotFound},
};
use axum::extract::State;

use super::stock_change::change_stock;
use crate::{
    InventoryState,
    model::{StockAdjustmentRequest, StockChangeResponse},
};

/// Sets the quantity to the counted number, also if it was unknown. The response is 409 if the quantity is not `expectedQty`; its
/// `details.current.qty` and its message have the current one. Only administrators may do this, since such a
/// transaction records a claim and not an event.
#[utoipa::path(post, path = "", operation_id = "adjustStock", params(IdempotencyKeyHeader), request_body = StockAdjustmentRequest, responses(
    (status = 200, description = "The quantity is set", body = StockChangeResponse),
    (status = 403, response = Forbidden),
    (status = 404, response = NotFound),
    (status = 409, response = Conflict),
))]
pub(super) async fn adjust(
    State(state): State<InventoryState>,
    _: Administrator,
    actor: Actor,
    Idempotent { body: request, key }: Idempotent<StockAdjustmentRequest>,
) -> Result<JsonResponse, ApiError> {
    change_stock(&state, &actor, &key, request.into_change()?).await
}
