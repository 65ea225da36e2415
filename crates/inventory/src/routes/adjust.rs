//! `POST /api/inventory/adjust`

use app_core::{
    http::{Answer, ApiError, Author},
    idempotency::Once,
};
use axum::extract::State;

use super::change::change;
use crate::{InventoryState, model::AdjustRequest};

/// Sets the quantity to what was counted.
pub(super) async fn adjust(
    State(state): State<InventoryState>,
    author: Author,
    Once { body: request, attempt }: Once<AdjustRequest>,
) -> Result<Answer, ApiError> {
    change(&state, &author, &attempt, request.into_change()?).await
}
