//! `GET /api/ros`

use app_core::{
    http::{ApiError, FieldProblems, Query, json_array},
    values::BoundedInt,
};
use axum::{extract::State, response::Response};
use futures_util::TryStreamExt;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    RosState,
    model::{Archive, RepairOrderView},
    store::{self, Page},
};

/// The largest `limit` (design, reading 12).
const MAX_LIMIT: i64 = 1000;

type Limit = BoundedInt<1, MAX_LIMIT>;

/// Query parameters, as text, so that each can be named when it is wrong.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameters {
    /// Where the orders are kept; `ACTIVE` unless given.
    #[param(value_type = Option<Archive>, inline)]
    archive_status: Option<String>,
    /// How many orders at most; all unless given.
    #[param(value_type = Option<Limit>, inline)]
    limit: Option<String>,
    /// How many orders are left out at the start.
    #[param(value_type = Option<BoundedInt<0, { i64::MAX }>>, inline)]
    offset: Option<String>,
}

impl Parameters {
    fn parse(&self) -> Result<(Archive, Page), ApiError> {
        let mut problems = FieldProblems::default();
        let archive = problems.parse("archiveStatus", self.archive_status.as_deref(), Archive::parse);
        let limit = problems.parse("limit", self.limit.as_deref(), Limit::parse);
        let offset = problems.parse("offset", self.offset.as_deref(), BoundedInt::<0, { i64::MAX }>::parse);
        problems.into_result()?;
        let page = Page { limit: limit.map(BoundedInt::get), offset: offset.map_or(0, BoundedInt::get) };
        Ok((archive.unwrap_or_default(), page))
    }
}

/// The orders of one archive status, all of them or a page.
#[utoipa::path(get, path = "", operation_id = "listOrders", params(Parameters), responses(
    (status = 200, description = "The orders, those first about which someone should ask again", body = Vec<RepairOrderView>),
))]
pub(super) async fn list(
    State(state): State<RosState>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let (archive, page) = parameters.parse()?;
    let today = state.clock.today();
    json_array(|| store::list(state.db.clone(), archive, page).map_ok(move |order| order.into_view(today))).await
}
