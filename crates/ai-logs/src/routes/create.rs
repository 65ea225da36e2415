//! `POST /api/ai-logs`

use app_core::{
    clock::Clock,
    db::{self, Transaction},
    http::{ApiError, Caller, JsonResponse},
    idempotency::{IdempotencyKey, Idempotent},
    openapi::IdempotencyKeyHeader,
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
#[utoipa::path(post, path = "", operation_id = "createLog", params(IdempotencyKeyHeader), request_body = NewLog, responses(
    (status = 201, description = "It is entered", body = Created),
))]
pub(super) async fn create(
    State(state): State<AiLogsState>,
    caller: Caller,
    Idempotent { body: log, key }: Idempotent<NewLog>,
) -> Result<JsonResponse, ApiError> {
    let mut exchange = log.into_exchange()?;
    if let Some(owner) = conversations::owner(&caller)? {
        exchange.user = owner;
    }
    let done = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let answer = insert(&mut transaction, &key, &exchange, &state.clock).await;
        transaction.commit_or_roll_back(answer).await
    });
    key.save_refusal(&state.db, &state.clock, done.await).await
}

async fn insert(
    connection: &mut MySqlConnection,
    key: &IdempotencyKey,
    exchange: &Exchange,
    clock: &Clock,
) -> Result<JsonResponse, ApiError> {
    if let Some(answer) = key.saved_response(connection, clock).await? {
        return Ok(answer);
    }
    let id = conversations::insert(connection, exchange, clock.now()).await?;
    let answer = JsonResponse::new(&Created { success: true, id })?.with_status(StatusCode::CREATED);
    key.save_response(connection, clock, answer).await
}
