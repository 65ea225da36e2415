//! `GET /api/ros/{id}` and `GET /api/ros/by-number/{ro_number}`

use app_core::{
    db,
    http::{ApiError, Json},
};
use axum::extract::State;

use crate::{
    RosState,
    model::RepairOrderDetail,
    store::{self, Found, OrderKey, no_such_order},
};

/// One order, from whichever table has it, with the steps of its status.
pub(super) async fn get(State(state): State<RosState>, key: OrderKey) -> Result<Json<RepairOrderDetail>, ApiError> {
    let found = db::retry(|| async { store::find(&mut *db::acquire(&state.db).await?, &key).await }).await?;
    let Found { order, steps, .. } = found.ok_or_else(no_such_order)?;
    Ok(Json(order.into_view(state.clock.today()).with_steps(steps)))
}
