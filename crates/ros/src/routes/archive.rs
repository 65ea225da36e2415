//! `POST /api/ros/by-number/{ro_number}/archive`

use app_core::{
    db,
    http::{Actor, ApiError, JsonResponse, Preconditions},
    idempotency::Idempotent,
    openapi::{Conflict, IdempotencyKeyHeader, IfMatch, IfNoneMatch, NotFound},
};
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    key::Parameters,
    update::{OrderChange, change_order},
};
use crate::{
    RosState,
    history::{Action, Occasion},
    model::{Archive, Changes, RepairOrderView},
    store::OrderKey,
};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ArchiveTarget)]
pub(super) struct Target {
    /// Where the order is to be kept.
    #[schema(value_type = Archive)]
    archive_status: Option<Archive>,
}

/// Moves the order to another table. Moving it where it already is is a conflict: someone else was faster.
#[utoipa::path(post, path = "", operation_id = "archiveOrder", params(Parameters, IfMatch, IfNoneMatch, IdempotencyKeyHeader), request_body = Target, responses(
    (status = 200, description = "The order as it is now", body = RepairOrderView, headers(("ETag"))),
    (status = 404, response = NotFound),
    (status = 409, response = Conflict),
))]
pub(super) async fn archive(
    State(state): State<RosState>,
    order: OrderKey,
    actor: Actor,
    preconditions: Preconditions,
    Idempotent { body: Target { archive_status }, key }: Idempotent<Target>,
) -> Result<JsonResponse, ApiError> {
    let target = archive_status.ok_or_else(|| ApiError::invalid("archiveStatus", "is required"))?;
    let occasion = Occasion { action: Action::Moved, actor, cost: None };
    let change = OrderChange { order, occasion, preconditions };
    db::transaction!(state.db, key, state.clock, |connection| {
        change_order(connection, &state.clock, &change, |order, today| {
            if order.archive_status == target {
                return Err(ApiError::Conflict(format!("{} is already {}.", order.ro_number, target.name())));
            }
            Changes::archive(target).apply(order, today);
            Ok(())
        })
        .await
    })
}
