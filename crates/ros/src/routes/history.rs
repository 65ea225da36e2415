//! `GET /api/ros/{id}/history` and `GET /api/ros/by-number/{ro_number}/history`

use app_core::{
    db,
    http::{ApiError, FieldProblems, Page, PageSummary, Query, json_page},
    openapi::NotFound,
    values::BoundedInt,
};
use axum::{extract::State, response::Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::key;
use crate::{
    RosState,
    model::{HistoryEntry, OrderKey},
    store,
};

/// The query parameters. They arrive as text, so that each can be named when it is wrong.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// The most entries to return; 50 by default, at most 100.
    #[param(value_type = Option<BoundedInt<1, { i64::MAX }>>, inline)]
    limit: Option<String>,
    /// How many entries to skip at the start.
    #[param(value_type = Option<BoundedInt<0, { i64::MAX }>>, inline)]
    offset: Option<String>,
}

impl Parameters {
    fn parse(&self) -> Result<Page, ApiError> {
        let mut problems = FieldProblems::default();
        let page = Page::parse(&mut problems, self.limit.as_deref(), self.offset.as_deref());
        problems.into_result()?;
        Ok(page)
    }
}

// Describes the response in the OpenAPI document. The handler streams it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct History {
    history: Vec<HistoryEntry>,
    #[serde(flatten)]
    page: PageSummary,
}

/// Lists the changes of an order, newest first; also after it was moved, renamed or deleted.
///
/// The response is 404 only if there was never such an order. A number means the order that has it, or else the order that had
/// it last. A change by another program is shown as `FOUND`, before the next change by this service. Its deletions and moves
/// leave no entry of their own.
#[utoipa::path(get, path = "", operation_id = "getOrderHistory", params(key::Parameters, Parameters),
    responses((status = 200, body = History), (status = 404, response = NotFound)))]
pub(super) async fn history(
    State(state): State<RosState>,
    key: OrderKey,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let page = parameters.parse()?;
    let total = db::read!(state.db, |connection| store::count_history(connection, &key).await)?;
    json_page("history", || store::list_history(state.db.clone(), &key, page), page, total).await
}
