//! `GET /api/ai-logs/stats`

use app_core::{
    db,
    http::{ApiError, Json},
};
use axum::extract::State;

use crate::{AiLogsState, model::Stats, store};

/// The log in figures.
pub(super) async fn stats(State(state): State<AiLogsState>) -> Result<Json<Stats>, ApiError> {
    db::retry(|| async { store::stats(&mut *db::acquire(&state.db).await?).await }).await.map(Json)
}
