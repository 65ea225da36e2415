//! Repair orders in the database. Functions take a connection and decide nothing; their statements are in
//! [`crate::sql`].

use app_core::{
    clock::days_before,
    db::{Pool, is_duplicate_key, stream_rows},
    http::ApiError,
    values::{Day, Money, StoredDay},
};
use async_stream::try_stream;
use chrono::NaiveDate;
use futures_util::{Stream, TryStreamExt};
use rust_decimal::Decimal;
use sqlx::{
    MySql, MySqlConnection, Row,
    mysql::{MySqlArguments, MySqlRow},
    query::Query,
};

use crate::{
    history::{Action, Entry, HistoryEntry, Known, StatusStep},
    model::{Archive, Dashboard, RepairOrder, RoNumber},
    sql,
};

/// How a request names an order.
#[derive(Clone, Debug)]
pub enum OrderKey {
    /// By its id.
    Id(i64),
    /// By its number.
    Number(RoNumber),
}

/// The part of a list to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many at most; everything when absent.
    pub limit: Option<i64>,
    /// How many to leave out at the start.
    pub offset: i64,
}

/// The orders of `archive`, by the day on which someone should ask again (design, reading 12).
pub fn list(db: Pool, archive: Archive, page: Page) -> impl Stream<Item = Result<RepairOrder, ApiError>> + Send {
    try_stream! {
        let mut connection = db.acquire().await?;
        // MySQL has no word for "no limit".
        let query = sqlx::query(sql::list(archive)).bind(page.limit.unwrap_or(i64::MAX)).bind(page.offset);
        {
            let mut rows = query.fetch(&mut *connection);
            while let Some(row) = rows.try_next().await? {
                yield decode(&row, 0, archive)?;
            }
        }
        connection.release();
    }
}

/// An order as it is read by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The order.
    pub order: RepairOrder,
    /// The number of its last change.
    pub revision: i64,
    /// The steps of its status, oldest first.
    pub steps: Vec<StatusStep>,
}

/// The order, if there is one, with the steps of its status.
pub async fn find(connection: &mut MySqlConnection, key: &OrderKey) -> Result<Option<Found>, ApiError> {
    let query = match key {
        OrderKey::Id(id) => sqlx::query(sql::FIND_BY_ID).bind(*id).bind(*id),
        OrderKey::Number(number) => sqlx::query(sql::FIND_BY_NUMBER).bind(&**number).bind(&**number),
    };
    let rows = query.fetch_all(connection).await?;
    let Some((first, steps)) = rows.split_first() else { return Ok(None) };
    let Some(archive) = decode_archive(first)? else { return Ok(None) };
    Ok(Some(Found {
        order: decode(first, 1, archive)?,
        revision: first.try_get::<Option<i64>, _>(AFTER_COLUMNS)?.unwrap_or(0),
        steps: decode_steps(steps)?,
    }))
}

/// The order, if there is one, locked until the transaction ends, and what its history says of it.
pub async fn lock(connection: &mut MySqlConnection, key: &OrderKey) -> Result<Option<Known>, ApiError> {
    let query = match key {
        OrderKey::Id(id) => sqlx::query(sql::LOCK_BY_ID).bind(*id),
        OrderKey::Number(number) => sqlx::query(sql::LOCK_BY_NUMBER).bind(&**number).bind(&**number),
    };
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
    let Some(archive) = decode_archive(&row)? else { return Ok(None) };
    Ok(Some(Known {
        order: decode(&row, 1, archive)?,
        revision: row.try_get::<Option<i64>, _>(AFTER_COLUMNS)?.unwrap_or(0),
        digest: row.try_get(AFTER_COLUMNS + 1)?,
    }))
}

/// Where a row of a single order goes on after its place, its id and its columns.
const AFTER_COLUMNS: usize = 23;

fn decode_archive(row: &MySqlRow) -> Result<Option<Archive>, ApiError> {
    let place: Option<i64> = row.try_get(0)?;
    Ok(place.and_then(|number| Archive::ALL.get(usize::try_from(number).ok()?)).copied())
}

/// Reads the steps. What another program wrote is entered whole, with the status that it had anyway: that is a step only if
/// it is another one.
fn decode_steps(rows: &[MySqlRow]) -> Result<Vec<StatusStep>, ApiError> {
    let mut steps: Vec<StatusStep> = Vec::with_capacity(rows.len());
    for row in rows {
        let step = decode_step(row)?;
        let is_found = row.try_get::<String, _>(17)? == Action::Found.name();
        let is_known = steps.last().is_some_and(|last| (&last.status, last.date) == (&step.status, step.date));
        if !(is_found && is_known) {
            steps.push(step);
        }
    }
    Ok(steps)
}

/// Reads a step from the columns that it shares with an order.
fn decode_step(row: &MySqlRow) -> Result<StatusStep, ApiError> {
    Ok(StatusStep {
        status: row.try_get(15)?,
        date: row.try_get::<StoredDay, _>(16)?.0,
        user: row.try_get(4)?,
        cost: row.try_get::<Option<Decimal>, _>(11)?.map(Money::from_database),
        notes: row.try_get(20)?,
    })
}

/// Adds entries, if there are any, to the history.
pub async fn add_history(connection: &mut MySqlConnection, entries: &[Entry]) -> Result<(), ApiError> {
    if !entries.is_empty() {
        sql::add_history(entries).build().execute(connection).await?;
    }
    Ok(())
}

/// Counts the history entries of an order.
///
/// # Errors
/// [`ApiError::NotFound`] if there is neither an entry nor an order. (An order that another program wrote, and that was not
/// changed since, has no entry.)
pub async fn count_history(connection: &mut MySqlConnection, key: &OrderKey) -> Result<i64, ApiError> {
    let row = sql::count_history(key).build().fetch_one(connection).await?;
    let total = row.try_get("total")?;
    if total == 0 && !row.try_get::<bool, _>("is_there")? { Err(no_such_order()) } else { Ok(total) }
}

/// Lists a page of an order's history, newest first; also of an order that was deleted.
pub fn list_history(
    db: Pool,
    key: &OrderKey,
    page: app_core::http::Page,
) -> impl Stream<Item = Result<HistoryEntry, ApiError>> + Send + use<> {
    stream_rows(db, sql::list_history(key, page))
}

/// 404 for an order that is in none of the four tables.
pub fn no_such_order() -> ApiError {
    ApiError::NotFound("Repair order not found".to_owned())
}

/// Adds `order` to the table of its archive status. With id 0 the database gives the next one of the sequence that the
/// four tables share; the answer is the row's id.
///
/// # Errors
/// [`ApiError::Conflict`] when the number is taken in any of the four tables.
pub async fn insert(connection: &mut MySqlConnection, order: &RepairOrder) -> Result<i64, ApiError> {
    let done = bind(sqlx::query(sql::insert(order.archive_status)), order)
        .bind(order.id)
        .execute(connection)
        .await
        .map_err(|error| taken_number_as_conflict(error, order))?;
    i64::try_from(done.last_insert_id()).map_err(ApiError::internal)
}

/// Writes every column of `order`, whose row is in the table of its archive status.
///
/// # Errors
/// [`ApiError::Conflict`] when the number is taken in any of the four tables.
pub async fn update(connection: &mut MySqlConnection, order: &RepairOrder) -> Result<(), ApiError> {
    bind(sqlx::query(sql::update(order.archive_status)), order)
        .bind(order.id)
        .execute(connection)
        .await
        .map_err(|error| taken_number_as_conflict(error, order))?;
    Ok(())
}

/// Deletes the row `id` of `archive`'s table.
pub async fn delete(connection: &mut MySqlConnection, archive: Archive, id: i64) -> Result<(), ApiError> {
    sqlx::query(sql::delete(archive)).bind(id).execute(connection).await?;
    Ok(())
}

/// Whether the database answers.
pub async fn ping(connection: &mut MySqlConnection) -> Result<(), ApiError> {
    sqlx::query("SELECT 1").execute(connection).await?;
    Ok(())
}

/// The dashboard's figures on the day `today`, from one look at all four tables. Statuses compare byte by byte, since
/// the dashboard's words are fixed; those of returned orders in any case (design, reading 14).
pub async fn dashboard(connection: &mut MySqlConnection, today: NaiveDate) -> Result<Dashboard, ApiError> {
    let row = sqlx::query(sql::DASHBOARD)
        .bind(today)
        .bind(today)
        .bind(today)
        .bind(days_before(today, 30))
        .fetch_one(connection)
        .await?;
    let count = |index: usize| row.try_get::<i64, _>(index);
    let value = |index: usize| row.try_get::<Decimal, _>(index);
    let estimated = value(9)?;
    let final_value = value(11)? + value(13)? + value(18)?;
    Ok(Dashboard {
        total_active: count(0)?,
        overdue: count(1)?,
        due_today: count(2)?,
        on_track: count(3)?,
        overdue30_plus: count(4)?,
        waiting_quote: count(5)?,
        approved: count(6)?,
        being_repaired: count(7)?,
        shipping: count(8)?,
        total_estimated_value: Money::from_database(estimated),
        total_final_value: Money::from_database(final_value),
        total_value: Money::from_database(estimated + final_value),
        approved_paid: count(10)?,
        approved_net: count(12)?,
        rai: count(14)?,
        ber: count(15)?,
        cancel: count(16)?,
        scrapped: count(17)?,
    })
}

fn taken_number_as_conflict(error: sqlx::Error, order: &RepairOrder) -> ApiError {
    if is_duplicate_key(&error) {
        ApiError::Conflict(format!("There is already a repair order with the number {}.", order.ro_number))
    } else {
        error.into()
    }
}

/// Reads `id` and then the columns as [`crate::sql`] lists them, from column `first` on.
fn decode(row: &MySqlRow, first: usize, archive: Archive) -> Result<RepairOrder, ApiError> {
    let text = |offset: usize| row.try_get::<Option<String>, _>(first + offset);
    let day = |offset: usize| row.try_get::<StoredDay, _>(first + offset).map(|StoredDay(day)| day);
    let money =
        |offset: usize| row.try_get(first + offset).map(|amount: Option<Decimal>| amount.map(Money::from_database));
    Ok(RepairOrder {
        id: row.try_get(first)?,
        ro_number: row.try_get(first + 1)?,
        date_made: day(2)?,
        shop_name: text(3)?,
        part_number: text(4)?,
        serial_number: text(5)?,
        part_description: text(6)?,
        required_work: text(7)?,
        date_dropped_off: day(8)?,
        estimated_cost: money(9)?,
        final_cost: money(10)?,
        terms: text(11)?,
        shop_reference_number: text(12)?,
        estimated_delivery_date: day(13)?,
        current_status: text(14)?,
        current_status_date: day(15)?,
        gen_thrust_status: text(16)?,
        shop_status: text(17)?,
        tracking_number: text(18)?,
        notes: text(19)?,
        last_date_updated: day(20)?,
        next_date_to_update: day(21)?,
        archive_status: archive,
    })
}

/// Binds the columns as [`crate::sql`] lists them.
fn bind<'q>(query: Query<'q, MySql, MySqlArguments>, order: &'q RepairOrder) -> Query<'q, MySql, MySqlArguments> {
    let date = |day: Option<Day>| day.map(|Day(date)| date);
    let amount = |money: Option<Money>| money.map(Money::amount);
    query
        .bind(&order.ro_number)
        .bind(date(order.date_made))
        .bind(&order.shop_name)
        .bind(&order.part_number)
        .bind(&order.serial_number)
        .bind(&order.part_description)
        .bind(&order.required_work)
        .bind(date(order.date_dropped_off))
        .bind(amount(order.estimated_cost))
        .bind(amount(order.final_cost))
        .bind(&order.terms)
        .bind(&order.shop_reference_number)
        .bind(date(order.estimated_delivery_date))
        .bind(&order.current_status)
        .bind(date(order.current_status_date))
        .bind(&order.gen_thrust_status)
        .bind(&order.shop_status)
        .bind(&order.tracking_number)
        .bind(&order.notes)
        .bind(date(order.last_date_updated))
        .bind(date(order.next_date_to_update))
}
