//! `POST /api/inventory/increment`

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

/// Puts pieces on the shelf.
pub(super) async fn increment(
    State(state): State<InventoryState>,
    author: Author,
    Once { body: request, attempt }: Once<MoveRequest>,
) -> Result<Answer, ApiError> {
    change(&state, &author, &attempt, request.into_change(Effect::Add)?).await
}
