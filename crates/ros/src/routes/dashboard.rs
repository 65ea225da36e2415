//! `GET /api/ros/stats/dashboard`

use app_core::{
    db,
    http::{ApiError, Json},
};
use axum::extract::State;

use crate::{RosState, model::Dashboard, store};

/// The dashboard's figures.
pub(super) async fn dashboard(State(state): State<RosState>) -> Result<Json<Dashboard>, ApiError> {
    let today = state.clock.today();
    db::retry(|| async { store::dashboard(&mut *db::acquire(&state.db).await?, today).await }).await.map(Json)
}
