//! `POST /api/inventory/increment`

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

/// Adds pieces to the stock. The response is 409 if the quantity is unknown.
#[utoipa::path(post, path = "", operation_id = "addStock", params(IdempotencyKeyHeader), request_body = StockMoveRequest, responses(
    (status = 200, description = "Pieces are added", body = StockChangeResponse),
    (status = 404, response = NotFound),
    (status = 409, response = Conflict),
))]
pub(super) async fn increment(
    State(state): State<InventoryState>,
    actor: Actor,
    Idempotent { body: request, key }: Idempotent<StockMoveRequest>,
) -> Result<JsonResponse, ApiError> {
    change_stock(&state, &actor, &key, request.into_change(QuantityChange::Add)?).await
}
