//! `POST /api/inventory/decrement`

use app_core::{
    http::{Answer, ApiError, Author},
    idempotency::Once,
};
use axum::extract::State;

use super::change::change;
use crate::{
    InventoryState,
    model::{Effect, MoveRequest},
};

/// Takes pieces off the shelf.
pub(super) async fn decrement(
    State(state): State<InventoryState>,
    author: Author,
    Once { body: request, attempt }: Once<MoveRequest>,
) -> Result<Answer, ApiError> {
    change(&state, &author, &attempt, request.into_change(Effect::Take)?).await
}
