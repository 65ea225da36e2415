//! `GET /api/ros/{id}/history` and `GET /api/ros/by-number/{ro_number}/history`

use app_core::{
    db,
    http::{ApiError, FieldProblems, ListId, Page, PageParameters, PageSummary, Query, json_page},
    openapi::NotFound,
};
use axum::{extract::State, response::Response};
use utoipa::ToSchema;

use super::key;
use crate::{
    RosState,
    model::{HistoryEntry, OrderKey},
    store,
};

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
#[utoipa::path(get, path = "", operation_id = "getOrderHistory", params(key::Parameters, PageParameters),
    responses((status = 200, body = History), (status = 404, response = NotFound)))]
pub(super) async fn history(
    State(state): State<RosState>,
    key: OrderKey,
    Query(page): Query<PageParameters>,
) -> Result<Response, ApiError> {
    let mut problems = FieldProblems::default();
    let page = Page::parse(&mut problems, &page, ListId::new("history", &key));
    problems.into_result()?;
    let total = db::read!(state.db, |connection| store::count_history(connection, &key).await)?;
    json_page("history", || store::list_history(state.db.clone(), &key, &page), &page, total).await
}
