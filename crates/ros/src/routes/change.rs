//! The transaction of every change of an existing order.

use app_core::{
    clock::Clock,
    http::{ApiError, JsonResponse, Preconditions},
    values::Day,
};
use chrono::NaiveDate;
use sqlx::MySqlConnection;

use crate::{
    model::{ChangeContext, HistoryAction, LockedOrder, OrderKey, RepairOrder, history_of_change},
    store::{self, no_such_order},
};

/// A change of an order, apart from the fields that it sets.
pub(super) struct OrderChange {
    pub(super) order: OrderKey,
    pub(super) preconditions: Preconditions,
    pub(super) context: ChangeContext,
}

/// Locks the order, checks the preconditions, lets `apply` set fields, and saves the order and its history. Two simultaneous
/// changes of one order wait for each other; the second one sees the order as the first one left it. If everything is set already,
/// nothing is saved, and neither the day of the last change nor the tag of the order changes.
pub(super) async fn change_order(
    connection: &mut MySqlConnection,
    clock: &Clock,
    change: &OrderChange,
    apply: impl FnOnce(&mut RepairOrder, NaiveDate) -> Result<(), ApiError>,
) -> Result<JsonResponse, ApiError> {
    let today = clock.today();
    let locked = store::lock(connection, &change.order).await?.ok_or_else(no_such_order)?;
    check_preconditions(&locked, &change.preconditions, today)?;

    let mut order = locked.order.clone();
    apply(&mut order, today)?;
    if order == locked.order {
        return order.into_view(today).into_response(locked.revision);
    }
    order.last_date_updated = Some(Day(today));
    let mut context = change.context.clone();
    if order.archive_status == locked.order.archive_status {
        store::update(connection, &order).await?;
    } else {
        store::move_order(connection, &locked, &order).await?;
        context.action = HistoryAction::Moved;
    }

    let entries = history_of_change(Some(&locked), Some(&order), &context, clock.now())?;
    store::insert_history(connection, &entries).await?;
    let revision = entries.last().map_or(locked.revision, |entry| entry.revision);
    order.into_view(today).into_response(revision)
}

/// Checks `If-Match` and `If-None-Match` against the locked order.
pub(super) fn check_preconditions(
    locked: &LockedOrder,
    preconditions: &Preconditions,
    today: NaiveDate,
) -> Result<(), ApiError> {
    preconditions.check(&locked.order.clone().into_view(today).tag(locked.revision)?)
}
