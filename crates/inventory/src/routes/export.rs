//! `GET /api/inventory/export`

use app_core::{
    http::{ApiError, FieldProblems, Query, csv_file, trimmed},
    openapi::NotFound,
};
use axum::{extract::State, response::Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::table::not_found_if_missing;
use crate::{
    InventoryState,
    model::{ExportedTable, FoundPart, InventoryItem, ItemFilter, Table},
    store,
};

#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parameters {
    /// The table; by default the index, which has the parts of all eleven tables.
    #[serde(deserialize_with = "trimmed")]
    #[param(value_type = Option<ExportedTable>, inline)]
    table_name: Option<String>,
    /// The shelf.
    #[serde(deserialize_with = "trimmed")]
    location: Option<String>,
    /// The condition, such as `SV`, `AR` or `OH`.
    #[serde(deserialize_with = "trimmed")]
    condition: Option<String>,
    /// The number of the bin. Only `bins_inventory` has bins, so the response is 400 with another table.
    #[serde(deserialize_with = "trimmed")]
    bin: Option<String>,
    /// A text that the part number or the description contains.
    #[serde(deserialize_with = "trimmed")]
    search: Option<String>,
}

impl Parameters {
    fn parse(self) -> Result<(ExportedTable, ItemFilter), ApiError> {
        let Self { table_name, location, condition, bin, search } = self;
        let mut problems = FieldProblems::default();
        let table = problems.parse("tableName", table_name.as_deref(), ExportedTable::parse);
        let table = table.unwrap_or(ExportedTable::Index);
        if bin.is_some() && table != ExportedTable::Parts(Table::BinsInventory) {
            problems.add("bin", "needs the tableName bins_inventory, since no other table has bins");
        }
        problems.into_result()?;
        Ok((table, ItemFilter { location, condition, bin, search }))
    }
}

/// Exports the rows of one table, or of the index of all parts, that pass every filter, as a CSV file sorted by part number.
///
/// The file is in UTF-8 with a byte order mark, as Excel expects it. The headings are the names of the JSON members: those of
/// `GET /api/inventory/table/{tableName}`, or those of search results for the index. A text that begins with `=`, `+`, `-`, `@`, an
/// apostrophe, a tab or a carriage return has one more apostrophe before it, so that no spreadsheet takes it for a formula.
///
/// The file is streamed. If that fails half-way, the connection is cut.
#[utoipa::path(get, path = "", operation_id = "exportParts", params(Parameters), responses(
    (status = 200, description = "The parts as a CSV file", body = String, content_type = "text/csv",
        headers(("Content-Disposition"))),
    (status = 404, response = NotFound),
))]
pub(super) async fn export(
    State(state): State<InventoryState>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let (table, filter) = parameters.parse()?;
    let name = format!("{}-{}.csv", table.name(), state.clock.today());
    let file = match table {
        ExportedTable::Index => {
            csv_file(&name, &FoundPart::default(), || store::list_index(state.db.clone(), &filter)).await
        }
        ExportedTable::Parts(table) => {
            let items = || store::list_items(state.db.clone(), table, &filter);
            csv_file(&name, &InventoryItem::blank(table), items).await
        }
    };
    file.map_err(not_found_if_missing)
}
