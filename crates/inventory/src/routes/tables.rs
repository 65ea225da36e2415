//! `GET /api/inventory/tables`

use app_core::{
    db,
    http::{ApiError, Json},
};
use axum::extract::State;

use crate::{InventoryState, model::Tables, store};

/// All tables, with how many rows they have.
#[utoipa::path(get, path = "", operation_id = "listTables", responses((status = 200, body = Tables)))]
pub(super) async fn tables(State(state): State<InventoryState>) -> Result<Json<Tables>, ApiError> {
    db::retry(|| async {
        let mut connection = state.db.acquire().await?;
        let tables = store::count_tables(&mut connection).await;
        connection.release_unless_lost(tables)
    })
    .await
    .map(Json)
}
