//! `PATCH /api/ros/{id}` and `PATCH /api/ros/by-number/{ro_number}`

use app_core::{
    db,
    http::{Actor, ApiError, JsonResponse, Preconditions},
    idempotency::Idempotent,
    openapi::{Conflict, IdempotencyKeyHeader, IfMatch, IfNoneMatch, NotFound},
};
use axum::extract::State;

use super::{
    change::{OrderChange, change_order},
    key::Parameters,
};
use crate::{
    RosState,
    model::{ChangeContext, HistoryAction, OrderFields, OrderKey, RepairOrderChanges, RepairOrderView},
};

/// Changes the fields that the body has. Another archive status moves the order to another table.
///
/// Values that the order has already change nothing: neither `lastDateUpdated` nor the history nor the tag. Another `currentStatus`
/// sets `currentStatusDate` to today, if the body does not have it. The next update date only changes if the body has it.
///
/// `roNumber`, `shopName`, `partDescription` and `currentStatus` cannot be cleared. If an imported order lacks one of them, the body
/// may have null or a blank text there, as when the whole order is sent back.
#[utoipa::path(patch, path = "", operation_id = "updateOrder", params(Parameters, IfMatch, IfNoneMatch, IdempotencyKeyHeader), request_body = RepairOrderChanges, responses(
    (status = 200, description = "The order as it is now", body = RepairOrderView, headers(("ETag"))),
    (status = 404, response = NotFound),
    (status = 409, response = Conflict),
))]
pub(super) async fn update(
    State(state): State<RosState>,
    order: OrderKey,
    actor: Actor,
    preconditions: Preconditions,
    Idempotent { body: fields, key }: Idempotent<OrderFields>,
) -> Result<JsonResponse, ApiError> {
    fields.check_as_update()?;
    let context = ChangeContext { action: HistoryAction::Updated, actor, cost: None };
    let change = OrderChange { order, preconditions, context };
    db::transaction!(state.db, key, state.clock, |connection| {
        change_order(connection, &state.clock, &change, |order, today| {
            fields.clone().apply(order, today, state.clock.zone())
        })
        .await
    })
}
