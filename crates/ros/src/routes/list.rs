//! `GET /api/ros`

use app_core::{
    http::{ApiError, FieldProblems, Query, json_array},
    values::Whole,
};
use axum::{extract::State, response::Response};
use futures_util::TryStreamExt;
use serde::Deserialize;

use crate::{
    RosState,
    model::Archive,
    store::{self, Page},
};

/// The largest `limit` (design, reading 12).
const MAX_LIMIT: i64 = 1000;

/// Query parameters, as text, so that each can be named when it is wrong.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameters {
    archive_status: Option<String>,
    limit: Option<String>,
    offset: Option<String>,
}

impl Parameters {
    fn parse(&self) -> Result<(Archive, Page), ApiError> {
        let mut problems = FieldProblems::default();
        let archive = problems.parse("archiveStatus", self.archive_status.as_deref(), Archive::parse);
        let limit = problems.parse("limit", self.limit.as_deref(), Whole::<1, MAX_LIMIT>::parse);
        let offset = problems.parse("offset", self.offset.as_deref(), Whole::<0, { i64::MAX }>::parse);
        problems.into_result()?;
        let page = Page { limit: limit.map(Whole::get), offset: offset.map_or(0, Whole::get) };
        Ok((archive.unwrap_or_default(), page))
    }
}

/// The orders of one archive status, all of them or a page.
pub(super) async fn list(
    State(state): State<RosState>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let (archive, page) = parameters.parse()?;
    let today = state.clock.today();
    json_array(|| store::list(state.db.clone(), archive, page).map_ok(move |order| order.into_view(today))).await
}
