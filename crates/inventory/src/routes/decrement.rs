//! `POST /api/inventory/decrement`

use app_core::{
    http::{Actor, ApiError, JsonResponse},
    idempotency::Idempotent,
    openapi::{Conflict, IdempotencyKeyHeader, NotFound},
};
use axum::extract::State;

use super::change::change;
use crate::{
    InventoryState,
    model::{Changed, Effect, MoveRequest},
};

/// Takes pieces off the shelf.
#[utoipa::path(post, path = "", operation_id = "takeStock", params(IdempotencyKeyHeader), request_body = MoveRequest, responses(
    (status = 200, description = "Pieces are taken", body = Changed),
    (status = 404, response = NotFound),
    (status = 409, response = Conflict),
))]
pub(super) async fn decrement(
    State(state): State<InventoryState>,
    actor: Actor,
    Idempotent { body: request, key }: Idempotent<MoveRequest>,
) -> Result<JsonResponse, ApiError> {
    change(&state, &actor, &key, request.into_change(Effect::Take)?).await
}
