//! `POST /api/ai-logs`

use app_core::{
    db::{self, Transaction},
    http::{ApiError, Json},
};
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;

use crate::{AiLogsState, model::NewLog};

#[derive(Serialize)]
pub(super) struct Created {
    success: bool,
    id: u64,
}

/// Enters an exchange in the log.
pub(super) async fn create(
    State(state): State<AiLogsState>,
    Json(log): Json<NewLog>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let exchange = log.into_exchange()?;
    let now = state.clock.now();
    let id = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let id = conversations::insert(&mut transaction, &exchange, now).await;
        transaction.end(id).await
    })
    .await?;
    Ok((StatusCode::CREATED, Json(Created { success: true, id })))
}
