//! `PATCH /api/ros/by-number/{ro_number}/status`

use app_core::http::{ApiError, Json};
use axum::extract::State;

use super::update::change;
use crate::{
    RosState,
    model::{RepairOrderView, StatusUpdate},
    store::OrderKey,
};

/// Sets the status, with what the shop said along with it.
pub(super) async fn status(
    State(state): State<RosState>,
    key: OrderKey,
    Json(update): Json<StatusUpdate>,
) -> Result<Json<RepairOrderView>, ApiError> {
    update.check()?;
    change(&state, &key, |order, today| update.clone().apply(order, today)).await
}
