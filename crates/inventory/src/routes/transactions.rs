//! `GET /api/inventory/transactions`

use app_core::{
    db::{self, NewestFirst},
    http::{ApiError, FieldProblems, ListId, Page, PageParameters, PageSummary, Period, Query, json_page, trimmed},
    openapi::{Filter, PeriodBound},
    values::NormalizedText,
};
use axum::{extract::State, response::Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    InventoryState,
    model::{PartNumber, StockAction, StockTransaction, TransactionFilter},
    store,
};

/// The query parameters. They arrive as text, so that each can be named when it is wrong.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parameters {
    /// The part number.
    #[param(value_type = Option<Filter<100>>, inline)]
    part_number: Option<String>,
    /// The number of the repair order that the change was made for.
    #[param(value_type = Option<Filter<50>>, inline)]
    ro_number: Option<String>,
    /// The kind of the change.
    #[serde(deserialize_with = "trimmed")]
    #[param(value_type = Option<StockAction>, inline)]
    action: Option<String>,
    /// The start of the period.
    #[param(value_type = Option<PeriodBound>, inline)]
    start_date: Option<String>,
    /// The end of the period.
    #[param(value_type = Option<PeriodBound>, inline)]
    end_date: Option<String>,
}

impl Parameters {
    fn parse(self, page: &PageParameters) -> Result<(TransactionFilter, Page<NewestFirst>), ApiError> {
        let mut problems = FieldProblems::default();
        let filter = TransactionFilter {
            part_number: problems.parse("partNumber", self.part_number.as_deref(), PartNumber::parse),
            ro_number: problems.parse("roNumber", self.ro_number.as_deref(), NormalizedText::parse),
            action: problems.parse("action", self.action.as_deref(), StockAction::parse),
            period: Period::parse(&mut problems, self.start_date.as_deref(), self.end_date.as_deref()),
        };
        let page = Page::parse(&mut problems, page, ListId::new("transactions", &filter));
        problems.into_result()?;
        Ok((filter, page))
    }
}

// Describes the response in the OpenAPI document. The handler streams it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct Transactions {
    transactions: Vec<StockTransaction>,
    #[serde(flatten)]
    page: PageSummary,
}

/// Lists the ledger of stock changes, newest first.
#[utoipa::path(get, path = "", operation_id = "listTransactions", params(Parameters, PageParameters), responses((status = 200, body = Transactions)))]
pub(super) async fn transactions(
    State(state): State<InventoryState>,
    Query(parameters): Query<Parameters>,
    Query(page): Query<PageParameters>,
) -> Result<Response, ApiError> {
    let (filter, page) = parameters.parse(&page)?;
    let total = db::read!(state.db, |connection| store::count_transactions(connection, &filter).await)?;
    json_page("transactions", || store::list_transactions(state.db.clone(), &filter, &page), &page, total).await
}
