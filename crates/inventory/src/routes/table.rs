//! `GET /api/inventory/table/{table_name}`

use app_core::{
    db::is_missing_table,
    http::{ApiError, Path, Summary, json_object},
};
use axum::{extract::State, response::Response};
use serde::Serialize;

use crate::{
    InventoryState,
    model::{Item, ItemFilter, Table},
    store,
};

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct TableSummary {
    table_name: &'static str,
    count: u64,
}

impl Summary<Item> for TableSummary {
    fn count(&mut self, _: &Item) {
        self.count += 1;
    }
}

/// All rows of one table.
pub(super) async fn table(State(state): State<InventoryState>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let table = Table::parse(&name).map_err(|problem| ApiError::invalid("tableName", problem))?;
    let summary = TableSummary { table_name: table.name(), count: 0 };
    let items = || store::list(state.db.clone(), table, ItemFilter::default());
    json_object("items", items, summary).await.map_err(|error| match error {
        ApiError::Database(error) if is_missing_table(&error) => ApiError::NotFound("Table not found.".to_owned()),
        error => error,
    })
}
