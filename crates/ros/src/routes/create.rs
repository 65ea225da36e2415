//! `POST /api/ros`

use app_core::{
    clock::Clock,
    db::{self, Transaction},
    http::{Answer, ApiError, Author},
    idempotency::{Attempt, Once},
    openapi::{Conflict, IdempotencyKey},
};
use axum::extract::State;
use http::StatusCode;
use sqlx::MySqlConnection;

use crate::{
    RosState,
    history::{self, Action, Occasion},
    model::{Changes, NewRepairOrder, RepairOrder, RepairOrderView},
    store,
};

/// Adds an order to the table of its archive status.
#[utoipa::path(post, path = "", operation_id = "createOrder", params(IdempotencyKey), request_body = NewRepairOrder, responses(
    (status = 201, description = "The new order", body = RepairOrderView, headers(("ETag"))),
    (status = 409, response = Conflict),
))]
pub(super) async fn create(
    State(state): State<RosState>,
    author: Author,
    Once { body: fields, attempt }: Once<Changes>,
) -> Result<Answer, ApiError> {
    fields.check_as_new()?;
    let mut order = RepairOrder::default();
    fields.apply(&mut order, state.clock.today());
    let occasion = Occasion { action: Action::Created, author, cost: None };
    let done = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let answer = insert(&mut transaction, &attempt, order.clone(), &occasion, &state.clock).await;
        transaction.end(answer).await
    });
    attempt.settle(&state.db, &state.clock, done.await).await
}

async fn insert(
    connection: &mut MySqlConnection,
    attempt: &Attempt,
    mut order: RepairOrder,
    occasion: &Occasion,
    clock: &Clock,
) -> Result<Answer, ApiError> {
    if let Some(answer) = attempt.answered(connection, clock).await? {
        return Ok(answer);
    }
    order.id = store::insert(connection, &order).await?;
    let entries = history::entries(None, Some(&order), occasion, clock.now())?;
    store::add_history(connection, &entries).await?;
    let revision = entries.last().map_or(0, |entry| entry.revision);
    let answer = order.into_view(clock.today()).into_answer(revision)?.with_status(StatusCode::CREATED);
    attempt.keep(connection, clock, answer).await
}
