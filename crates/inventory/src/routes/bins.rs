//! `GET /api/inventory/bins`

use app_core::http::{ApiError, Query, given};
use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};

use super::stock_room::filtered;
use crate::{
    InventoryState,
    model::{ItemFilter, Table},
};

/// What was asked for, as the answer echoes it.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Filters {
    #[serde(deserialize_with = "given")]
    location: Option<String>,
    #[serde(deserialize_with = "given")]
    bin: Option<String>,
    #[serde(deserialize_with = "given")]
    search: Option<String>,
}

/// Rows of the bins.
pub(super) async fn bins(
    State(state): State<InventoryState>,
    Query(filters): Query<Filters>,
) -> Result<Response, ApiError> {
    let Filters { location, bin, search } = filters.clone();
    filtered(state, Table::BinsInventory, ItemFilter { location, bin, search, condition: None }, filters).await
}
