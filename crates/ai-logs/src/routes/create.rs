//! `POST /api/ai-logs`

use app_core::{
    clock::Clock,
    db::{self, Transaction},
    http::{Answer, ApiError, Caller},
    idempotency::{Attempt, Once},
    openapi::IdempotencyKey,
};
use axum::extract::State;
use conversations::Exchange;
use http::StatusCode;
use serde::Serialize;
use sqlx::MySqlConnection;
use utoipa::ToSchema;

use crate::{AiLogsState, model::NewLog};

#[derive(Serialize, ToSchema)]
#[schema(as = LogCreated)]
pub(super) struct Created {
    success: bool,
    id: u64,
}

/// Enters an exchange in the log, as the caller's own whoever it is said to be of; administrators enter anybody's.
#[utoipa::path(post, path = "", operation_id = "createLog", params(IdempotencyKey), request_body = NewLog, responses(
    (status = 201, description = "It is entered", body = Created),
))]
pub(super) async fn create(
    State(state): State<AiLogsState>,
    caller: Caller,
    Once { body: log, attempt }: Once<NewLog>,
) -> Result<Answer, ApiError> {
    let mut exchange = log.into_exchange()?;
    if let Some(owner) = conversations::owner(&caller)? {
        exchange.user = owner;
    }
    let done = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let answer = insert(&mut transaction, &attempt, &exchange, &state.clock).await;
        transaction.end(answer).await
    });
    attempt.settle(&state.db, &state.clock, done.await).await
}

async fn insert(
    connection: &mut MySqlConnection,
    attempt: &Attempt,
    exchange: &Exchange,
    clock: &Clock,
) -> Result<Answer, ApiError> {
    if let Some(answer) = attempt.answered(connection, clock).await? {
        return Ok(answer);
    }
    let id = conversations::insert(connection, exchange, clock.now()).await?;
    let answer = Answer::json(&Created { success: true, id })?.with_status(StatusCode::CREATED);
    attempt.keep(connection, clock, answer).await
}
