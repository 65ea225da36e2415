//! `GET /api/inventory/tables`

use app_core::{
    db,
    http::{ApiError, Json},
};
use axum::extract::State;

use crate::{InventoryState, model::Tables, store};

/// Lists the tables with their numbers of rows.
#[utoipa::path(get, path = "", operation_id = "listTables", responses((status = 200, body = Tables)))]
pub(super) async fn tables(State(state): State<InventoryState>) -> Result<Json<Tables>, ApiError> {
    db::read!(state.db, |connection| store::count_tables(connection).await).map(Json)
}
