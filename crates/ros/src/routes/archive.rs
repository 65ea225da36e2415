//! `POST /api/ros/by-number/{ro_number}/archive`

use app_core::{
    db,
    http::{Actor, ApiError, JsonResponse, Preconditions},
    idempotency::{IdempotencyKey, Idempotent},
    openapi::{Conflict, IdempotencyKeyHeader, IfMatch, IfNoneMatch, NotFound},
};
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    change::{OrderChange, change_order},
    key::Parameters,
};
use crate::{
    RosState,
    model::{ArchiveStatus, ChangeContext, HistoryAction, OrderKey, RepairOrder, RepairOrderView},
};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArchiveTarget {
    /// The archive status that the order gets.
    #[schema(value_type = ArchiveStatus)]
    archive_status: Option<ArchiveStatus>,
}

/// Moves an order to the table of another archive status. It is a conflict if the order has that archive status already.
///
/// Two people who archive one order at once wait for each other. With the same target the second gets the conflict; with two
/// targets both succeed, and the order ends where the second one sent it.
#[utoipa::path(post, path = "", operation_id = "archiveOrder", params(Parameters, IfMatch, IfNoneMatch, IdempotencyKeyHeader), request_body = ArchiveTarget, responses(
    (status = 200, description = "The order as it is now", body = RepairOrderView, headers(("ETag"))),
    (status = 404, response = NotFound),
    (status = 409, response = Conflict),
))]
pub(super) async fn archive(
    State(state): State<RosState>,
    order: OrderKey,
    actor: Actor,
    preconditions: Preconditions,
    Idempotent { body: target, key }: Idempotent<ArchiveTarget>,
) -> Result<JsonResponse, ApiError> {
    move_order(&state, order, actor, preconditions, &target, &key, |order, target| {
        if order.archive_status == target {
            return Err(ApiError::Conflict(format!("{} is already {}.", order.ro_number, target.name())));
        }
        Ok(())
    })
    .await
}

/// Moves an order, unless `check` refuses this after it was locked.
pub(super) async fn move_order(
    state: &RosState,
    order: OrderKey,
    actor: Actor,
    preconditions: Preconditions,
    target: &ArchiveTarget,
    key: &IdempotencyKey,
    check: fn(&RepairOrder, ArchiveStatus) -> Result<(), ApiError>,
) -> Result<JsonResponse, ApiError> {
    let target = target.archive_status.ok_or_else(|| ApiError::invalid("archiveStatus", "is required"))?;
    let context = ChangeContext { action: HistoryAction::Moved, actor, cost: None };
    let change = OrderChange { order, preconditions, context };
    db::transaction!(state.db, key, state.clock, |connection| {
        change_order(connection, &state.clock, &change, |order, _| {
            check(order, target)?;
            order.archive_status = target;
            Ok(())
        })
        .await
    })
}
