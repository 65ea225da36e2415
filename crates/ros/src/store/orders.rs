//! The four tables of orders.

use std::sync::LazyLock;

use app_core::{
    db::{Pool, is_duplicate_key, stream_rows},
    http::ApiError,
    values::{Day, Money},
};
use futures_util::Stream;
use rust_decimal::Decimal;
use serde::Deserialize;
use sqlx::{
    FromRow, MySql, MySqlConnection, QueryBuilder, Row,
    mysql::{MySqlArguments, MySqlRow},
    query::Query,
};

use super::PerTable;
use crate::model::{
    ArchiveStatus, ColumnValue, HistoryAction, ListRange, LockedOrder, OrderDetail, OrderDigest, OrderKey, RepairOrder,
    StatusChange,
};

/// The names of the columns of [`RepairOrder::columns`].
static COLUMN_NAMES: LazyLock<[&str; RepairOrder::COLUMN_COUNT]> =
    LazyLock::new(|| RepairOrder::default().columns().map(|(name, _)| name));

/// The same, separated by commas.
static COLUMNS: LazyLock<String> = LazyLock::new(|| COLUMN_NAMES.join(", "));

/// Lists the orders in `archive` by next update date, orders without one last; on one date the latest made first.
pub fn list(
    db: Pool,
    archive: ArchiveStatus,
    range: ListRange,
) -> impl Stream<Item = Result<RepairOrder, ApiError>> + Send {
    static LIST: LazyLock<PerTable> = LazyLock::new(|| {
        PerTable::new(|archive| {
            format!(
                "SELECT '{}' AS archive, id, {}
                 FROM `{}`
                 ORDER BY NEXT_DATE_TO_UPDATE IS NULL, NEXT_DATE_TO_UPDATE, DATE_MADE DESC, id
                 LIMIT ? OFFSET ?",
                archive.name(),
                *COLUMNS,
                archive.table(),
            )
        })
    });
    // MySQL has no word for "no limit".
    let limit = range.limit.unwrap_or(i64::MAX);
    stream_rows(db, sqlx::query(LIST.get(archive)).bind(limit).bind(range.offset))
}

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
    static FIND: LazyLock<String> = LazyLock::new(|| {
        // At most one of the four tables has the order, so the first value that is not null is the order's.
        let columns = COLUMN_NAMES
            .map(|name| format!("COALESCE(active.{name}, paid.{name}, net.{name}, `returns`.{name}) AS {name}"))
            .join(", ");
        format!(
            "SELECT CASE
                 WHEN active.id IS NOT NULL THEN 'ACTIVE'
                 WHEN paid.id IS NOT NULL THEN 'PAID'
                 WHEN net.id IS NOT NULL THEN 'NET'
                 WHEN `returns`.id IS NOT NULL THEN 'RETURNED'
             END AS archive, ro_registry.id, {columns}, {STATUS_HISTORY_COLUMNS}
             FROM ro_registry
             LEFT JOIN active ON active.id = ro_registry.id
             LEFT JOIN paid ON paid.id = ro_registry.id
             LEFT JOIN net ON net.id = ro_registry.id
             LEFT JOIN `returns` ON `returns`.id = ro_registry.id"
        )
    });
    static FIND_BY_ID: LazyLock<String> = LazyLock::new(|| format!("{} WHERE ro_registry.id = ?", *FIND));
    static FIND_BY_NUMBER: LazyLock<String> = LazyLock::new(|| format!("{} WHERE ro_registry.ro_number = ?", *FIND));

    let query = match key {
        OrderKey::Id(id) => sqlx::query(FIND_BY_ID.as_str()).bind(id),
        OrderKey::Number(number) => sqlx::query(FIND_BY_NUMBER.as_str()).bind(&**number),
    };
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
    // A TRUNCATE of a table leaves its orders in the registry.
    if row.try_get::<Option<&str>, _>("archive")?.is_none() {
        return Ok(None);
    }
    Ok(Some(OrderDetail {
        order: RepairOrder::from_row(&row)?,
        revision: row.try_get::<Option<i64>, _>("revision")?.unwrap_or(0),
        status_history: status_history(row.try_get("status_history")?)?,
    }))
}

/// Returns the order, if it exists, and locks it until the transaction ends.
pub async fn lock(connection: &mut MySqlConnection, key: &OrderKey) -> Result<Option<LockedOrder>, ApiError> {
    static LOCK: LazyLock<LockStatements> = LazyLock::new(|| LockStatements::new(|_| LAST_HISTORY_COLUMNS.to_owned()));
    let row = LOCK.query(key).fetch_optional(connection).await?;
    row.map(|row| locked_order(&row)).transpose()
}

/// Does the same as [`lock`] for an order that may be moved. Also returns the names of columns that other programs have added
/// to its table, because a move must copy them.
pub async fn lock_to_move(
    connection: &mut MySqlConnection,
    key: &OrderKey,
) -> Result<Option<(LockedOrder, Vec<String>)>, ApiError> {
    static LOCK_TO_MOVE: LazyLock<LockStatements> = LazyLock::new(|| {
        LockStatements::new(|archive| {
            format!(
                "{LAST_HISTORY_COLUMNS},
                 (SELECT CAST(JSON_ARRAYAGG(COLUMN_NAME) AS CHAR)
                  FROM information_schema.COLUMNS
                  WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{}') AS all_columns",
                archive.table()
            )
        })
    });
    let Some(row) = LOCK_TO_MOVE.query(key).fetch_optional(connection).await? else { return Ok(None) };
    let all_columns: Vec<String> =
        serde_json::from_str(&row.try_get::<String, _>("all_columns")?).map_err(ApiError::internal)?;
    let is_known = |name: &str| name == "id" || COLUMN_NAMES.contains(&name);
    let other_columns = all_columns.into_iter().filter(|name| !is_known(name)).collect();
    Ok(Some((locked_order(&row)?, other_columns)))
}

/// The columns of the last history entry.
const LAST_HISTORY_COLUMNS: &str = "last_entry.revision, last_entry.digest, last_entry.digest_columns";

/// Statements that read an order and lock it, first in the registry and then in its table.
struct LockStatements {
    by_id: String,
    by_number: String,
}

impl LockStatements {
    fn new(more_columns: impl Fn(ArchiveStatus) -> String) -> Self {
        let lock_where = |condition: &str| {
            select_from_all_tables(
                &more_columns,
                &format!(
                    "LEFT JOIN ro_history last_entry
                         ON last_entry.order_id = orders.id
                         -- Without FOR UPDATE, this reads the entry as it was before the order was locked.
                         AND last_entry.revision =
                             (SELECT MAX(revision) FROM ro_history WHERE order_id = orders.id FOR UPDATE)
                     WHERE {condition}
                     FOR UPDATE"
                ),
            )
        };
        Self {
            by_id: lock_where("ro_registry.id = ?"),
            // Locks the row by its id, as the other statements do, so that they cannot deadlock: a move holds the row while it
            // changes the index of numbers. The subquery reads the id without a lock, so the number is checked again, because
            // another order may have it by now.
            by_number: lock_where(
                "ro_registry.id = (SELECT id FROM ro_registry WHERE ro_number = ?) AND ro_registry.ro_number = ?",
            ),
        }
    }

    fn query<'key>(&'static self, key: &'key OrderKey) -> Query<'key, MySql, MySqlArguments> {
        match key {
            OrderKey::Id(id) => bind_for_all_tables(&self.by_id, |query| query.bind(id)),
            OrderKey::Number(number) => {
                bind_for_all_tables(&self.by_number, |query| query.bind(&**number).bind(&**number))
            }
        }
    }
}

/// Writes a statement that reads an order from that of the four tables which has it. `more_columns` are expressions about the row
/// `orders`, and may depend on the table. `clauses_after_from` follow after the FROM clause.
fn select_from_all_tables(more_columns: impl Fn(ArchiveStatus) -> String, clauses_after_from: &str) -> String {
    let columns = COLUMN_NAMES.map(|name| format!("orders.{name}")).join(", ");
    ArchiveStatus::ALL
        .map(|archive| {
            // STRAIGHT_JOIN, so that the registry's row is read and locked first.
            format!(
                "(SELECT '{}' AS archive, orders.id, {columns}, {}
                  FROM ro_registry
                  STRAIGHT_JOIN `{}` orders ON orders.id = ro_registry.id
                  {clauses_after_from})",
                archive.name(),
                more_columns(archive),
                archive.table(),
            )
        })
        .join(" UNION ALL ")
}

/// Binds the arguments once for each table.
fn bind_for_all_tables<'key>(
    statement: &'static str,
    bind: impl Fn(Query<'key, MySql, MySqlArguments>) -> Query<'key, MySql, MySqlArguments>,
) -> Query<'key, MySql, MySqlArguments> {
    ArchiveStatus::ALL.into_iter().fold(sqlx::query(statement), |query, _| bind(query))
}

fn locked_order(row: &MySqlRow) -> Result<LockedOrder, ApiError> {
    let digest: Option<Vec<u8>> = row.try_get("digest")?;
    let columns: Option<String> = row.try_get("digest_columns")?;
    Ok(LockedOrder {
        order: RepairOrder::from_row(row)?,
        revision: row.try_get::<Option<i64>, _>("revision")?.unwrap_or(0),
        digest: digest.zip(columns).map(|(digest, columns)| OrderDigest { digest, columns }),
    })
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

/// Moves the row of `order` from the table of `from` to that of its archive status, and updates it on the way. It keeps its id
/// and the values of `other_columns`, the columns that this program does not know.
///
/// # Errors
/// [`ApiError::Conflict`] when another order has the number. Another error, without any change, if the other table lacks one of
/// `other_columns`.
pub async fn move_order(
    connection: &mut MySqlConnection,
    from: ArchiveStatus,
    order: &RepairOrder,
    other_columns: &[String],
) -> Result<(), ApiError> {
    let other_columns: String = other_columns.iter().map(|name| format!(", `{}`", name.replace('`', "``"))).collect();
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
