//! `GET /api/ros/export`

use app_core::{
    db,
    http::{ApiError, Query, csv_file},
};
use axum::{extract::State, response::Response};
use http::Uri;

use super::list::Parameters;
use crate::{RosState, model::RepairOrder, store};

/// Exports the orders that `GET /api/ros` lists with the same parameters, as a CSV file.
///
/// The file is in UTF-8 with a byte order mark, as Excel expects it, and has the names of the JSON members as headings, without
/// `isOverdue` and `daysOverdue`. A text that begins with `=`, `+`, `-`, `@`, an apostrophe, a tab or a carriage return has one
/// more apostrophe before it, so that no spreadsheet takes it for a formula.
///
/// `X-Total-Count` is the number of all orders that pass the filters: without `limit` and `offset`, that of the rows. The file is
/// streamed. If that fails half-way, the connection is cut.
#[utoipa::path(get, path = "", operation_id = "exportOrders", params(Parameters), responses(
    (status = 200, description = "The orders as a CSV file", body = String, content_type = "text/csv",
        headers(("X-Total-Count"), ("Link"), ("Content-Disposition"))),
))]
pub(super) async fn export(
    State(state): State<RosState>,
    uri: Uri,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let (filter, sort, range) = parameters.parse(state.clock.zone(), None)?;
    let today = state.clock.today();
    let selected = db::read!(state.db, |connection| store::select(connection, filter.clone(), today).await)?;
    let orders = || store::list(state.db.clone(), &selected, sort, &range);
    let file = csv_file(&format!("orders-{today}.csv"), &RepairOrder::default(), orders).await?;
    Ok(range.add_headers(file, &uri, selected.total, None))
}
