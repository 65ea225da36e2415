//! `GET /api/ros/stats/dashboard`

use app_core::{
    db,
    http::{ApiError, Preconditions, entity_tag},
    openapi::{IfMatch, IfNoneMatch},
};
use axum::{extract::State, response::Response};

use crate::{RosState, model::Dashboard, store};

/// Returns the figures of the dashboard's first page.
#[utoipa::path(get, path = "", operation_id = "getDashboard", params(IfMatch, IfNoneMatch),
    responses((status = 200, body = Dashboard, headers(("ETag")))))]
pub(super) async fn dashboard(
    State(state): State<RosState>,
    preconditions: Preconditions,
) -> Result<Response, ApiError> {
    let today = state.clock.today();
    let figures = db::read!(state.db, |connection| store::dashboard(connection, today).await)?;
    preconditions.respond(entity_tag(&figures)?, &figures)
}
