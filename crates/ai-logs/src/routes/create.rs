//! `POST /api/ai-logs`

use app_core::{
    db::{self, Transaction},
    http::{Answer, ApiError},
    idempotency::{Attempt, Once},
};
use axum::extract::State;
use chrono::{DateTime, Utc};
use conversations::Exchange;
use http::StatusCode;
use serde::Serialize;
use sqlx::MySqlConnection;

use crate::{AiLogsState, model::NewLog};

#[derive(Serialize)]
struct Created {
    success: bool,
    id: u64,
}

/// Enters an exchange in the log.
pub(super) async fn create(
    State(state): State<AiLogsState>,
    Once { body: log, attempt }: Once<NewLog>,
) -> Result<Answer, ApiError> {
    let exchange = log.into_exchange()?;
    let now = state.clock.now();
    db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let answer = insert(&mut transaction, &attempt, &exchange, now).await;
        transaction.end(answer).await
    })
    .await
}

async fn insert(
    connection: &mut MySqlConnection,
    attempt: &Attempt,
    exchange: &Exchange,
    now: DateTime<Utc>,
) -> Result<Answer, ApiError> {
    if let Some(answer) = attempt.answered(connection, now).await? {
        return Ok(answer);
    }
    let id = conversations::insert(connection, exchange, now).await?;
    attempt.keep(connection, Answer::json(&Created { success: true, id })?.with_status(StatusCode::CREATED)).await
}
