//! `GET /api/ai-logs`

use app_core::{
    db::{self, NewestFirst},
    http::{ApiError, Caller, FieldProblems, ListId, Page, PageParameters, PageSummary, Period, Query, json_page},
    openapi::{Filter, Forbidden, PeriodBound},
};
use axum::{extract::State, response::Response};
use conversations::{ConversationId, User};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::visible_user;
use crate::{
    AiLogsState,
    model::{LogEntry, LogFilter},
    store,
};

/// The query parameters. They arrive as text, so that each can be named when it is wrong.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parameters {
    /// The user who asked.
    #[param(value_type = Option<Filter<255>>, inline)]
    user: Option<String>,
    /// The conversation.
    #[param(value_type = Option<Filter<100>>, inline)]
    conversation_id: Option<String>,
    /// The start of the period.
    #[param(value_type = Option<PeriodBound>, inline)]
    start_date: Option<String>,
    /// The end of the period.
    #[param(value_type = Option<PeriodBound>, inline)]
    end_date: Option<String>,
}

impl Parameters {
    fn parse(self, page: &PageParameters, caller: &Caller) -> Result<(LogFilter, Page<NewestFirst>), ApiError> {
        let mut problems = FieldProblems::default();
        let filter = LogFilter {
            user: problems.parse("user", self.user.as_deref(), |user| User::named_by(caller, user)),
            conversation_id: problems.parse("conversationId", self.conversation_id.as_deref(), ConversationId::parse),
            period: Period::parse(&mut problems, self.start_date.as_deref(), self.end_date.as_deref()),
        };
        let page = Page::parse(&mut problems, page, ListId::new("logs", &filter));
        problems.into_result()?;
        Ok((filter, page))
    }
}

// Describes the response in the OpenAPI document. The handler streams it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct Logs {
    logs: Vec<LogEntry>,
    #[serde(flatten)]
    page: PageSummary,
}

/// Lists the entries of the log, newest first: the caller's own, and for administrators those of all users.
#[utoipa::path(get, path = "", operation_id = "listLogs", params(Parameters, PageParameters),
    responses((status = 200, body = Logs), (status = 403, response = Forbidden)))]
pub(super) async fn list(
    State(state): State<AiLogsState>,
    caller: Caller,
    Query(parameters): Query<Parameters>,
    Query(page): Query<PageParameters>,
) -> Result<Response, ApiError> {
    let (mut filter, page) = parameters.parse(&page, &caller)?;
    filter.user = visible_user(&caller, filter.user)?;
    let total = db::read!(state.db, |connection| store::count(connection, &filter).await)?;
    json_page("logs", || store::list(state.db.clone(), &filter, &page), &page, total).await
}
