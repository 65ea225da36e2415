//! `PATCH /api/ros/{id}` and `PATCH /api/ros/by-number/{ro_number}`, and what the other changes have in common with
//! them.

use app_core::{
    clock::Clock,
    db::{self, Transaction},
    http::{Answer, ApiError, Author, Json, Preconditions},
    idempotency::Attempt,
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
    author: Author,
    preconditions: Preconditions,
    Json(changes): Json<Changes>,
) -> Result<Answer, ApiError> {
    changes.check_as_update()?;
    let occasion = Occasion { action: Action::Updated, author, cost: None };
    let asked = Asked { key, occasion, preconditions, attempt: Attempt::UNKEYED };
    change(&state, &asked, |order, today| {
        changes.clone().apply(order, today);
        Ok(())
    })
    .await
}

/// A request to change an order, apart from what is to become of it.
pub(super) struct Asked {
    pub(super) key: OrderKey,
    pub(super) occasion: Occasion,
    pub(super) preconditions: Preconditions,
    pub(super) attempt: Attempt,
}

/// Locks the order, lets `apply` change it, and writes it back, in place or by a move where its archive status is another
/// one now, and what happened to its history.
pub(super) async fn change(
    state: &RosState,
    asked: &Asked,
    apply: impl Fn(&mut RepairOrder, NaiveDate) -> Result<(), ApiError>,
) -> Result<Answer, ApiError> {
    let done = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let answer = lock_and_write(&mut transaction, asked, &state.clock, &apply).await;
        transaction.end(answer).await
    });
    asked.attempt.settle(&state.db, &state.clock, done.await).await
}

async fn lock_and_write(
    connection: &mut MySqlConnection,
    asked: &Asked,
    clock: &Clock,
    apply: impl FnOnce(&mut RepairOrder, NaiveDate) -> Result<(), ApiError>,
) -> Result<Answer, ApiError> {
    if let Some(answer) = asked.attempt.answered(connection, clock).await? {
        return Ok(answer);
    }
    let today = clock.today();
    let known = lock(connection, &asked.key, &asked.preconditions, today).await?;
    let previous = known.order.archive_status;
    let mut order = known.order.clone();
    apply(&mut order, today)?;
    let mut occasion = asked.occasion.clone();
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
    asked.attempt.keep(connection, clock, order.into_view(today).into_answer(revision)?).await
}

/// The order, locked until the transaction ends, if it is what the client takes it for.
pub(super) async fn lock(
    connection: &mut MySqlConnection,
    key: &OrderKey,
    preconditions: &Preconditions,
    today: NaiveDate,
) -> Result<Known, ApiError> {
    let known = store::lock(connection, key).await?.ok_or_else(no_such_order)?;
    preconditions.check(&known.order.clone().into_view(today).tag(known.revision)?)?;
    Ok(known)
}
