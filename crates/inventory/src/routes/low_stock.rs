//! `GET /api/inventory/low-stock`

use app_core::{
    http::{ApiError, FieldProblems, Query, json_object},
    values::BoundedInt,
};
use axum::{extract::State, response::Response};
use chrono::TimeDelta;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    InventoryState,
    model::{LOW_STOCK, LowStockItem, LowStockSummary, Quantity},
    store,
};

/// The days over which use is counted (design, reading 17).
const USAGE_PERIOD: TimeDelta = TimeDelta::days(90);

/// Query parameters, as text, so that each can be named when it is wrong.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Parts of which there are fewer are listed; 5 unless given.
    #[param(value_type = Option<Quantity>, inline)]
    threshold: Option<String>,
}

// The answer, for the description: it is written as it is read.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct LowStock {
    items: Vec<LowStockItem>,
    #[serde(flatten)]
    summary: LowStockSummary,
}

/// What there is too little of, the most urgent first.
#[utoipa::path(get, path = "", operation_id = "listLowStock", params(Parameters), responses((status = 200, body = LowStock)))]
pub(super) async fn low_stock(
    State(state): State<InventoryState>,
    Query(Parameters { threshold }): Query<Parameters>,
) -> Result<Response, ApiError> {
    let mut problems = FieldProblems::default();
    let threshold = problems.parse("threshold", threshold.as_deref(), Quantity::parse);
    problems.into_result()?;
    let threshold = threshold.map_or(LOW_STOCK, BoundedInt::get);
    let since = state.clock.now() - USAGE_PERIOD;
    let items = || store::low_stock(state.db.clone(), threshold, since);
    json_object("items", items, LowStockSummary::new(threshold)).await
}
