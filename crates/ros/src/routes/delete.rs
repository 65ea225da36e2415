//! `DELETE /api/ros/{id}` and `DELETE /api/ros/by-number/{ro_number}`

use app_core::{
    db,
    http::{Actor, ApiError, Json, Preconditions},
    openapi::{IfMatch, IfNoneMatch, NotFound},
};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{key::Parameters, update::lock_order};
use crate::{
    RosState,
    history::{self, Action, Occasion},
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
    actor: Actor,
    preconditions: Preconditions,
) -> Result<Json<Deleted>, ApiError> {
    let occasion = Occasion { action: Action::Deleted, actor, cost: None };
    let archive = db::transaction!(state.db, |connection| {
        let known = lock_order(connection, &key, &preconditions, state.clock.today()).await?;
        let archive = known.order.archive_status;
        store::delete(connection, archive, known.order.id).await?;
        let entries = history::entries(Some(&known), None, &occasion, state.clock.now())?;
        store::add_history(connection, &entries).await?;
        Ok(archive)
    })?;
    Ok(Json(Deleted { success: true, message: "Repair order deleted", deleted_from: archive.table() }))
}
