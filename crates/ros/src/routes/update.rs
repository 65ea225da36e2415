//! `PATCH /api/ros/{id}` and `PATCH /api/ros/by-number/{ro_number}`, and what the other changes have in common with
//! them.

use app_core::{
    db::{self, Transaction},
    http::{ApiError, Author, Json},
};
use axum::extract::State;
use chrono::NaiveDate;
use sqlx::MySqlConnection;

use crate::{
    RosState,
    history::{self, Action, Occasion},
    model::{Changes, RepairOrder, RepairOrderView},
    store::{self, OrderKey, no_such_order},
};

/// Changes some fields; a different archive status moves the order to that table.
pub(super) async fn update(
    State(state): State<RosState>,
    key: OrderKey,
    author: Author,
    Json(changes): Json<Changes>,
) -> Result<Json<RepairOrderView>, ApiError> {
    changes.check_as_update()?;
    let occasion = Occasion { action: Action::Updated, author, at: state.clock.now() };
    change(&state, &key, &occasion, |order, today| {
        changes.clone().apply(order, today);
        Ok(())
    })
    .await
}

/// Locks the order, lets `apply` change it, and writes it back, in place or by a move where its archive status is another
/// one now, and what happened to its history.
pub(super) async fn change(
    state: &RosState,
    key: &OrderKey,
    occasion: &Occasion,
    apply: impl Fn(&mut RepairOrder, NaiveDate) -> Result<(), ApiError>,
) -> Result<Json<RepairOrderView>, ApiError> {
    let today = state.clock.today();
    let order = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let order = lock_and_write(&mut transaction, key, occasion, |order| apply(order, today)).await;
        transaction.end(order).await
    })
    .await?;
    Ok(Json(order.into_view(today)))
}

async fn lock_and_write(
    connection: &mut MySqlConnection,
    key: &OrderKey,
    occasion: &Occasion,
    apply: impl FnOnce(&mut RepairOrder) -> Result<(), ApiError>,
) -> Result<RepairOrder, ApiError> {
    let known = store::lock(connection, key).await?.ok_or_else(no_such_order)?;
    let previous = known.order.archive_status;
    let mut order = known.order.clone();
    apply(&mut order)?;
    let entries = if order.archive_status == previous {
        store::update(connection, &order).await?;
        history::entries(Some(&known), Some(&order), occasion)?
    } else {
        // In this order: the registry takes a number only while no table has it.
        store::delete(connection, previous, order.id).await?;
        store::insert(connection, &order).await?;
        let occasion = Occasion { action: Action::Moved, ..occasion.clone() };
        history::entries(Some(&known), Some(&order), &occasion)?
    };
    store::add_history(connection, &entries).await?;
    Ok(order)
}
