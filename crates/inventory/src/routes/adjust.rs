//! `POST /api/inventory/adjust`

use app_core::{
    http::{Administrator, Answer, ApiError, Author},
    idempotency::Once,
};
use axum::extract::State;

use super::change::change;
use crate::{InventoryState, model::AdjustRequest};

/// Sets the quantity to what was counted. For administrators: the ledger then says what somebody claims, not what
/// happened.
pub(super) async fn adjust(
    State(state): State<InventoryState>,
    _: Administrator,
    author: Author,
    Once { body: request, attempt }: Once<AdjustRequest>,
) -> Result<Answer, ApiError> {
    change(&state, &author, &attempt, request.into_change()?).await
}
