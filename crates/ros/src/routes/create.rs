//! `POST /api/ros`

use app_core::{
    db,
    http::{Actor, ApiError, JsonResponse},
    idempotency::{IdempotencyKey, Idempotent},
    openapi::{Conflict, IdempotencyKeyHeader},
    values::Day,
};
use axum::extract::State;
use chrono::NaiveDate;
use http::StatusCode;

use crate::{
    RosState,
    model::{
        ChangeContext, HistoryAction, NewRepairOrder, OrderFields, RepairOrder, RepairOrderView, history_of_change,
    },
    store,
};

/// Creates an order in the table of its archive status.
#[utoipa::path(post, path = "", operation_id = "createOrder", params(IdempotencyKeyHeader), request_body = NewRepairOrder, responses(
    (status = 201, description = "The new order", body = RepairOrderView, headers(("ETag"))),
    (status = 409, response = Conflict),
))]
pub(super) async fn create(
    State(state): State<RosState>,
    actor: Actor,
    Idempotent { body: fields, key }: Idempotent<OrderFields>,
) -> Result<JsonResponse, ApiError> {
    insert_order(&state, actor, &key, fields, |_, _| {}).await
}

/// Inserts the order that `fields` describe, after `complete` has set fields that depend on the day.
pub(super) async fn insert_order(
    state: &RosState,
    actor: Actor,
    key: &IdempotencyKey,
    fields: OrderFields,
    complete: impl FnOnce(&mut RepairOrder, NaiveDate),
) -> Result<JsonResponse, ApiError> {
    fields.check_as_new()?;
    let today = state.clock.today();
    let mut order = RepairOrder { last_date_updated: Some(Day(today)), ..RepairOrder::default() };
    fields.apply(&mut order, today, state.clock.zone())?;
    complete(&mut order, today);
    let context = ChangeContext { action: HistoryAction::Created, actor, cost: None };
    db::transaction!(state.db, key, state.clock, |connection| {
        let id = store::insert(connection, &order).await?;
        let order = RepairOrder { id, ..order.clone() };
        let entries = history_of_change(None, Some(&order), &context, state.clock.now())?;
        store::insert_history(connection, &entries).await?;
        let revision = entries.last().map_or(0, |entry| entry.revision);
        Ok(order.into_view(today).into_response(revision)?.with_status(StatusCode::CREATED))
    })
}
