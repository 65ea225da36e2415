//! `GET /api/inventory/transactions`

use app_core::{
    db,
    http::{ApiError, FieldProblems, Json, Query},
    values::{Moment, Trimmed, Whole},
};
use axum::extract::State;
use serde::Deserialize;

use super::stock_room::given;
use crate::{
    InventoryState,
    model::{Action, LedgerFilter, LedgerPage, PartNumber},
    store,
};

/// The entries of a page unless a request says otherwise, and at most; more is cut, and the answer says so (design,
/// reading 27).
const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 100;

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
    fn parse(self) -> Result<(LedgerFilter, i64, i64), ApiError> {
        let mut problems = FieldProblems::default();
        let filter = LedgerFilter {
            part_number: problems.parse("partNumber", self.part_number.as_deref(), PartNumber::parse),
            ro_number: problems.parse("roNumber", self.ro_number.as_deref(), Trimmed::parse),
            action: problems.parse("action", self.action.as_deref(), Action::parse),
            start: problems.parse("startDate", self.start_date.as_deref(), Moment::parse_start),
            end: problems.parse("endDate", self.end_date.as_deref(), Moment::parse_end),
        };
        if filter.start.zip(filter.end).is_some_and(|(start, end)| end < start) {
            problems.add("endDate", "must not be before startDate");
        }
        let limit = problems.parse("limit", self.limit.as_deref(), Whole::<1, { i64::MAX }>::parse);
        let offset = problems.parse("offset", self.offset.as_deref(), Whole::<0, { i64::MAX }>::parse);
        problems.into_result()?;
        Ok((filter, limit.map_or(DEFAULT_LIMIT, Whole::get).min(MAX_LIMIT), offset.map_or(0, Whole::get)))
    }
}

/// The ledger, newest entries first.
pub(super) async fn transactions(
    State(state): State<InventoryState>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<LedgerPage>, ApiError> {
    let (filter, limit, offset) = parameters.parse()?;
    db::retry(|| async { store::ledger(&mut *state.db.acquire().await?, &filter, limit, offset).await }).await.map(Json)
}
