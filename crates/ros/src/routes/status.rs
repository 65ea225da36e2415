//! `PATCH /api/ros/by-number/{ro_number}/status`

use app_core::{
    db,
    http::{Actor, ApiError, JsonResponse, Preconditions},
    idempotency::Idempotent,
    openapi::{IdempotencyKeyHeader, IfMatch, IfNoneMatch, NotFound},
};
use axum::extract::State;

use super::{
    change::{OrderChange, change_order},
    key::Parameters,
};
use crate::{
    RosState,
    model::{ChangeContext, HistoryAction, OrderKey, RepairOrderView, StatusUpdate},
};

/// Sets the status of an order, and the notes, cost and delivery date that came with it.
///
/// The next update date becomes the day on which someone should ask the shop again. It depends on the status, and for paid orders on
/// the payment terms. An order about which nobody has to ask again gets none.
#[utoipa::path(patch, path = "", operation_id = "setOrderStatus", params(Parameters, IfMatch, IfNoneMatch, IdempotencyKeyHeader), request_body = StatusUpdate, responses(
    (status = 200, description = "The order as it is now", body = RepairOrderView, headers(("ETag"))),
    (status = 404, response = NotFound),
))]
pub(super) async fn status(
    State(state): State<RosState>,
    order: OrderKey,
    actor: Actor,
    preconditions: Preconditions,
    Idempotent { body: update, key }: Idempotent<StatusUpdate>,
) -> Result<JsonResponse, ApiError> {
    update.check()?;
    let context = ChangeContext { action: HistoryAction::Status, actor, cost: update.cost() };
    let change = OrderChange { order, preconditions, context };
    db::transaction!(state.db, key, state.clock, |connection| {
        change_order(connection, &state.clock, &change, |order, today| {
            update.clone().apply(order, today, state.clock.zone())
        })
        .await
    })
}
