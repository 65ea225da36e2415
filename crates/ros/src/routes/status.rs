//! `PATCH /api/ros/by-number/{ro_number}/status`

use app_core::{
    http::{Answer, ApiError, Author, Json, Preconditions},
    idempotency::Attempt,
    openapi::{IfMatch, IfNoneMatch, NotFound},
};
use axum::extract::State;

use super::{
    key::Parameters,
    update::{Asked, change},
};
use crate::{
    RosState,
    history::{Action, Occasion},
    model::{RepairOrderView, StatusUpdate},
    store::OrderKey,
};

/// Sets the status, with what the shop said along with it.
#[utoipa::path(patch, path = "", operation_id = "setOrderStatus", params(Parameters, IfMatch, IfNoneMatch), request_body = StatusUpdate, responses(
    (status = 200, description = "The order as it is now", body = RepairOrderView, headers(("ETag"))),
    (status = 404, response = NotFound),
))]
pub(super) async fn status(
    State(state): State<RosState>,
    key: OrderKey,
    author: Author,
    preconditions: Preconditions,
    Json(update): Json<StatusUpdate>,
) -> Result<Answer, ApiError> {
    update.check()?;
    let occasion = Occasion { action: Action::Status, author, cost: update.cost() };
    let asked = Asked { key, occasion, preconditions, attempt: Attempt::UNKEYED };
    change(&state, &asked, |order, today| update.clone().apply(order, today)).await
}
