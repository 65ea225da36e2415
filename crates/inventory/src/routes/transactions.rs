//! `GET /api/inventory/transactions`

use app_core::{
    http::{ApiError, FieldProblems, Page, Period, Query, given, json_page},
    values::Trimmed,
};
use axum::{extract::State, response::Response};
use serde::Deserialize;

use crate::{
    InventoryState,
    model::{Action, LedgerFilter, PartNumber},
    store,
};

/// Query parameters, as text, so that each can be named when it is wrong.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parameters {
    #[serde(deserialize_with = "given")]
    part_number: Option<String>,
    #[serde(deserialize_with = "given")]
    ro_number: Option<String>,
    #[serde(deserialize_with = "given")]
    action: Option<String>,
    start_date: Option<String>,
    end_date: Option<String>,
    limit: Option<String>,
    offset: Option<String>,
}

impl Parameters {
    fn parse(self) -> Result<(LedgerFilter, Page), ApiError> {
        let mut problems = FieldProblems::default();
        let filter = LedgerFilter {
            part_number: problems.parse("partNumber", self.part_number.as_deref(), PartNumber::parse),
            ro_number: problems.parse("roNumber", self.ro_number.as_deref(), Trimmed::parse),
            action: problems.parse("action", self.action.as_deref(), Action::parse),
            period: Period::parse(&mut problems, self.start_date.as_deref(), self.end_date.as_deref()),
        };
        let page = Page::parse(&mut problems, self.limit.as_deref(), self.offset.as_deref());
        problems.into_result()?;
        Ok((filter, page))
    }
}

/// The ledger, newest entries first.
pub(super) async fn transactions(
    State(state): State<InventoryState>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let (filter, page) = parameters.parse()?;
    json_page("transactions", || store::ledger(state.db.clone(), &filter, page), page).await
}
