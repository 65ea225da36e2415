//! `DELETE /api/ros/{id}` and `DELETE /api/ros/by-number/{ro_number}`

use app_core::{
    db,
    http::{Actor, ApiError, JsonResponse, Preconditions},
    idempotency::IdempotencyKey,
    openapi::{IdempotencyKeyHeader, IfMatch, IfNoneMatch, NotFound},
};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{change::check_preconditions, key::Parameters};
use crate::{
    RosState,
    model::{ChangeContext, HistoryAction, OrderKey, history_of_change},
    store::{self, no_such_order},
};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderDeleted {
    success: bool,
    message: &'static str,
    /// The table that had the order.
    deleted_from: &'static str,
}

/// Deletes an order for good, from whichever table has it. Its history stays.
#[utoipa::path(delete, path = "", operation_id = "deleteOrder", params(Parameters, IfMatch, IfNoneMatch, IdempotencyKeyHeader), responses(
    (status = 200, description = "The order is deleted", body = OrderDeleted),
    (status = 404, response = NotFound),
))]
pub(super) async fn delete(
    State(state): State<RosState>,
    order: OrderKey,
    actor: Actor,
    preconditions: Preconditions,
    key: IdempotencyKey,
) -> Result<JsonResponse, ApiError> {
    let context = ChangeContext { action: HistoryAction::Deleted, actor, cost: None };
    db::transaction!(state.db, key, state.clock, |connection| {
        let locked = store::lock(connection, &order).await?.ok_or_else(no_such_order)?;
        check_preconditions(&locked, &preconditions, state.clock.today())?;
        let archive = locked.order.archive_status;
        store::delete(connection, archive, locked.order.id).await?;
        let entries = history_of_change(Some(&locked), None, &context, state.clock.now())?;
        store::insert_history(connection, &entries).await?;
        JsonResponse::new(&OrderDeleted {
            success: true,
            message: "Repair order deleted",
            deleted_from: archive.table(),
        })
    })
}
