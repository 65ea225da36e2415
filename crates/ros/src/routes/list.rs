//! `GET /api/ros`

use app_core::http::{ApiError, FieldProblems, Query, json_array};
use axum::{extract::State, response::Response};
use futures_util::TryStreamExt;
use serde::Deserialize;

use crate::{
    RosState,
    model::Archive,
    store::{self, Page},
};

/// The largest `limit` (design, reading 12).
const MAX_LIMIT: u64 = 1000;

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
        let archive =
            self.archive_status.as_deref().map_or(Ok(Archive::Active), Archive::parse).unwrap_or_else(|problem| {
                problems.add("archiveStatus", problem);
                Archive::Active
            });
        let limit = self
            .limit
            .as_deref()
            .map(str::parse)
            .transpose()
            .ok()
            .filter(|limit| limit.is_none_or(|limit| (1..=MAX_LIMIT).contains(&limit)));
        if limit.is_none() {
            problems.add("limit", format!("must be a whole number from 1 to {MAX_LIMIT}"));
        }
        let offset = self.offset.as_deref().map_or(Ok(0), str::parse);
        if offset.is_err() {
            problems.add("offset", "must be a whole number from 0");
        }
        problems.into_result()?;
        Ok((archive, Page { limit: limit.flatten(), offset: offset.unwrap_or_default() }))
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
