//! `GET /api/inventory/stats`

use app_core::{
    db,
    http::{ApiError, Json},
};
use axum::extract::State;

use crate::{InventoryState, model::Stats, store};

/// Returns the figures of the index.
#[utoipa::path(get, path = "", operation_id = "getInventoryStats", responses((status = 200, body = Stats)))]
pub(super) async fn stats(State(state): State<InventoryState>) -> Result<Json<Stats>, ApiError> {
    db::read!(state.db, |connection| store::stats(connection).await).map(Json)
}
