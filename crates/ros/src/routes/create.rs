//! `POST /api/ros`

use app_core::{
    db,
    http::{Actor, ApiError, JsonResponse},
    idempotency::Idempotent,
    openapi::{Conflict, IdempotencyKeyHeader},
};
use axum::extract::State;
use http::StatusCode;

use crate::{
    RosState,
    history::{self, Action, Occasion},
    model::{Changes, NewRepairOrder, RepairOrder, RepairOrderView},
    store,
};

/// Adds an order to the table of its archive status.
#[utoipa::path(post, path = "", operation_id = "createOrder", params(IdempotencyKeyHeader), request_body = NewRepairOrder, responses(
    (status = 201, description = "The new order", body = RepairOrderView, headers(("ETag"))),
    (status = 409, response = Conflict),
))]
pub(super) async fn create(
    State(state): State<RosState>,
    actor: Actor,
    Idempotent { body: fields, key }: Idempotent<Changes>,
) -> Result<JsonResponse, ApiError> {
    fields.check_as_new()?;
    let mut order = RepairOrder::default();
    fields.apply(&mut order, state.clock.today());
    let occasion = Occasion { action: Action::Created, actor, cost: None };
    db::transaction!(state.db, key, state.clock, |connection| {
        let id = store::insert(connection, &order).await?;
        let order = RepairOrder { id, ..order.clone() };
        let entries = history::entries(None, Some(&order), &occasion, state.clock.now())?;
        store::add_history(connection, &entries).await?;
        let revision = entries.last().map_or(0, |entry| entry.revision);
        Ok(order.into_view(state.clock.today()).into_answer(revision)?.with_status(StatusCode::CREATED))
    })
}
