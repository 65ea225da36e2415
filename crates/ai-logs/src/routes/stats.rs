//! `GET /api/ai-logs/stats`

use app_core::{
    db,
    http::{ApiError, Caller, Json},
};
use axum::extract::State;

use crate::{AiLogsState, model::Stats, store};

/// Returns the figures of the log: of the caller's own entries, and for administrators of all.
#[utoipa::path(get, path = "", operation_id = "getLogStats", responses((status = 200, body = Stats)))]
pub(super) async fn stats(State(state): State<AiLogsState>, caller: Caller) -> Result<Json<Stats>, ApiError> {
    let owner = conversations::owner(&caller)?;
    db::read!(state.db, |connection| store::stats(connection, owner.as_ref()).await).map(Json)
}
