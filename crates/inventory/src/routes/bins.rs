//! `GET /api/inventory/bins`

use app_core::http::{ApiError, Query};
use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};

use super::stock_room::{filtered, given};
use crate::{
    InventoryState,
    model::{ItemFilter, Table},
};

/// What was asked for, as the answer echoes it.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Filters {
    location: Option<String>,
    bin: Option<String>,
    search: Option<String>,
}

/// Rows of the bins.
pub(super) async fn bins(
    State(state): State<InventoryState>,
    Query(filters): Query<Filters>,
) -> Result<Response, ApiError> {
    let filters = Filters { location: given(filters.location), bin: given(filters.bin), search: given(filters.search) };
    let filter = ItemFilter {
        location: filters.location.clone(),
        bin: filters.bin.clone(),
        search: filters.search.clone(),
        condition: None,
    };
    filtered(state, Table::BinsInventory, filter, filters).await
}
