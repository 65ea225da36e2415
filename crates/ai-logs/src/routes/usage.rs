//! `GET /api/ai-logs/usage`

use app_core::{
    http::{ApiError, Caller, FieldProblems, Period, Query, json_object, trimmed},
    openapi::{Filter, Forbidden, PeriodBound},
};
use axum::{extract::State, response::Response};
use conversations::{Model, User};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::visible_user;
use crate::{
    AiLogsState,
    model::{Usage, UsageFilter, UsageSummary},
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
    /// The model that answered.
    #[serde(deserialize_with = "trimmed")]
    #[param(value_type = Option<Filter<100>>, inline)]
    model: Option<String>,
    /// The start of the period.
    #[param(value_type = Option<PeriodBound>, inline)]
    start_date: Option<String>,
    /// The end of the period.
    #[param(value_type = Option<PeriodBound>, inline)]
    end_date: Option<String>,
}

impl Parameters {
    fn parse(self, caller: &Caller) -> Result<UsageFilter, ApiError> {
        let mut problems = FieldProblems::default();
        let filter = UsageFilter {
            user: problems.parse("user", self.user.as_deref(), |user| User::named_by(caller, user)),
            model: problems.parse("model", self.model.as_deref(), |model| Model::parse(model.to_owned())),
            period: Period::parse(&mut problems, self.start_date.as_deref(), self.end_date.as_deref()),
        };
        problems.into_result()?;
        Ok(filter)
    }
}

// Describes the response in the OpenAPI document. The handler streams it.
#[derive(ToSchema)]
#[schema(as = Usage)]
#[expect(dead_code, reason = "only described")]
struct UsageResponse {
    usage: Vec<Usage>,
    #[serde(flatten)]
    summary: UsageSummary,
}

/// Lists the used tokens by UTC day, user and model, newest day first: the caller's own, and for administrators those of all users.
#[utoipa::path(get, path = "", operation_id = "getUsage", params(Parameters),
    responses((status = 200, body = UsageResponse), (status = 403, response = Forbidden)))]
pub(super) async fn usage(
    State(state): State<AiLogsState>,
    caller: Caller,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let mut filter = parameters.parse(&caller)?;
    filter.user = visible_user(&caller, filter.user)?;
    json_object("usage", || store::usage(state.db.clone(), &filter), UsageSummary::default()).await
}
