//! `PATCH /api/ros/{id}` and `PATCH /api/ros/by-number/{ro_number}`, and what the other changes have in common with
//! them.

use app_core::{
    clock::Clock,
    db,
    http::{Actor, ApiError, Json, JsonResponse, Preconditions},
    openapi::{Conflict, IfMatch, IfNoneMatch, NotFound},
};
use axum::extract::State;
use chrono::NaiveDate;
use sqlx::MySqlConnection;

use super::key::Parameters;
use crate::{
    RosState,
    history::{self, Action, Known, Occasion},
    model::{Changes, RepairOrder, RepairOrderChanges, RepairOrderView},
    store::{self, OrderKey, no_such_order},
};

/// Changes some fields; a different archive status moves the order to that table.
#[utoipa::path(patch, path = "", operation_id = "updateOrder", params(Parameters, IfMatch, IfNoneMatch), request_body = RepairOrderChanges, responses(
    (status = 200, description = "The order as it is now", body = RepairOrderView, headers(("ETag"))),
    (status = 404, response = NotFound),
    (status = 409, response = Conflict),
))]
pub(super) async fn update(
    State(state): State<RosState>,
    key: OrderKey,
    actor: Actor,
    preconditions: Preconditions,
    Json(changes): Json<Changes>,
) -> Result<JsonResponse, ApiError> {
    changes.check_as_update()?;
    let change =
        OrderChange { order: key, occasion: Occasion { action: Action::Updated, actor, cost: None }, preconditions };
    db::transaction!(state.db, |connection| {
        change_order(connection, &state.clock, &change, |order, today| {
            changes.clone().apply(order, today);
            Ok(())
        })
        .await
    })
}

/// A change of an order, apart from the fields that it sets.
pub(super) struct OrderChange {
    pub(super) order: OrderKey,
    pub(super) occasion: Occasion,
    pub(super) preconditions: Preconditions,
}

/// Locks the order, checks the preconditions, lets `apply` change it, and saves it together with its history: in place, or by a
/// move to another table where `apply` changes the archive status.
pub(super) async fn change_order(
    connection: &mut MySqlConnection,
    clock: &Clock,
    change: &OrderChange,
    apply: impl FnOnce(&mut RepairOrder, NaiveDate) -> Result<(), ApiError>,
) -> Result<JsonResponse, ApiError> {
    let today = clock.today();
    let known = lock_order(connection, &change.order, &change.preconditions, today).await?;
    let previous = known.order.archive_status;
    let mut order = known.order.clone();
    apply(&mut order, today)?;
    let mut occasion = change.occasion.clone();
    if order.archive_status == previous {
        store::update(connection, &order).await?;
    } else {
        // In this order: the registry takes a number only while no table has it.
        store::delete(connection, previous, order.id).await?;
        store::insert(connection, &order).await?;
        occasion.action = Action::Moved;
    }
    let entries = history::entries(Some(&known), Some(&order), &occasion, clock.now())?;
    store::add_history(connection, &entries).await?;
    let revision = entries.last().map_or(known.revision, |entry| entry.revision);
    order.into_view(today).into_answer(revision)
}

/// Locks the order until the transaction ends and checks the preconditions.
pub(super) async fn lock_order(
    connection: &mut MySqlConnection,
    order: &OrderKey,
    preconditions: &Preconditions,
    today: NaiveDate,
) -> Result<Known, ApiError> {
    let known = store::lock(connection, order).await?.ok_or_else(no_such_order)?;
    preconditions.check(&known.order.clone().into_view(today).tag(known.revision)?)?;
    Ok(known)
}
