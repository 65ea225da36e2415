//! `PATCH /api/ros/by-number/{ro_number}/status`

use app_core::{
    db,
    http::{Actor, ApiError, Json, JsonResponse, Preconditions},
    openapi::{IfMatch, IfNoneMatch, NotFound},
};
use axum::extract::State;

use super::{
    key::Parameters,
    update::{OrderChange, change_order},
};
use crate::{
    RosState,
    history::{Action, Occasion},
    model::{RepairOrderView, StatusUpdate},
    store::OrderKey,
};

/// Sets the status, with what the shop said along with it.
#[utoipa::path(patch, path = "", operation_id = "setOrderStatus", params(Parameters, IfMatch, IfNoneMatch), request_body = StatusUpdate, responses(
    (status = 200, description = "The order as it is now", body = RepairOrderView, headers(("ETag"))),
    (status = 404, response = NotFound),
))]
pub(super) async fn status(
    State(state): State<RosState>,
    key: OrderKey,
    actor: Actor,
    preconditions: Preconditions,
    Json(update): Json<StatusUpdate>,
) -> Result<JsonResponse, ApiError> {
    update.check()?;
    let change = OrderChange {
        order: key,
        occasion: Occasion { action: Action::Status, actor, cost: update.cost() },
        preconditions,
    };
    db::transaction!(state.db, |connection| {
        change_order(connection, &state.clock, &change, |order, today| update.clone().apply(order, today)).await
    })
}
