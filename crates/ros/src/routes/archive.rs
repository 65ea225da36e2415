//! `POST /api/ros/by-number/{ro_number}/archive`

use app_core::{
    http::{Answer, ApiError, Author, Preconditions},
    idempotency::Once,
};
use axum::extract::State;
use serde::Deserialize;

use super::update::{Asked, change};
use crate::{
    RosState,
    history::{Action, Occasion},
    model::{Archive, Changes},
    store::OrderKey,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    archive_status: Option<Archive>,
}

/// Moves the order to another table. Moving it where it already is is a conflict: someone else was faster.
pub(super) async fn archive(
    State(state): State<RosState>,
    key: OrderKey,
    author: Author,
    preconditions: Preconditions,
    Once { body: Target { archive_status }, attempt }: Once<Target>,
) -> Result<Answer, ApiError> {
    let target = archive_status.ok_or_else(|| ApiError::invalid("archiveStatus", "is required"))?;
    let occasion = Occasion { action: Action::Moved, author, at: state.clock.now() };
    let asked = Asked { key, occasion, preconditions, attempt };
    change(&state, &asked, |order, today| {
        if order.archive_status == target {
            return Err(ApiError::Conflict(format!("{} is already {}.", order.ro_number, target.name())));
        }
        Changes::archive(target).apply(order, today);
        Ok(())
    })
    .await
}
