//! `GET /api/inventory/stock-room`, and the list that it shares with `bins`.

use app_core::http::{ApiError, Query, Summary, json_object, trimmed};
use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    InventoryState,
    model::{InventoryItem, ItemFilter, Table},
    store,
};

/// The filters of the request. The response repeats them.
#[derive(Clone, Default, Deserialize, Serialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[schema(as = StockRoomFilters)]
#[serde(default)]
pub(super) struct Filters {
    /// The shelf.
    #[serde(deserialize_with = "trimmed")]
    location: Option<String>,
    /// The condition, such as `SV`, `AR` or `OH`.
    #[serde(deserialize_with = "trimmed")]
    condition: Option<String>,
    /// A text that the part number or the description contains.
    #[serde(deserialize_with = "trimmed")]
    search: Option<String>,
}

// Describes the response in the OpenAPI document. The handler streams it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct StockRoom {
    items: Vec<InventoryItem>,
    count: u64,
    filters: Filters,
}

/// Lists the parts in the stock room. Parts must match all filters.
#[utoipa::path(get, path = "", operation_id = "listStockRoom", params(Filters), responses((status = 200, body = StockRoom)))]
pub(super) async fn stock_room(
    State(state): State<InventoryState>,
    Query(filters): Query<Filters>,
) -> Result<Response, ApiError> {
    let Filters { location, condition, search } = filters.clone();
    list_filtered(state, Table::StockRoom, ItemFilter { location, condition, search, bin: None }, filters).await
}

#[derive(Clone, Serialize)]
struct FilteredSummary<F> {
    count: u64,
    filters: F,
}

impl<F: Serialize + Clone + Send + Sync + 'static> Summary<InventoryItem> for FilteredSummary<F> {
    fn count(&mut self, _: &InventoryItem) {
        self.count += 1;
    }
}

/// Lists the rows of `table` that `filter` selects, and repeats `filters`.
pub(super) async fn list_filtered<F: Serialize + Clone + Send + Sync + 'static>(
    state: InventoryState,
    table: Table,
    filter: ItemFilter,
    filters: F,
) -> Result<Response, ApiError> {
    let summary = FilteredSummary { count: 0, filters };
    json_object("items", || store::list_items(state.db.clone(), table, &filter), summary).await
}
