//! `GET /api/ros/{id}` and `GET /api/ros/by-number/{ro_number}`

use app_core::{
    db,
    http::{ApiError, Preconditions},
    openapi::{IfMatch, IfNoneMatch, NotFound},
};
use axum::{extract::State, response::Response};

use super::key::Parameters;
use crate::{
    RosState,
    model::{OrderDetail, OrderKey, RepairOrderDetail},
    store::{self, no_such_order},
};

/// Returns an order, from whichever table has it, with its status history.
#[utoipa::path(get, path = "", operation_id = "getOrder", params(Parameters, IfMatch, IfNoneMatch), responses(
    (status = 200, description = "The order", body = RepairOrderDetail, headers(("ETag"))),
    (status = 404, response = NotFound),
))]
pub(super) async fn get(
    State(state): State<RosState>,
    key: OrderKey,
    preconditions: Preconditions,
) -> Result<Response, ApiError> {
    let found = db::read!(state.db, |connection| store::find(connection, &key).await)?;
    let OrderDetail { order, revision, status_history } = found.ok_or_else(no_such_order)?;
    let view = order.into_view(state.clock.today());
    preconditions.respond(view.tag(revision)?, &view.with_status_history(status_history))
}
