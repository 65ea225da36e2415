//! `POST /api/ros`

use app_core::{
    db::{self, Transaction},
    http::{ApiError, Json},
};
use axum::extract::State;
use http::StatusCode;

use crate::{
    RosState,
    model::{Changes, RepairOrder, RepairOrderView},
    store,
};

/// Adds an order to the table of its archive status.
pub(super) async fn create(
    State(state): State<RosState>,
    Json(fields): Json<Changes>,
) -> Result<(StatusCode, Json<RepairOrderView>), ApiError> {
    fields.check_as_new()?;
    let today = state.clock.today();
    let mut order = RepairOrder::default();
    fields.apply(&mut order, today);
    order.id = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let id = store::insert(&mut transaction, &order).await;
        transaction.end(id).await
    })
    .await?;
    Ok((StatusCode::CREATED, Json(order.into_view(today))))
}
