//! `POST /api/ai-logs`

use app_core::{
    db,
    http::{ApiError, Caller, JsonResponse},
    idempotency::Idempotent,
    openapi::IdempotencyKeyHeader,
};
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{AiLogsState, model::NewLog};

#[derive(Serialize, ToSchema)]
pub(super) struct LogCreated {
    success: bool,
    id: u64,
}

/// Inserts an exchange into the log. It becomes the caller's own, whatever `user` says; administrators may insert exchanges of
/// any user.
#[utoipa::path(post, path = "", operation_id = "createLog", params(IdempotencyKeyHeader), request_body = NewLog, responses(
    (status = 201, description = "The entry is inserted", body = LogCreated),
))]
pub(super) async fn create(
    State(state): State<AiLogsState>,
    caller: Caller,
    Idempotent { body: log, key }: Idempotent<NewLog>,
) -> Result<JsonResponse, ApiError> {
    let mut exchange = log.into_exchange(&caller)?;
    if let Some(owner) = conversations::owner(&caller)? {
        exchange.user = owner;
    }
    db::transaction!(state.db, key, state.clock, |connection| {
        let id = conversations::insert(connection, &exchange, state.clock.now()).await?;
        Ok(JsonResponse::new(&LogCreated { success: true, id })?.with_status(StatusCode::CREATED))
    })
}
