//! `GET /api/ai-logs/stats`

use app_core::{
    db,
    http::{ApiError, Caller, Json},
};
use axum::extract::State;

use crate::{AiLogsState, model::Stats, store};

/// The log in figures; what the caller has of it, but for administrators.
#[utoipa::path(get, path = "", operation_id = "getLogStats", responses((status = 200, body = Stats)))]
pub(super) async fn stats(State(state): State<AiLogsState>, caller: Caller) -> Result<Json<Stats>, ApiError> {
    let owner = conversations::owner(&caller)?;
    db::retry(|| async {
        let mut connection = state.db.acquire().await?;
        let stats = store::stats(&mut connection, owner.as_ref()).await;
        connection.release_unless_lost(stats)
    })
    .await
    .map(Json)
}
