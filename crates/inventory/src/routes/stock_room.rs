//! `GET /api/inventory/stock-room`, and what the list of the bins has in common with it.

use app_core::http::{ApiError, Query, Summary, json_object, non_blank};
use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    InventoryState,
    model::{Item, ItemFilter, Table},
    store,
};

/// What was asked for, as the answer echoes it.
#[derive(Clone, Default, Deserialize, Serialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[schema(as = StockRoomFilters)]
#[serde(default)]
pub(super) struct Filters {
    /// The shelf.
    #[serde(deserialize_with = "non_blank")]
    location: Option<String>,
    /// `SV`, `AR`, `OH` and the like.
    #[serde(deserialize_with = "non_blank")]
    condition: Option<String>,
    /// A part of the part's number or description.
    #[serde(deserialize_with = "non_blank")]
    search: Option<String>,
}

// The answer, for the description: it is written as it is read.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct StockRoom {
    items: Vec<Item>,
    count: u64,
    filters: Filters,
}

/// Rows of the stock room.
#[utoipa::path(get, path = "", operation_id = "listStockRoom", params(Filters), responses((status = 200, body = StockRoom)))]
pub(super) async fn stock_room(
    State(state): State<InventoryState>,
    Query(filters): Query<Filters>,
) -> Result<Response, ApiError> {
    let Filters { location, condition, search } = filters.clone();
    filtered(state, Table::StockRoom, ItemFilter { location, condition, search, bin: None }, filters).await
}

#[derive(Clone, Serialize)]
struct FilteredSummary<F> {
    count: u64,
    filters: F,
}

impl<F: Serialize + Clone + Send + Sync + 'static> Summary<Item> for FilteredSummary<F> {
    fn count(&mut self, _: &Item) {
        self.count += 1;
    }
}

/// The rows of `table` that `filter` lets through; `filters` is echoed.
pub(super) async fn filtered<F: Serialize + Clone + Send + Sync + 'static>(
    state: InventoryState,
    table: Table,
    filter: ItemFilter,
    filters: F,
) -> Result<Response, ApiError> {
    let summary = FilteredSummary { count: 0, filters };
    json_object("items", || store::list(state.db.clone(), table, filter.clone()), summary).await
}
