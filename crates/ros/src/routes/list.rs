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
    model::{ArchiveStatus, ListRange, RepairOrderView},
    store,
};

type Limit = BoundedInt<1, 1000>;
type Offset = BoundedInt<0, { i64::MAX }>;

/// The query parameters. They arrive as text, so that each can be named when it is wrong.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameters {
    /// The archive status of the orders; `ACTIVE` by default.
    #[param(value_type = Option<ArchiveStatus>, inline)]
    archive_status: Option<String>,
    /// The most orders to return; all by default.
    #[param(value_type = Option<Limit>, inline)]
    limit: Option<String>,
    /// How many orders to skip at the start.
    #[param(value_type = Option<Offset>, inline)]
    offset: Option<String>,
}

impl Parameters {
    fn parse(&self) -> Result<(ArchiveStatus, ListRange), ApiError> {
        let mut problems = FieldProblems::default();
        let archive = problems.parse("archiveStatus", self.archive_status.as_deref(), ArchiveStatus::parse);
        let limit = problems.parse("limit", self.limit.as_deref(), Limit::parse);
        let offset = problems.parse("offset", self.offset.as_deref(), Offset::parse);
        problems.into_result()?;
        let range = ListRange { limit: limit.map(BoundedInt::get), offset: offset.map_or(0, BoundedInt::get) };
        Ok((archive.unwrap_or_default(), range))
    }
}

/// Lists the orders with an archive status, all of them or a part.
///
/// The list is streamed. If it fails half-way, it ends without its closing bracket.
#[utoipa::path(get, path = "", operation_id = "listOrders", params(Parameters), responses(
    (status = 200, description = "The orders by next update date, those without one last", body = Vec<RepairOrderView>),
))]
pub(super) async fn list(
    State(state): State<RosState>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let (archive, range) = parameters.parse()?;
    let today = state.clock.today();
    json_array(|| store::list(state.db.clone(), archive, range).map_ok(move |order| order.into_view(today))).await
}
