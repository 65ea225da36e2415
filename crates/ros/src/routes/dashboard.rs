//! `GET /api/ros/stats/dashboard`

use app_core::{
    db,
    http::{ApiError, Preconditions, entity_tag},
};
use axum::{extract::State, response::Response};

use crate::{RosState, store};

/// The dashboard's figures.
pub(super) async fn dashboard(
    State(state): State<RosState>,
    preconditions: Preconditions,
) -> Result<Response, ApiError> {
    let today = state.clock.today();
    let figures = db::retry(|| async { store::dashboard(&mut *db::acquire(&state.db).await?, today).await }).await?;
    preconditions.answer(entity_tag(&figures)?, &figures)
}
