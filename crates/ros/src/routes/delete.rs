//! `DELETE /api/ros/{id}` and `DELETE /api/ros/by-number/{ro_number}`

use app_core::{
    clock::Clock,
    db::{self, Transaction},
    http::{ApiError, Author, Json, Preconditions},
    openapi::{IfMatch, IfNoneMatch, NotFound},
};
use axum::extract::State;
use serde::Serialize;
use sqlx::MySqlConnection;
use utoipa::ToSchema;

use super::{key::Parameters, update::lock};
use crate::{
    RosState,
    history::{self, Action, Occasion},
    model::Archive,
    store::{self, OrderKey},
};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OrderDeleted)]
pub(super) struct Deleted {
    success: bool,
    message: &'static str,
    /// The table that had it.
    deleted_from: &'static str,
}

/// Deletes the order for good, from whichever table has it; its history stays.
#[utoipa::path(delete, path = "", operation_id = "deleteOrder", params(Parameters, IfMatch, IfNoneMatch), responses(
    (status = 200, description = "It is deleted", body = Deleted),
    (status = 404, response = NotFound),
))]
pub(super) async fn delete(
    State(state): State<RosState>,
    key: OrderKey,
    author: Author,
    preconditions: Preconditions,
) -> Result<Json<Deleted>, ApiError> {
    let occasion = Occasion { action: Action::Deleted, author, cost: None };
    let archive = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let archive = lock_and_delete(&mut transaction, &key, &preconditions, &occasion, &state.clock).await;
        transaction.end(archive).await
    })
    .await?;
    Ok(Json(Deleted { success: true, message: "Repair order deleted", deleted_from: archive.table() }))
}

async fn lock_and_delete(
    connection: &mut MySqlConnection,
    key: &OrderKey,
    preconditions: &Preconditions,
    occasion: &Occasion,
    clock: &Clock,
) -> Result<Archive, ApiError> {
    let known = lock(connection, key, preconditions, clock.today()).await?;
    let archive = known.order.archive_status;
    store::delete(connection, archive, known.order.id).await?;
    store::add_history(connection, &history::entries(Some(&known), None, occasion, clock.now())?).await?;
    Ok(archive)
}
