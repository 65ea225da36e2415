//! `GET /api/ros/{id}` and `GET /api/ros/by-number/{ro_number}`

use app_core::{
    db,
    http::{ApiError, Json},
};
use axum::extract::State;

use super::key::no_such_order;
use crate::{
    RosState,
    model::RepairOrderView,
    store::{self, OrderKey},
};

/// One order, from whichever table has it.
pub(super) async fn get(State(state): State<RosState>, key: OrderKey) -> Result<Json<RepairOrderView>, ApiError> {
    let order = db::retry(|| async { store::find(&mut *db::acquire(&state.db).await?, &key).await }).await?;
    Ok(Json(order.ok_or_else(no_such_order)?.into_view(state.clock.today())))
}
