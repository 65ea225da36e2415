//! `GET /api/inventory/low-stock`

use app_core::{
    http::{ApiError, FieldProblems, Query, json_object},
    values::Whole,
};
use axum::{extract::State, response::Response};
use chrono::TimeDelta;
use serde::Deserialize;

use crate::{
    InventoryState,
    model::{LOW_STOCK, LowStockSummary, MAX_QUANTITY},
    store,
};

/// The days over which use is counted (design, reading 17).
const USAGE_PERIOD: TimeDelta = TimeDelta::days(90);

/// Query parameters, as text, so that each can be named when it is wrong.
#[derive(Deserialize)]
pub(super) struct Parameters {
    threshold: Option<String>,
}

/// What there is too little of, the most urgent first.
pub(super) async fn low_stock(
    State(state): State<InventoryState>,
    Query(Parameters { threshold }): Query<Parameters>,
) -> Result<Response, ApiError> {
    let mut problems = FieldProblems::default();
    let threshold = problems.parse("threshold", threshold.as_deref(), Whole::<1, MAX_QUANTITY>::parse);
    problems.into_result()?;
    let threshold = threshold.map_or(LOW_STOCK, Whole::get);
    let since = state.clock.now() - USAGE_PERIOD;
    let items = || store::low_stock(state.db.clone(), threshold, since);
    json_object("items", items, LowStockSummary::new(threshold)).await
}
