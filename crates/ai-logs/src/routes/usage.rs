//! `GET /api/ai-logs/usage`

use app_core::{
    http::{ApiError, Caller, FieldProblems, Period, Query, given, json_object},
    values::Trimmed,
};
use axum::{extract::State, response::Response};
use conversations::Model;
use serde::Deserialize;

use super::owner_among;
use crate::{
    AiLogsState,
    model::{UsageFilter, UsageSummary},
    store,
};

/// Query parameters, as text, so that each can be named when it is wrong.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parameters {
    #[serde(deserialize_with = "given")]
    user: Option<String>,
    #[serde(deserialize_with = "given")]
    model: Option<String>,
    start_date: Option<String>,
    end_date: Option<String>,
}

impl Parameters {
    fn parse(self) -> Result<UsageFilter, ApiError> {
        let mut problems = FieldProblems::default();
        let filter = UsageFilter {
            user: problems.parse("user", self.user.as_deref(), Trimmed::parse),
            model: problems.parse("model", self.model.as_deref(), |model| Model::parse(model.to_owned())),
            period: Period::parse(&mut problems, self.start_date.as_deref(), self.end_date.as_deref()),
            owner: None,
        };
        problems.into_result()?;
        Ok(filter)
    }
}

/// Tokens by day, user and model, newest day first; the caller's own, but for administrators.
pub(super) async fn usage(
    State(state): State<AiLogsState>,
    caller: Caller,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let mut filter = parameters.parse()?;
    filter.owner = owner_among(&caller, filter.user.as_ref())?;
    json_object("usage", || store::usage(state.db.clone(), &filter), UsageSummary::default()).await
}
