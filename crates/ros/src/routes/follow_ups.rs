//! `GET /api/ros/follow-ups`

use std::sync::Arc;

use app_core::{
    db,
    http::{ApiError, FieldProblems, Query, json_groups},
    values::{Day, RequestDay},
};
use axum::{extract::State, response::Response};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    RosState,
    model::{FollowUpGroup, FollowUpSummary, RepairOrderView, follow_up_groups},
    store,
};

/// The query parameters. They arrive as text, so that each can be named when it is wrong.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// The last day of the list, which is part of it; today by default.
    #[param(value_type = Option<RequestDay>, inline)]
    until: Option<String>,
}

// Describes the response in the OpenAPI document. The handler streams it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct FollowUps {
    groups: Vec<FollowUpsOfShop>,
    #[serde(flatten)]
    summary: FollowUpSummary,
}

// Describes a group.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct FollowUpsOfShop {
    #[serde(flatten)]
    group: FollowUpGroup,
    /// The orders, most overdue first. Those without a next update date are sorted by the date of their status, oldest first.
    orders: Vec<RepairOrderView>,
}

/// Lists the active orders about which someone should ask, by shop.
///
/// These are the orders whose next update date is `until` or before, whatever their status: someone has set the date. Also listed,
/// whatever `until` is, are the orders that have no next update date although their status needs one. A status needs none if it
/// is paid (unless the terms are NET or a wire transfer), payment sent, BER, RAI, scrapped or cancelled; any other does, and so
/// does a missing one.
///
/// The orders without a date are the first group, whose `shop` is null. The other groups have one shop each, whose name is
/// compared without case and blanks. The shop with the most overdue order comes first. `isOverdue` and `daysOverdue` of each order
/// are those of today.
#[utoipa::path(get, path = "", operation_id = "listFollowUps", params(Parameters), responses((status = 200, body = FollowUps)))]
pub(super) async fn follow_ups(
    State(state): State<RosState>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    respond(&state, &parameters, |order| order).await
}

/// Responds with the list, in which `show` makes the items.
pub(super) async fn respond<T: Serialize + Send + 'static>(
    state: &RosState,
    parameters: &Parameters,
    show: fn(RepairOrderView) -> T,
) -> Result<Response, ApiError> {
    let mut problems = FieldProblems::default();
    let until = problems.parse("until", parameters.until.as_deref(), RequestDay::parse);
    problems.into_result()?;
    let today = state.clock.today();
    let until = until.map_or(Day(today), |day| day.in_zone(state.clock.zone()));
    let contacts = Arc::new(db::read!(state.db, |connection| store::shop_contacts(connection).await)?);
    let orders = || {
        let due = store::list_due(state.db.clone(), until);
        follow_up_groups(due, contacts.clone(), today).map_ok(move |grouped| grouped.map(show))
    };
    json_groups("groups", "orders", orders, FollowUpSummary { until, total: 0 }).await
}
