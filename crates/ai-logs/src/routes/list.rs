//! `GET /api/ai-logs`

use app_core::{
    http::{ApiError, Caller, FieldProblems, Page, Period, Query, given, json_page},
    values::Trimmed,
};
use axum::{extract::State, response::Response};
use serde::Deserialize;

use super::owner_among;
use crate::{AiLogsState, model::LogFilter, store};

/// Query parameters, as text, so that each can be named when it is wrong.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parameters {
    #[serde(deserialize_with = "given")]
    user: Option<String>,
    #[serde(deserialize_with = "given")]
    conversation_id: Option<String>,
    start_date: Option<String>,
    end_date: Option<String>,
    limit: Option<String>,
    offset: Option<String>,
}

impl Parameters {
    fn parse(self) -> Result<(LogFilter, Page), ApiError> {
        let mut problems = FieldProblems::default();
        let filter = LogFilter {
            user: problems.parse("user", self.user.as_deref(), Trimmed::parse),
            conversation_id: problems.parse("conversationId", self.conversation_id.as_deref(), Trimmed::parse),
            period: Period::parse(&mut problems, self.start_date.as_deref(), self.end_date.as_deref()),
            owner: None,
        };
        let page = Page::parse(&mut problems, self.limit.as_deref(), self.offset.as_deref());
        problems.into_result()?;
        Ok((filter, page))
    }
}

/// The log, newest entries first; of them the caller's own, but for administrators.
pub(super) async fn list(
    State(state): State<AiLogsState>,
    caller: Caller,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let (mut filter, page) = parameters.parse()?;
    filter.owner = owner_among(&caller, filter.user.as_ref())?;
    json_page("logs", || store::page(state.db.clone(), &filter, page), page).await
}
