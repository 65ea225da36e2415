//! `GET /api/inventory/table/{table_name}`

use app_core::{
    db::is_missing_table,
    http::{ApiError, Path, Summary, json_object},
    openapi::NotFound,
};
use axum::{extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    InventoryState,
    model::{InventoryItem, ItemFilter, Table},
    store,
};

#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TableSummary {
    #[schema(value_type = Table)]
    table_name: &'static str,
    count: u64,
}

impl Summary<InventoryItem> for TableSummary {
    fn count(&mut self, _: &InventoryItem) {
        self.count += 1;
    }
}

// Describes the response in the OpenAPI document. The handler streams it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct TableItems {
    items: Vec<InventoryItem>,
    #[serde(flatten)]
    summary: TableSummary,
}

/// Lists all rows of one table.
///
/// The list is streamed. If it fails half-way, it ends without its closing bracket.
#[utoipa::path(get, path = "", operation_id = "listTable", params(("tableName" = inline(Table), Path, description = "One of the eleven tables")),
    responses((status = 200, body = TableItems), (status = 404, response = NotFound)))]
pub(super) async fn table(State(state): State<InventoryState>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let table = Table::parse(&name).map_err(|problem| ApiError::invalid("tableName", problem))?;
    let summary = TableSummary { table_name: table.name(), count: 0 };
    let items = || store::list_items(state.db.clone(), table, &ItemFilter::default());
    json_object("items", items, summary).await.map_err(not_found_if_missing)
}

/// Turns the error of a statement on a table that does not exist into a 404.
pub(super) fn not_found_if_missing(error: ApiError) -> ApiError {
    match error {
        ApiError::Database(error) if is_missing_table(&error) => ApiError::NotFound("Table not found.".to_owned()),
        error => error,
    }
}
