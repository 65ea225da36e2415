//! `GET /api/inventory/bins`

use app_core::http::{ApiError, Query, trimmed};
use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::stock_room::list_filtered;
use crate::{
    InventoryState,
    model::{InventoryItem, ItemFilter, Table},
};

/// The filters of the request. The response repeats them.
#[derive(Clone, Default, Deserialize, Serialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[schema(as = BinsFilters)]
#[serde(default)]
pub(super) struct Filters {
    /// The shelf.
    #[serde(deserialize_with = "trimmed")]
    location: Option<String>,
    /// The number of the bin.
    #[serde(deserialize_with = "trimmed")]
    bin: Option<String>,
    /// A text that the part number or the description contains.
    #[serde(deserialize_with = "trimmed")]
    search: Option<String>,
}

// Describes the response in the OpenAPI document. The handler streams it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct Bins {
    items: Vec<InventoryItem>,
    count: u64,
    filters: Filters,
}

/// Lists the parts in the bins. Parts must match all filters.
#[utoipa::path(get, path = "", operation_id = "listBins", params(Filters), responses((status = 200, body = Bins)))]
pub(super) async fn bins(
    State(state): State<InventoryState>,
    Query(filters): Query<Filters>,
) -> Result<Response, ApiError> {
    let Filters { location, bin, search } = filters.clone();
    list_filtered(state, Table::BinsInventory, ItemFilter { location, bin, search, condition: None }, filters).await
}
