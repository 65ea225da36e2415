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
    model::{DEFAULT_THRESHOLD, LowStockItem, LowStockSummary, Quantity},
    store,
};

/// The period whose usage counts.
const USAGE_PERIOD: TimeDelta = TimeDelta::days(90);

/// The query parameters. They arrive as text, so that each can be named when it is wrong.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Parts with fewer pieces are listed; 5 by default.
    #[param(value_type = Option<Quantity>, inline)]
    threshold: Option<String>,
}

// Describes the response in the OpenAPI document. The handler streams it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct LowStock {
    items: Vec<LowStockItem>,
    #[serde(flatten)]
    summary: LowStockSummary,
}

/// Lists the parts with too few pieces, the most urgent first.
#[utoipa::path(get, path = "", operation_id = "listLowStock", params(Parameters), responses((status = 200, body = LowStock)))]
pub(super) async fn low_stock(
    State(state): State<InventoryState>,
    Query(Parameters { threshold }): Query<Parameters>,
) -> Result<Response, ApiError> {
    let mut problems = FieldProblems::default();
    let threshold = problems.parse("threshold", threshold.as_deref(), Quantity::parse);
    problems.into_result()?;
    let threshold = threshold.map_or(DEFAULT_THRESHOLD, BoundedInt::get);
    let since = state.clock.now() - USAGE_PERIOD;
    let items = || store::low_stock(state.db.clone(), threshold, since);
    json_object("items", items, LowStockSummary::new(threshold)).await
}
