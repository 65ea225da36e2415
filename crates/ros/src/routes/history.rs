//! `GET /api/ros/{id}/history` and `GET /api/ros/by-number/{ro_number}/history`

use app_core::http::{ApiError, FieldProblems, Page, Query, json_page};
use axum::{extract::State, response::Response};
use serde::Deserialize;

use crate::{
    RosState,
    store::{self, OrderKey},
};

/// Query parameters, as text, so that each can be named when it is wrong.
#[derive(Deserialize)]
pub(super) struct Parameters {
    limit: Option<String>,
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

/// What happened to an order, newest first; also after it was moved, renamed or deleted.
pub(super) async fn history(
    State(state): State<RosState>,
    key: OrderKey,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let page = parameters.parse()?;
    json_page("history", || store::history(state.db.clone(), &key, page), page).await
}
