//! `PATCH /api/ros/by-number/{ro_number}/status`

use app_core::{
    http::{Answer, ApiError, Author, Json, Preconditions},
    idempotency::Attempt,
};
use axum::extract::State;

use super::update::{Asked, change};
use crate::{
    RosState,
    history::{Action, Occasion},
    model::StatusUpdate,
    store::OrderKey,
};

/// Sets the status, with what the shop said along with it.
pub(super) async fn status(
    State(state): State<RosState>,
    key: OrderKey,
    author: Author,
    preconditions: Preconditions,
    Json(update): Json<StatusUpdate>,
) -> Result<Answer, ApiError> {
    update.check()?;
    let occasion = Occasion { action: Action::Status, author, at: state.clock.now() };
    let asked = Asked { key, occasion, preconditions, attempt: Attempt::UNKEYED };
    change(&state, &asked, |order, today| update.clone().apply(order, today)).await
}
