//! `GET /api/ros`

use app_core::{
    db,
    http::{ApiError, FieldProblems, ListRange, Query, json_array},
    openapi::Filter,
    values::{BoundedInt, RequestDay, Text, significant_characters},
};
use axum::{extract::State, response::Response};
use chrono_tz::Tz;
use futures_util::TryStreamExt;
use http::Uri;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::{
    RosState,
    model::{
        ArchiveSelection, ArchiveStatus, OrderFilter, OrderSort, RepairOrderView, SearchText, SortDirection, SortField,
        StatusClass, StatusText,
    },
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
    #[param(value_type = Option<ArchiveSelection>, inline)]
    archive_status: Option<String>,
    /// A text that the number, part number, serial number, description, shop, shop reference or tracking number contains, in any case. The order's number and the part number are compared as everywhere: other kinds of blanks and dashes make no difference.
    #[param(value_type = Option<Filter<255>>, inline)]
    q: Option<String>,
    /// The status, in any case and without regard to arrows, dashes and blanks around it.
    #[param(value_type = Option<Filter<100>>, inline)]
    status: Option<String>,
    /// The meaning of the status, as in the dashboard's figures. If there is also a `status`, it must have this meaning.
    #[param(value_type = Option<StatusClass>, inline)]
    status_class: Option<String>,
    /// The name of the shop, without regard to case and blanks.
    #[param(value_type = Option<Filter<255>>, inline)]
    shop: Option<String>,
    /// Whether the next update date has passed.
    #[param(value_type = Option<bool>, inline)]
    overdue: Option<String>,
    /// The day before which the next update date is.
    #[param(value_type = Option<RequestDay>, inline)]
    due_before: Option<String>,
    /// The field by which the list is sorted; `nextDateToUpdate` by default. On one next update date the latest made order is first.
    #[param(value_type = Option<SortField>, inline)]
    sort: Option<String>,
    /// The direction; `asc` by default. Orders without a value of the field are last in both directions.
    #[param(value_type = Option<SortDirection>, inline)]
    order: Option<String>,
    /// The most orders to return; all by default.
    #[param(value_type = Option<Limit>, inline)]
    limit: Option<String>,
    /// How many orders to skip at the start.
    #[param(value_type = Option<Offset>, inline)]
    offset: Option<String>,
}

impl Parameters {
    pub(super) fn parse(&self, zone: Tz) -> Result<(OrderFilter, OrderSort, ListRange), ApiError> {
        let mut problems = FieldProblems::default();
        let archive = problems.parse("archiveStatus", self.archive_status.as_deref(), ArchiveSelection::parse);
        let filter = OrderFilter {
            archive: archive.unwrap_or(ArchiveSelection::One(ArchiveStatus::Active)),
            text: problems.parse("q", self.q.as_deref(), SearchText::parse).flatten(),
            status: problems.parse("status", self.status.as_deref(), StatusText::parse).flatten(),
            status_class: problems.parse("statusClass", self.status_class.as_deref(), StatusClass::parse),
            shop: problems.parse("shop", self.shop.as_deref(), parse_shop).flatten(),
            is_overdue: problems.parse("overdue", self.overdue.as_deref(), parse_bool),
            due_before: problems
                .parse("dueBefore", self.due_before.as_deref(), RequestDay::parse)
                .map(|day| day.in_zone(zone)),
        };
        let class_of_status = filter.status.as_ref().map(StatusText::class);
        if filter.status_class.is_some() && class_of_status.is_some_and(|class| class != filter.status_class) {
            problems.add("statusClass", "must be the class of status, if both are there");
        }
        let sort = OrderSort {
            field: problems.parse("sort", self.sort.as_deref(), SortField::parse).unwrap_or_default(),
            direction: problems.parse("order", self.order.as_deref(), SortDirection::parse).unwrap_or_default(),
        };
        let limit = problems.parse("limit", self.limit.as_deref(), Limit::parse);
        let offset = problems.parse("offset", self.offset.as_deref(), Offset::parse);
        problems.into_result()?;
        let range = ListRange { limit: limit.map(BoundedInt::get), offset: offset.map_or(0, BoundedInt::get) };
        Ok((filter, sort, range))
    }
}

/// Reads the name of a shop, as the filter has it. A blank one is `None`.
fn parse_shop(name: &str) -> Result<Option<String>, String> {
    let name: String = significant_characters(&Text::<255>::parse(name.to_owned())?).collect();
    Ok(Some(name).filter(|name| !name.is_empty()))
}

fn parse_bool(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "must be true or false".to_owned())
}

/// Lists the orders with an archive status, or those of all four, that pass every filter; all of them or a part.
///
/// `X-Total-Count` is the number of all that pass. With a `limit`, `Link` leads to the other parts of the list.
///
/// The list is streamed. If it fails half-way, it ends without its closing bracket.
#[utoipa::path(get, path = "", operation_id = "listOrders", params(Parameters), responses(
    (status = 200, description = "The orders, by next update date unless the request sorts them otherwise, those without one last",
        body = Vec<RepairOrderView>, headers(("X-Total-Count"), ("Link"))),
))]
pub(super) async fn list(
    State(state): State<RosState>,
    uri: Uri,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    respond(&state, &uri, &parameters, |order| order).await
}

/// Responds with the list, in which `show` makes the items.
pub(super) async fn respond<T: Serialize + Send + 'static>(
    state: &RosState,
    uri: &Uri,
    parameters: &Parameters,
    show: fn(RepairOrderView) -> T,
) -> Result<Response, ApiError> {
    let (filter, sort, range) = parameters.parse(state.clock.zone())?;
    let today = state.clock.today();
    let selected = db::read!(state.db, |connection| store::select(connection, filter.clone(), today).await)?;
    let orders =
        || store::list(state.db.clone(), &selected, sort, range).map_ok(move |order| show(order.into_view(today)));
    Ok(range.add_headers(json_array(orders).await?, uri, selected.total))
}
