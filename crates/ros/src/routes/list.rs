//! `GET /api/ros`

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use app_core::{
    db,
    http::{ApiError, FieldProblems, ListId, ListRange, PageStart, Query, json_array},
    openapi::{CursorText, Filter},
    values::{BoundedInt, RequestDay, Text, significant_characters},
};
use axum::{extract::State, response::Response};
use chrono::NaiveDate;
use chrono_tz::Tz;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::Uri;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::{
    RosState,
    model::{
        ArchiveSelection, ArchiveStatus, OrderFilter, OrderPlace, OrderSort, RepairOrderView, SearchText,
        SortDirection, SortField, StatusClass, StatusText,
    },
    store::{self, SelectedOrders},
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

/// The query parameter of a list that an export does not have.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CursorParameter {
    /// The `X-Next-Cursor` of the part before, which had the same filters and order: instead of an `offset`.
    #[param(value_type = Option<CursorText>, inline)]
    cursor: Option<String>,
}

impl Parameters {
    pub(super) fn parse(
        &self,
        zone: Tz,
        cursor: Option<&str>,
    ) -> Result<(OrderFilter, OrderSort, ListRange<OrderPlace>), ApiError> {
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
        let list = list_id(&filter, sort);
        let start = PageStart::parse(&mut problems, self.offset.as_deref(), cursor, &list);
        problems.into_result()?;
        Ok((filter, sort, ListRange { limit: limit.map(BoundedInt::get), start }))
    }
}

fn list_id(filter: &OrderFilter, sort: OrderSort) -> ListId {
    ListId::new("orders", &(filter, sort))
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
/// `X-Total-Count` is the number of all that pass. With a `limit`, `Link` leads to the other parts of the list, and `X-Next-Cursor` is
/// the `cursor` of the next part, if there is one.
///
/// Parts by cursor cost the same wherever they are in the list. An order that keeps its place is in exactly one of them, whatever
/// happens to other orders meanwhile. An order whose value of the field changes is missing if it went from the part of the list that
/// was not read to the one that was, and is there twice if it went the other way. Ids never change, so that sorted by `id` no order is
/// missing or there twice.
///
/// A list without a limit is streamed. If it fails half-way, it ends without its closing bracket.
#[utoipa::path(get, path = "", operation_id = "listOrders", params(Parameters, CursorParameter), responses(
    (status = 200, description = "The orders, by next update date unless the request sorts them otherwise, those without one last",
        body = Vec<RepairOrderView>, headers(("X-Total-Count"), ("X-Next-Cursor"), ("Link"))),
))]
pub(super) async fn list(
    State(state): State<RosState>,
    uri: Uri,
    Query(parameters): Query<Parameters>,
    Query(cursor): Query<CursorParameter>,
) -> Result<Response, ApiError> {
    respond(&state, &uri, &parameters, &cursor, |order| order).await
}

/// Responds with the list, in which `show` makes the items.
pub(super) async fn respond<T: Serialize + Send + 'static>(
    state: &RosState,
    uri: &Uri,
    parameters: &Parameters,
    CursorParameter { cursor }: &CursorParameter,
    show: fn(RepairOrderView) -> T,
) -> Result<Response, ApiError> {
    let (filter, sort, range) = parameters.parse(state.clock.zone(), cursor.as_deref())?;
    let today = state.clock.today();
    let list = list_id(&filter, sort);
    if range == ListRange::ALL && !filter.depends_on_status() {
        return respond_with_all(state, uri, SelectedOrders::uncounted(filter, today), sort, today, show).await;
    }
    let Some(limit) = range.limit else {
        let selected = db::read!(state.db, |connection| store::select(connection, filter.clone(), today).await)?;
        let orders =
            || store::list(state.db.clone(), &selected, sort, &range).map_ok(move |order| show(order.into_view(today)));
        return Ok(range.add_headers(json_array(orders).await?, uri, selected.total, None));
    };
    let (selected, mut orders) = db::read!(state.db, |connection| {
        let selected = store::select(connection, filter.clone(), today).await?;
        let orders = store::list_page(connection, &selected, sort, &range.start, limit).await?;
        Ok((selected, orders))
    })?;
    // The header with the cursor precedes the orders, so all of them are read before the first is sent.
    let has_next = i64::try_from(orders.len()).is_ok_and(|count| count > limit);
    if has_next {
        orders.pop();
    }
    let next_cursor = orders.last().filter(|_| has_next).map(|last| list.cursor(&last.place)).transpose()?;
    let items = || stream::iter(orders.clone()).map(move |order| Ok(show(order.item.into_view(today))));
    Ok(range.add_headers(json_array(items).await?, uri, selected.total, next_cursor.as_deref()))
}

/// Responds with all selected orders, and their number.
async fn respond_with_all<T: Serialize + Send + 'static>(
    state: &RosState,
    uri: &Uri,
    selected: SelectedOrders,
    sort: OrderSort,
    today: NaiveDate,
    show: fn(RepairOrderView) -> T,
) -> Result<Response, ApiError> {
    // Every order comes with the number. Without an order it is 0, also if the statement is run again.
    let total = Arc::new(AtomicI64::new(0));
    let orders = || {
        total.store(0, Ordering::Relaxed);
        let total = total.clone();
        store::list_counted(state.db.clone(), &selected, sort).map_ok(move |counted| {
            total.store(counted.total, Ordering::Relaxed);
            show(counted.order.into_view(today))
        })
    };
    let response = json_array(orders).await?;
    Ok(ListRange::<OrderPlace>::ALL.add_headers(response, uri, total.load(Ordering::Relaxed), None))
}
