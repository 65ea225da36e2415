//! `POST /api/inventory/increment`

use app_core::http::{ApiError, Author, Json};
use axum::extract::State;

use super::change::change;
use crate::{
    InventoryState,
    model::{Changed, Effect, MoveRequest},
};

/// Puts pieces on the shelf.
pub(super) async fn increment(
    State(state): State<InventoryState>,
    author: Author,
    Json(request): Json<MoveRequest>,
) -> Result<Json<Changed>, ApiError> {
    change(&state, &author, request.into_change(Effect::Add)?).await
}
