//! `DELETE /api/ros/{id}` and `DELETE /api/ros/by-number/{ro_number}`

use app_core::{
    db::{self, Transaction},
    http::{ApiError, Author, Json},
};
use axum::extract::State;
use serde::Serialize;
use sqlx::MySqlConnection;

use crate::{
    RosState,
    history::{self, Action, Occasion},
    model::Archive,
    store::{self, OrderKey, no_such_order},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deleted {
    success: bool,
    message: &'static str,
    deleted_from: &'static str,
}

/// Deletes the order for good, from whichever table has it; its history stays.
pub(super) async fn delete(
    State(state): State<RosState>,
    key: OrderKey,
    author: Author,
) -> Result<Json<Deleted>, ApiError> {
    let occasion = Occasion { action: Action::Deleted, author, at: state.clock.now() };
    let archive = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let archive = lock_and_delete(&mut transaction, &key, &occasion).await;
        transaction.end(archive).await
    })
    .await?;
    Ok(Json(Deleted { success: true, message: "Repair order deleted", deleted_from: archive.table() }))
}

async fn lock_and_delete(
    connection: &mut MySqlConnection,
    key: &OrderKey,
    occasion: &Occasion,
) -> Result<Archive, ApiError> {
    let known = store::lock(connection, key).await?.ok_or_else(no_such_order)?;
    let archive = known.order.archive_status;
    store::delete(connection, archive, known.order.id).await?;
    store::add_history(connection, &history::entries(Some(&known), None, occasion)?).await?;
    Ok(archive)
}
