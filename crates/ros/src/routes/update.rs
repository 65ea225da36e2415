//! `PATCH /api/ros/{id}` and `PATCH /api/ros/by-number/{ro_number}`

use app_core::{
    db,
    http::{Actor, ApiError, Json, JsonResponse, Preconditions},
    openapi::{Conflict, IfMatch, IfNoneMatch, NotFound},
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
#[utoipa::path(patch, path = "", operation_id = "updateOrder", params(Parameters, IfMatch, IfNoneMatch), request_body = RepairOrderChanges, responses(
    (status = 200, description = "The order as it is now", body = RepairOrderView, headers(("ETag"))),
    (status = 404, response = NotFound),
    (status = 409, response = Conflict),
))]
pub(super) async fn update(
    State(state): State<RosState>,
    order: OrderKey,
    actor: Actor,
    preconditions: Preconditions,
    Json(fields): Json<OrderFields>,
) -> Result<JsonResponse, ApiError> {
    fields.check_as_update()?;
    let context = ChangeContext { action: HistoryAction::Updated, actor, cost: None };
    let change = OrderChange { order, preconditions, context };
    db::transaction!(state.db, |connection| {
        change_order(connection, &state.clock, &change, |order, today| {
            fields.clone().apply(order, today);
            Ok(())
        })
        .await
    })
}
