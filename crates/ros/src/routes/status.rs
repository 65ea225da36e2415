//! `PATCH /api/ros/by-number/{ro_number}/status`

use app_core::http::{ApiError, Author, Json};
use axum::extract::State;

use super::update::change;
use crate::{
    RosState,
    history::{Action, Occasion},
    model::{RepairOrderView, StatusUpdate},
    store::OrderKey,
};

/// Sets the status, with what the shop said along with it.
pub(super) async fn status(
    State(state): State<RosState>,
    key: OrderKey,
    author: Author,
    Json(update): Json<StatusUpdate>,
) -> Result<Json<RepairOrderView>, ApiError> {
    update.check()?;
    let occasion = Occasion { action: Action::Status, author, at: state.clock.now() };
    change(&state, &key, &occasion, |order, today| update.clone().apply(order, today)).await
}
