//! `GET /api/inventory/bins`

use app_core::http::{ApiError, Query, non_blank};
use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::stock_room::filtered;
use crate::{
    InventoryState,
    model::{Item, ItemFilter, Table},
};

/// What was asked for, as the answer echoes it.
#[derive(Clone, Default, Deserialize, Serialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[schema(as = BinsFilters)]
#[serde(default)]
pub(super) struct Filters {
    /// The shelf.
    #[serde(deserialize_with = "non_blank")]
    location: Option<String>,
    /// The bin's number.
    #[serde(deserialize_with = "non_blank")]
    bin: Option<String>,
    /// A part of the part's number or description.
    #[serde(deserialize_with = "non_blank")]
    search: Option<String>,
}

// The answer, for the description: it is written as it is read.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct Bins {
    items: Vec<Item>,
    count: u64,
    filters: Filters,
}

/// Rows of the bins.
#[utoipa::path(get, path = "", operation_id = "listBins", params(Filters), responses((status = 200, body = Bins)))]
pub(super) async fn bins(
    State(state): State<InventoryState>,
    Query(filters): Query<Filters>,
) -> Result<Response, ApiError> {
    let Filters { location, bin, search } = filters.clone();
    filtered(state, Table::BinsInventory, ItemFilter { location, bin, search, condition: None }, filters).await
}
