//! `GET /api/inventory/stats`

use app_core::{
    db,
    http::{ApiError, Json},
};
use axum::extract::State;
use chrono::TimeDelta;

use crate::{InventoryState, model::Stats, store};

/// The period of `recentTransactions`.
const RECENT_PERIOD: TimeDelta = TimeDelta::days(30);

/// Returns the figures of the index.
#[utoipa::path(get, path = "", operation_id = "getInventoryStats", responses((status = 200, body = Stats)))]
pub(super) async fn stats(State(state): State<InventoryState>) -> Result<Json<Stats>, ApiError> {
    let since = state.clock.now() - RECENT_PERIOD;
    db::read!(state.db, |connection| store::stats(connection, since).await).map(Json)
}
