//! `GET /api/inventory/stock-room`, and what the list of the bins has in common with it.

use app_core::http::{ApiError, Query, Summary, given, json_object};
use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};

use crate::{
    InventoryState,
    model::{Item, ItemFilter, Table},
    store,
};

/// What was asked for, as the answer echoes it.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Filters {
    #[serde(deserialize_with = "given")]
    location: Option<String>,
    #[serde(deserialize_with = "given")]
    condition: Option<String>,
    #[serde(deserialize_with = "given")]
    search: Option<String>,
}

/// Rows of the stock room.
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
