//! The SQL of repair orders. Functions take a connection and decide nothing.
//!
//! Ids and numbers are unique over the four tables because triggers enter every row, whoever writes it, into
//! `ro_registry` (see `migrations/main`). The registry row is also what a change locks first, so that moves and updates
//! of one order queue up in one place wherever the order is at the moment.

use app_core::{
    clock::days_before,
    db::is_duplicate_key,
    http::ApiError,
    values::{Day, Money, StoredDay},
};
use async_stream::try_stream;
use chrono::NaiveDate;
use futures_util::{Stream, TryStreamExt};
use rust_decimal::Decimal;
use sqlx::{
    MySql, MySqlConnection, MySqlPool, Row,
    mysql::{MySqlArguments, MySqlRow},
    query::Query,
};

use crate::model::{Archive, Dashboard, RepairOrder, RoNumber};

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
    pub limit: Option<u64>,
    /// How many to leave out at the start.
    pub offset: u64,
}

/// The statement with the table of `$archive` in its gaps. Table names cannot be bound, and this way every statement is
/// a constant that no input reaches.
macro_rules! in_table {
    ($archive:expr, $before:tt, $after:tt) => {
        match $archive {
            Archive::Active => in_table!(@ "active", $before, $after),
            Archive::Paid => in_table!(@ "paid", $before, $after),
            Archive::Net => in_table!(@ "net", $before, $after),
            Archive::Returned => in_table!(@ "returns", $before, $after),
        }
    };
    (@ $table:literal, [$($before:tt)*], [$($after:tt)*]) => {
        concat!($($before)*, " `", $table, "` ", $($after)*)
    };
}

/// Every column but the id, in the order in which [`decode`] reads and [`bind`] writes them. `CURENT_STATUS` is spelt
/// like that in the database.
macro_rules! columns {
    ($each:ident) => {
        concat!(
            $each!("RO"),
            ", ",
            $each!("DATE_MADE"),
            ", ",
            $each!("SHOP_NAME"),
            ", ",
            $each!("PART"),
            ", ",
            $each!("SERIAL"),
            ", ",
            $each!("PART_DESCRIPTION"),
            ", ",
            $each!("REQ_WORK"),
            ", ",
            $each!("DATE_DROPPED_OFF"),
            ", ",
            $each!("ESTIMATED_COST"),
            ", ",
            $each!("FINAL_COST"),
            ", ",
            $each!("TERMS"),
            ", ",
            $each!("SHOP_REF"),
            ", ",
            $each!("ESTIMATED_DELIVERY_DATE"),
            ", ",
            $each!("CURENT_STATUS"),
            ", ",
            $each!("CURENT_STATUS_DATE"),
            ", ",
            $each!("GENTHRUST_STATUS"),
            ", ",
            $each!("SHOP_STATUS"),
            ", ",
            $each!("TRACKING_NUMBER_PICKING_UP"),
            ", ",
            $each!("NOTES"),
            ", ",
            $each!("LAST_DATE_UPDATED"),
            ", ",
            $each!("NEXT_DATE_TO_UPDATE")
        )
    };
}

macro_rules! plain {
    ($column:literal) => {
        $column
    };
}

macro_rules! set {
    ($column:literal) => {
        concat!($column, " = ?")
    };
}

macro_rules! placeholder {
    ($column:literal) => {
        "?"
    };
}

/// At most one of the four tables has the row, so the first value that is not null is the row's, if it has one.
macro_rules! wherever_it_is {
    ($column:literal) => {
        concat!("COALESCE(a.", $column, ", p.", $column, ", n.", $column, ", r.", $column, ")")
    };
}

/// One order from whichever table has it, in one statement. It starts at the registry: with `FOR UPDATE` that row is
/// locked before the tables are looked at, so they are seen as the previous holder of the lock left them.
macro_rules! select_one {
    ($condition:literal) => {
        concat!(
            "SELECT CASE WHEN a.id IS NOT NULL THEN 0 WHEN p.id IS NOT NULL THEN 1 WHEN n.id IS NOT NULL THEN 2 \
             WHEN r.id IS NOT NULL THEN 3 END, registry.id, ",
            columns!(wherever_it_is),
            " FROM ro_registry registry LEFT JOIN active a ON a.id = registry.id LEFT JOIN paid p ON p.id = registry.id \
             LEFT JOIN net n ON n.id = registry.id LEFT JOIN `returns` r ON r.id = registry.id WHERE registry.",
            $condition
        )
    };
}

/// The orders of `archive`, by the day on which someone should ask again (design, reading 12).
pub fn list(db: MySqlPool, archive: Archive, page: Page) -> impl Stream<Item = Result<RepairOrder, ApiError>> + Send {
    let sql = in_table!(
        archive,
        ["SELECT id, ", columns!(plain), " FROM"],
        ["ORDER BY NEXT_DATE_TO_UPDATE IS NULL, NEXT_DATE_TO_UPDATE, DATE_MADE DESC, id LIMIT ? OFFSET ?"]
    );
    try_stream! {
        let mut connection = db.acquire().await?;
        // MySQL has no word for "no limit".
        let query = sqlx::query(sql).bind(page.limit.unwrap_or(u64::MAX)).bind(page.offset);
        let mut rows = query.fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            yield decode(&row, 0, archive)?;
        }
    }
}

/// The order, if there is one.
pub async fn find(connection: &mut MySqlConnection, key: &OrderKey) -> Result<Option<RepairOrder>, ApiError> {
    select(connection, key, select_one!("id = ?"), select_one!("ro_number = ?")).await
}

/// The order, if there is one, locked until the transaction ends.
pub async fn lock(connection: &mut MySqlConnection, key: &OrderKey) -> Result<Option<RepairOrder>, ApiError> {
    select(connection, key, select_one!("id = ? FOR UPDATE"), select_one!("ro_number = ? FOR UPDATE")).await
}

async fn select(
    connection: &mut MySqlConnection,
    key: &OrderKey,
    by_id: &'static str,
    by_number: &'static str,
) -> Result<Option<RepairOrder>, ApiError> {
    let query = match key {
        OrderKey::Id(id) => sqlx::query(by_id).bind(*id),
        OrderKey::Number(number) => sqlx::query(by_number).bind(number.as_str()),
    };
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
    let archive: Option<i64> = row.try_get(0)?;
    let archive = archive.and_then(|number| Archive::ALL.get(usize::try_from(number).ok()?));
    archive.map(|archive| decode(&row, 1, *archive)).transpose()
}

/// Adds `order` to the table of its archive status. With id 0 the database gives the next one of the sequence that the
/// four tables share; the answer is the row's id.
///
/// # Errors
/// [`ApiError::Conflict`] when the number is taken in any of the four tables.
pub async fn insert(connection: &mut MySqlConnection, order: &RepairOrder) -> Result<i64, ApiError> {
    let sql = in_table!(
        order.archive_status,
        ["INSERT INTO"],
        ["(", columns!(plain), ", id) VALUES (", columns!(placeholder), ", ?)"]
    );
    let done = bind(sqlx::query(sql), order)
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
    let sql = in_table!(order.archive_status, ["UPDATE"], ["SET ", columns!(set), " WHERE id = ?"]);
    bind(sqlx::query(sql), order)
        .bind(order.id)
        .execute(connection)
        .await
        .map_err(|error| taken_number_as_conflict(error, order))?;
    Ok(())
}

/// Deletes the row `id` of `archive`'s table.
pub async fn delete(connection: &mut MySqlConnection, archive: Archive, id: i64) -> Result<(), ApiError> {
    sqlx::query(in_table!(archive, ["DELETE FROM"], ["WHERE id = ?"])).bind(id).execute(connection).await?;
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
    let row = sqlx::query(
        "SELECT a.*, p.*, n.*, r.* FROM \
         (SELECT COUNT(*), COUNT(IF(NEXT_DATE_TO_UPDATE < ?, 1, NULL)) AS overdue, \
           COUNT(IF(NEXT_DATE_TO_UPDATE = ?, 1, NULL)) AS due_today, \
           COUNT(IF(NEXT_DATE_TO_UPDATE >= ?, 1, NULL)) AS on_track, \
           COUNT(IF(NEXT_DATE_TO_UPDATE < ?, 1, NULL)) AS overdue_30_plus, \
           COUNT(IF(CAST(CURENT_STATUS AS BINARY) = 'WAITING QUOTE', 1, NULL)) AS waiting_quote, \
           COUNT(IF(CAST(CURENT_STATUS AS BINARY) = 'APPROVED', 1, NULL)) AS approved, \
           COUNT(IF(CAST(CURENT_STATUS AS BINARY) = 'BEING REPAIRED', 1, NULL)) AS being_repaired, \
           COUNT(IF(CAST(CURENT_STATUS AS BINARY) LIKE '%SHIPPING%', 1, NULL)) AS shipping, \
           COALESCE(SUM(ESTIMATED_COST), 0) AS estimated FROM active) a, \
         (SELECT COUNT(*) AS paid_count, COALESCE(SUM(FINAL_COST), 0) AS paid_value FROM paid) p, \
         (SELECT COUNT(*) AS net_count, COALESCE(SUM(FINAL_COST), 0) AS net_value FROM net) n, \
         (SELECT COUNT(IF(UPPER(CURENT_STATUS) LIKE 'RAI%', 1, NULL)) AS rai, \
           COUNT(IF(UPPER(CURENT_STATUS) LIKE 'BER%', 1, NULL)) AS ber, \
           COUNT(IF(UPPER(CURENT_STATUS) LIKE 'CANCEL%', 1, NULL)) AS cancelled, \
           COUNT(IF(UPPER(CURENT_STATUS) LIKE 'SCRAP%', 1, NULL)) AS scrapped, \
           COALESCE(SUM(FINAL_COST), 0) AS returned_value FROM `returns`) r",
    )
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

/// Reads `id` and then the columns as [`columns!`] lists them, from column `first` on.
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

/// Binds the columns as [`columns!`] lists them.
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
