//! `GET /api/inventory/stats`

use app_core::{
    db,
    http::{ApiError, Json},
};
use axum::extract::State;

use crate::{InventoryState, model::Stats, store};

/// The index in figures.
#[utoipa::path(get, path = "", operation_id = "getInventoryStats", responses((status = 200, body = Stats)))]
pub(super) async fn stats(State(state): State<InventoryState>) -> Result<Json<Stats>, ApiError> {
    db::retry(|| async {
        let mut connection = state.db.acquire().await?;
        let stats = store::stats(&mut connection).await;
        connection.release_unless_lost(stats)
    })
    .await
    .map(Json)
}
