//! `POST /api/inventory/adjust`

use app_core::http::{ApiError, Json};
use axum::extract::State;

use super::change::change;
use crate::{
    InventoryState,
    model::{AdjustRequest, Changed},
};

/// Sets the quantity to what was counted.
pub(super) async fn adjust(
    State(state): State<InventoryState>,
    Json(request): Json<AdjustRequest>,
) -> Result<Json<Changed>, ApiError> {
    change(&state, request.into_change()?).await
}
