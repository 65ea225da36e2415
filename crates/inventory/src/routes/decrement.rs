//! `POST /api/inventory/decrement`

use app_core::{
    http::{Answer, ApiError, Author},
    idempotency::Once,
    openapi::{Conflict, IdempotencyKey, NotFound},
};
use axum::extract::State;

use super::change::change;
use crate::{
    InventoryState,
    model::{Changed, Effect, MoveRequest},
};

/// Takes pieces off the shelf.
#[utoipa::path(post, path = "", operation_id = "takeStock", params(IdempotencyKey), request_body = MoveRequest, responses(
    (status = 200, description = "Pieces are taken", body = Changed),
    (status = 404, response = NotFound),
    (status = 409, response = Conflict),
))]
pub(super) async fn decrement(
    State(state): State<InventoryState>,
    author: Author,
    Once { body: request, attempt }: Once<MoveRequest>,
) -> Result<Answer, ApiError> {
    change(&state, &author, &attempt, request.into_change(Effect::Take)?).await
}
