//! `GET /api/inventory/stock-room`, and what the list of the bins has in common with it.

use app_core::http::{ApiError, Query, Summary, json_object};
use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};

use crate::{
    InventoryState,
    model::{Item, ItemFilter, Table},
    store,
};

/// What was asked for, as the answer echoes it.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Filters {
    location: Option<String>,
    condition: Option<String>,
    search: Option<String>,
}

/// Rows of the stock room.
pub(super) async fn stock_room(
    State(state): State<InventoryState>,
    Query(filters): Query<Filters>,
) -> Result<Response, ApiError> {
    let filters = Filters {
        location: given(filters.location),
        condition: given(filters.condition),
        search: given(filters.search),
    };
    let filter = ItemFilter {
        location: filters.location.clone(),
        condition: filters.condition.clone(),
        search: filters.search.clone(),
        bin: None,
    };
    filtered(state, Table::StockRoom, filter, filters).await
}

/// The text without the blanks around it; a blank one, such as an empty field of a form, filters nothing.
pub(super) fn given(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
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
