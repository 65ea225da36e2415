//! `DELETE /api/ros/{id}` and `DELETE /api/ros/by-number/{ro_number}`

use app_core::{
    db::{self, Transaction},
    http::{ApiError, Json},
};
use axum::extract::State;
use serde::Serialize;
use sqlx::MySqlConnection;

use super::key::no_such_order;
use crate::{
    RosState,
    model::Archive,
    store::{self, OrderKey},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deleted {
    success: bool,
    message: &'static str,
    deleted_from: &'static str,
}

/// Deletes the order for good, from whichever table has it.
pub(super) async fn delete(State(state): State<RosState>, key: OrderKey) -> Result<Json<Deleted>, ApiError> {
    let archive = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let archive = lock_and_delete(&mut transaction, &key).await;
        transaction.end(archive).await
    })
    .await?;
    Ok(Json(Deleted { success: true, message: "Repair order deleted", deleted_from: archive.table() }))
}

async fn lock_and_delete(connection: &mut MySqlConnection, key: &OrderKey) -> Result<Archive, ApiError> {
    let order = store::lock(connection, key).await?.ok_or_else(no_such_order)?;
    store::delete(connection, order.archive_status, order.id).await?;
    Ok(order.archive_status)
}
