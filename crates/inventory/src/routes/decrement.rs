//! `POST /api/inventory/decrement`

use app_core::{
    http::{Actor, ApiError, JsonResponse},
    idempotency::Idempotent,
    openapi::{Conflict, IdempotencyKeyHeader, NotFound},
};
use axum::extract::State;

use super::stock_change::change_stock;
use crate::{
    InventoryState,
    model::{QuantityChange, StockChangeResponse, StockMoveRequest},
};

/// Takes pieces from the stock. The response is 409 if there are fewer, or if the quantity is unknown.
#[utoipa::path(post, path = "", operation_id = "takeStock", params(IdempotencyKeyHeader), request_body = StockMoveRequest, responses(
    (status = 200, description = "Pieces are taken", body = StockChangeResponse),
    (status = 404, response = NotFound),
    (status = 409, response = Conflict),
))]
pub(super) async fn decrement(
    State(state): State<InventoryState>,
    actor: Actor,
    Idempotent { body: request, key }: Idempotent<StockMoveRequest>,
) -> Result<JsonResponse, ApiError> {
    change_stock(&state, &actor, &key, request.into_change(QuantityChange::Take)?).await
}
