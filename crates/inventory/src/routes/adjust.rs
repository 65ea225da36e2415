//! `POST /api/inventory/adjust`

use app_core::http::{ApiError, Author, Json};
use axum::extract::State;

use super::change::change;
use crate::{
    InventoryState,
    model::{AdjustRequest, Changed},
};

/// Sets the quantity to what was counted.
pub(super) async fn adjust(
    State(state): State<InventoryState>,
    author: Author,
    Json(request): Json<AdjustRequest>,
) -> Result<Json<Changed>, ApiError> {
    change(&state, &author, request.into_change()?).await
}
