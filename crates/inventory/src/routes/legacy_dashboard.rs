//! The routes under `/.netlify/functions/api/inventory` if `LEGACY_DASHBOARD` is true. Only the search differs from the routes under
//! `/api`: version 2.6 of the dashboard expects a bare list of parts, and takes every error for an outage.

use app_core::{
    db,
    http::{ApiError, Json, Query},
};
use axum::{
    Router,
    extract::State,
    routing::{get, post},
};

use super::{
    adjust, bins, decrement, export, increment, low_stock,
    search::{self, Parameters},
    stats, stock_room, table, tables, transactions,
};
use crate::{
    InventoryState,
    model::{FoundPart, PartNumber},
};

/// Returns the same paths and methods as the route table.
pub(super) fn routes() -> Router<InventoryState> {
    Router::new()
        .route("/search", get(search))
        .route("/export", get(export::export))
        .route("/table/{table_name}", get(table::table))
        .route("/stock-room", get(stock_room::stock_room))
        .route("/bins", get(bins::bins))
        .route("/tables", get(tables::tables))
        .route("/stats", get(stats::stats))
        .route("/low-stock", get(low_stock::low_stock))
        .route("/decrement", post(decrement::decrement))
        .route("/increment", post(increment::increment))
        .route("/adjust", post(adjust::adjust))
        .route("/transactions", get(transactions::transactions))
}

/// `GET /search`. The list is empty if nothing is found, also for a text that is no part number, such as a blank one.
async fn search(
    State(state): State<InventoryState>,
    Query(Parameters { part_number }): Query<Parameters>,
) -> Result<Json<Vec<FoundPart>>, ApiError> {
    let Ok(number) = PartNumber::parse(&part_number.unwrap_or_default()) else { return Ok(Json(Vec::new())) };
    let (results, _) = db::read!(state.db, |connection| search::find(connection, &number).await)?;
    Ok(Json(results))
}
