//! The four tables of orders.

use std::{collections::HashMap, sync::LazyLock};

use app_core::{
    db::is_duplicate_key,
    http::ApiError,
    values::{Day, Money},
};
use rust_decimal::Decimal;
use serde::Deserialize;
use sqlx::{
    Column, ColumnOrigin, FromRow, MySql, MySqlConnection, QueryBuilder, Row,
    mysql::{MySqlArguments, MySqlColumn, MySqlRow},
    query::Query,
};

use super::PerTable;
use crate::model::{
    ArchiveStatus, ColumnValue, HistoryAction, LockedOrder, OrderDetail, OrderDigest, OrderKey, RepairOrder,
    StatusChange,
};

/// The names of the columns of [`RepairOrder::columns`].
static COLUMN_NAMES: LazyLock<[&str; RepairOrder::COLUMN_COUNT]> =
    LazyLock::new(|| RepairOrder::default().columns().map(|(name, _)| name));

/// The same, separated by commas.
pub(super) static COLUMNS: LazyLock<String> = LazyLock::new(|| COLUMN_NAMES.join(", "));

/// The columns of an order, wherever it is: for statements with [`ORDER_TABLES`].
static ORDER_COLUMNS: LazyLock<String> = LazyLock::new(|| {
    // At most one of the four tables has the order, so the first value that is not null is the order's.
    let columns = COLUMN_NAMES
        .map(|name| format!("COALESCE(active.{name}, paid.{name}, net.{name}, `returns`.{name}) AS {name}"))
        .join(", ");
    format!(
        "CASE
             WHEN active.id IS NOT NULL THEN 'ACTIVE'
             WHEN paid.id IS NOT NULL THEN 'PAID'
             WHEN net.id IS NOT NULL THEN 'NET'
             WHEN `returns`.id IS NOT NULL THEN 'RETURNED'
         END AS archive, ro_registry.id, {columns}"
    )
});

/// The registry, and the table that has the order. After a TRUNCATE, none may have it.
const ORDER_TABLES: &str = "
    ro_registry
    LEFT JOIN active ON active.id = ro_registry.id
    LEFT JOIN paid ON paid.id = ro_registry.id
    LEFT JOIN net ON net.id = ro_registry.id
    LEFT JOIN `returns` ON `returns`.id = ro_registry.id";

/// The key of a bound number, by which the registry has it. The number has the form of [`RoNumber`](crate::model::RoNumber)
/// already, so only its case is left.
const NUMBER_KEY: &str = "UPPER(? COLLATE utf8mb4_bin)";

/// Returns the order with its status history, if it exists.
pub async fn find(connection: &mut MySqlConnection, key: &OrderKey) -> Result<Option<OrderDetail>, ApiError> {
    /// The last revision, and the entries that set a status, as a JSON list.
    const STATUS_HISTORY_COLUMNS: &str = "
        (SELECT MAX(revision) FROM ro_history WHERE order_id = ro_registry.id) AS revision,
        (SELECT CAST(JSON_ARRAYAGG(JSON_OBJECT(
             'revision', revision,
             'action', action,
             'status', status,
             'date', status_date,
             'user', user,
             'cost', CAST(cost AS CHAR),
             'notes', notes
         )) AS CHAR)
         FROM ro_history
         WHERE order_id = ro_registry.id AND status IS NOT NULL) AS status_history";
    static FIND: LazyLock<String> =
        LazyLock::new(|| format!("SELECT {}, {STATUS_HISTORY_COLUMNS} FROM {ORDER_TABLES}", *ORDER_COLUMNS));
    static FIND_BY_ID: LazyLock<String> = LazyLock::new(|| format!("{} WHERE ro_registry.id = ?", *FIND));
    static FIND_BY_NUMBER: LazyLock<String> =
        LazyLock::new(|| format!("{} WHERE ro_registry.number_key = {NUMBER_KEY}", *FIND));

    let query = match key {
        OrderKey::Id(id) => sqlx::query(FIND_BY_ID.as_str()).bind(id),
        OrderKey::Number(number) => sqlx::query(FIND_BY_NUMBER.as_str()).bind(&**number),
    };
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
    let Some(order) = order_in(&row)? else { return Ok(None) };
    Ok(Some(OrderDetail {
        order,
        revision: row.try_get::<Option<i64>, _>("revision")?.unwrap_or(0),
        status_history: status_history(row.try_get("status_history")?)?,
    }))
}

/// Returns the order, if it exists, and locks it until the transaction ends.
pub async fn lock(connection: &mut MySqlConnection, key: &OrderKey) -> Result<Option<LockedOrder>, ApiError> {
    static LOCK: LazyLock<String> = LazyLock::new(|| {
        // `*` is for the names of all columns. The known columns come after it, because sqlx finds the last of several columns
        // with one name.
        format!(
            "SELECT active.*, paid.*, net.*, `returns`.*, {},
                 last_entry.revision, last_entry.digest, last_entry.digest_columns
             FROM {ORDER_TABLES}
             LEFT JOIN ro_history last_entry
                 ON last_entry.order_id = ro_registry.id
                 -- Without FOR UPDATE, this reads the entry as it was before the order was locked.
                 AND last_entry.revision =
                     (SELECT MAX(revision) FROM ro_history WHERE order_id = ro_registry.id FOR UPDATE)",
            *ORDER_COLUMNS,
        )
    });
    static LOCK_BY_ID: LazyLock<String> = LazyLock::new(|| format!("{} WHERE ro_registry.id = ? FOR UPDATE", *LOCK));
    // Locks the row by its id, as the other statements do, so that they cannot deadlock: a move holds the row while it changes
    // the index of numbers. The subquery reads the id without a lock, so the number is checked again, because another order
    // may have it by now.
    static LOCK_BY_NUMBER: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{}
             WHERE ro_registry.id = (SELECT id FROM ro_registry WHERE number_key = {NUMBER_KEY})
               AND ro_registry.number_key = {NUMBER_KEY}
             FOR UPDATE",
            *LOCK
        )
    });

    let query = match key {
        OrderKey::Id(id) => sqlx::query(LOCK_BY_ID.as_str()).bind(id),
        OrderKey::Number(number) => sqlx::query(LOCK_BY_NUMBER.as_str()).bind(&**number).bind(&**number),
    };
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
    let Some(order) = order_in(&row)? else { return Ok(None) };
    let digest: Option<Vec<u8>> = row.try_get("digest")?;
    let digest_columns: Option<String> = row.try_get("digest_columns")?;
    Ok(Some(LockedOrder {
        revision: row.try_get::<Option<i64>, _>("revision")?.unwrap_or(0),
        digest: digest.zip(digest_columns).map(|(digest, columns)| OrderDigest { digest, columns }),
        other_columns: other_columns(&row, order.archive_status),
        order,
    }))
}

/// Returns the order in a row with [`ORDER_COLUMNS`], unless none of the four tables has it.
fn order_in(row: &MySqlRow) -> Result<Option<RepairOrder>, ApiError> {
    if row.try_get::<Option<&str>, _>("archive")?.is_none() {
        return Ok(None);
    }
    Ok(Some(RepairOrder::from_row(row)?))
}

/// Returns the names of those columns of the table of `archive` that this program does not know.
fn other_columns(row: &MySqlRow, archive: ArchiveStatus) -> Vec<String> {
    let is_in_table = |column: &MySqlColumn| match column.origin() {
        ColumnOrigin::Table(origin) => origin.table.rsplit('.').next() == Some(archive.table()),
        ColumnOrigin::Expression | ColumnOrigin::Unknown => false,
    };
    let is_known = |name: &str| name == "id" || COLUMN_NAMES.contains(&name);
    let in_table = row.columns().iter().filter(|column| is_in_table(column));
    in_table.map(Column::name).filter(|name| !is_known(name)).map(str::to_owned).collect()
}

/// A history entry that set a status, as [`find`] reads it.
#[derive(Deserialize)]
struct StatusEntry {
    revision: i64,
    action: String,
    status: String,
    date: Option<Day>,
    user: Option<String>,
    cost: Option<String>,
    notes: Option<String>,
}

/// Reads the JSON list of [`StatusEntry`] in any order; `None` is an empty one. A `FOUND` entry
/// always has a status. It is left out if the entry before it has the same status and date.
fn status_history(entries: Option<String>) -> Result<Vec<StatusChange>, ApiError> {
    let mut entries: Vec<StatusEntry> =
        entries.map_or(Ok(Vec::new()), |entries| serde_json::from_str(&entries)).map_err(ApiError::internal)?;
    entries.sort_by_key(|entry| entry.revision);
    let mut changes: Vec<StatusChange> = Vec::with_capacity(entries.len());
    for StatusEntry { revision: _, action, status, date, user, cost, notes } in entries {
        let is_found = action == HistoryAction::Found.name();
        if is_found && changes.last().is_some_and(|last| (&last.status, last.date) == (&status, date)) {
            continue;
        }
        let cost = cost.map(|cost| cost.parse::<Decimal>()).transpose().map_err(ApiError::internal)?;
        changes.push(StatusChange { status, date, user, cost: cost.map(Money::from_database), notes });
    }
    Ok(changes)
}

/// Inserts `order` into the table of its archive status and returns the id that the database gives it.
///
/// # Errors
/// [`ApiError::Conflict`] when any of the four tables has the number.
pub async fn insert(connection: &mut MySqlConnection, order: &RepairOrder) -> Result<i64, ApiError> {
    static INSERT: LazyLock<PerTable> = LazyLock::new(|| {
        PerTable::new(|archive| {
            format!(
                "INSERT INTO `{}` ({})
                 VALUES ({})",
                archive.table(),
                *COLUMNS,
                COLUMN_NAMES.map(|_| "?").join(", "),
            )
        })
    });
    let query = sqlx::query(INSERT.get(order.archive_status));
    let done = bind_columns(query, order).execute(connection).await.map_err(|error| conflict_if_taken(error, order))?;
    i64::try_from(done.last_insert_id()).map_err(ApiError::internal)
}

/// Inserts `orders` into the table of `archive`, whatever their own archive status and id, and returns the ids that the database
/// gives them, in the same order. Their numbers must have the form of [`RoNumber`](crate::model::RoNumber).
///
/// # Errors
/// [`ApiError::Conflict`] when any of the four tables has one of the numbers, or two of the orders have the same.
pub async fn insert_many(
    connection: &mut MySqlConnection,
    archive: ArchiveStatus,
    orders: &[RepairOrder],
) -> Result<Vec<i64>, ApiError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let mut statement = QueryBuilder::new(format!("INSERT INTO `{}` ({}) ", archive.table(), *COLUMNS));
    statement.push_values(orders, |mut row, order| {
        for (_, value) in order.columns() {
            match value {
                ColumnValue::Text(text) => row.push_bind(text),
                ColumnValue::Day(day) => row.push_bind(day),
                ColumnValue::Money(money) => row.push_bind(money),
            };
        }
    });
    statement.build().execute(&mut *connection).await.map_err(|error| {
        if is_duplicate_key(&error) {
            ApiError::Conflict("There is already a repair order with one of these numbers.".to_owned())
        } else {
            error.into()
        }
    })?;

    // The triggers take the ids from the registry, so LAST_INSERT_ID() does not tell them.
    let numbers: Vec<&str> = orders.iter().map(|order| &*order.ro_number).collect();
    let ids = ids_of_numbers(connection, &numbers).await?;
    let ids: HashMap<&str, i64> = ids.iter().map(|(number, id)| (&**number, *id)).collect();
    let ids: Option<Vec<i64>> = orders.iter().map(|order| ids.get(order.ro_number.trim()).copied()).collect();
    ids.ok_or_else(|| {
        ApiError::internal(
            "the registry lacks an order that was just inserted, or its number is not in its stored form",
        )
    })
}

/// Returns the number and the id of each order that has one of `numbers`, whatever their case.
pub async fn ids_of_numbers(
    connection: &mut MySqlConnection,
    numbers: &[&str],
) -> Result<Vec<(String, i64)>, ApiError> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let mut statement = QueryBuilder::new("SELECT ro_number, id FROM ro_registry WHERE number_key IN (");
    let mut list = statement.separated(", ");
    for number in numbers {
        list.push("UPPER(").push_bind_unseparated(number.trim()).push_unseparated(" COLLATE utf8mb4_bin)");
    }
    statement.push(")");
    Ok(statement.build_query_as().fetch_all(connection).await?)
}

/// Updates the row of `order` in the table of its archive status.
///
/// # Errors
/// [`ApiError::Conflict`] when another order has the number.
pub async fn update(connection: &mut MySqlConnection, order: &RepairOrder) -> Result<(), ApiError> {
    static UPDATE: LazyLock<PerTable> = LazyLock::new(|| {
        PerTable::new(|archive| {
            format!(
                "UPDATE `{}`
                 SET {}
                 WHERE id = ?",
                archive.table(),
                COLUMN_NAMES.map(|name| format!("{name} = ?")).join(", "),
            )
        })
    });
    let query = sqlx::query(UPDATE.get(order.archive_status));
    bind_columns(query, order)
        .bind(order.id)
        .execute(connection)
        .await
        .map_err(|error| conflict_if_taken(error, order))?;
    Ok(())
}

/// Moves an order from the table where it was locked to that of its new archive status, and updates it on the way. It keeps its
/// id and the values of all columns that this program does not know.
///
/// # Errors
/// [`ApiError::Conflict`] when another order has the number. Another error, without any change, if the other table lacks one of
/// the unknown columns.
pub async fn move_order(
    connection: &mut MySqlConnection,
    locked: &LockedOrder,
    order: &RepairOrder,
) -> Result<(), ApiError> {
    let from = locked.order.archive_status;
    let other_columns: String =
        locked.other_columns.iter().map(|name| format!(", `{}`", name.replace('`', "``"))).collect();
    let mut statement = QueryBuilder::new(format!(
        "INSERT INTO `{}` (id, {}{other_columns})
         SELECT id",
        order.archive_status.table(),
        *COLUMNS,
    ));
    for (_, value) in order.columns() {
        statement.push(", ");
        match value {
            ColumnValue::Text(text) => statement.push_bind(text),
            ColumnValue::Day(day) => statement.push_bind(day),
            ColumnValue::Money(money) => statement.push_bind(money),
        };
    }
    statement.push(format!("{other_columns} FROM `{}` WHERE id = ", from.table())).push_bind(order.id);
    // The triggers accept a second row with this id because the pool's sessions set `@program`.
    statement.build().execute(&mut *connection).await.map_err(|error| conflict_if_taken(error, order))?;
    delete(connection, from, order.id).await
}

/// Deletes the row `id` from the table of `archive`.
pub async fn delete(connection: &mut MySqlConnection, archive: ArchiveStatus, id: i64) -> Result<(), ApiError> {
    static DELETE: LazyLock<PerTable> =
        LazyLock::new(|| PerTable::new(|archive| format!("DELETE FROM `{}` WHERE id = ?", archive.table())));
    sqlx::query(DELETE.get(archive)).bind(id).execute(connection).await?;
    Ok(())
}

/// Checks that the database answers.
pub async fn ping(connection: &mut MySqlConnection) -> Result<(), ApiError> {
    sqlx::query("SELECT 1").execute(connection).await?;
    Ok(())
}

fn bind_columns<'order>(
    query: Query<'order, MySql, MySqlArguments>,
    order: &'order RepairOrder,
) -> Query<'order, MySql, MySqlArguments> {
    order.columns().into_iter().fold(query, |query, (_, value)| match value {
        ColumnValue::Text(text) => query.bind(text),
        ColumnValue::Day(day) => query.bind(day),
        ColumnValue::Money(money) => query.bind(money),
    })
}

fn conflict_if_taken(error: sqlx::Error, order: &RepairOrder) -> ApiError {
    if is_duplicate_key(&error) {
        ApiError::Conflict(format!("There is already a repair order with the number {}.", order.ro_number))
    } else {
        error.into()
    }
}
