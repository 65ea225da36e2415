//! The comparisons of `rotracker check`: the four tables of orders with their registry and their history.

use std::sync::LazyLock;

use app_core::{
    db::{Comparison, Difference},
    http::ApiError,
};
use futures_util::TryStreamExt;
use sqlx::{FromRow, MySqlConnection, Row, mysql::MySqlRow};

use super::{PerTable, orders::COLUMNS};
use crate::model::{ArchiveStatus, OrderDigest, RepairOrder};

/// Compares what must agree, and keeps the first `kept` differences of each kind. In a transaction with a snapshot, all of it is of
/// one instant. Memory does not grow with the tables.
///
/// # Errors
/// When the database fails.
pub async fn check(connection: &mut MySqlConnection, kept: usize) -> Result<Vec<Comparison>, ApiError> {
    Ok(vec![
        Comparison::of_rows(connection, "orders and their registry", kept, &ORDERS_IN_REGISTRY).await?,
        Comparison::of_rows(connection, "the registry and its orders", kept, &REGISTRY_IN_TABLES).await?,
        Comparison::of_next_id(connection, "the next id of an order", "ro_registry", GREATEST_ID).await?,
        orders_and_history(connection, kept).await?,
        Comparison::of_rows(connection, "revisions of the history", kept, REVISIONS).await?,
        Comparison::of_rows(connection, "first entries of the history", kept, FIRST_ENTRIES).await?,
        Comparison::of_rows(connection, "histories of deleted orders", kept, &HISTORIES_WITHOUT_ORDER).await?,
        Comparison::of_rows(connection, "saved responses and orders", kept, RESPONSES_WITHOUT_ORDER).await?,
        Comparison::of_rows(connection, "figures of the archive and its orders", kept, FIGURES).await?,
    ])
}

/// The rows of the four tables that the registry does not have as they are.
static ORDERS_IN_REGISTRY: LazyLock<String> = LazyLock::new(|| {
    let selects = ArchiveStatus::ALL.map(|archive| {
        format!(
            "SELECT '{table}' AS table_name,
                    CAST(found.id AS CHAR) AS row_id,
                    CASE
                        WHEN registered.id IS NULL THEN 'is not in ro_registry'
                        WHEN registered.archive <> '{name}' THEN CONCAT('is in ro_registry as ', registered.archive)
                        ELSE CONCAT('has the number ', found.RO, ', and in ro_registry ', registered.ro_number)
                    END AS difference
             FROM `{table}` found
             LEFT JOIN ro_registry registered ON registered.id = found.id
             WHERE registered.id IS NULL
                OR registered.archive <> '{name}'
                -- Byte by byte, because in the collation of the columns `ro1` equals `RO1`.
                OR CAST(registered.ro_number AS BINARY) <> CAST(TRIM(found.RO) AS BINARY)",
            table = archive.table(),
            name = archive.name(),
        )
    });
    selects.join(" UNION ALL ")
});

/// The rows of the registry whose order is not where it says.
static REGISTRY_IN_TABLES: LazyLock<String> = LazyLock::new(|| {
    let conditions = ArchiveStatus::ALL.map(|archive| {
        format!(
            "NOT (archive = '{name}' AND EXISTS (SELECT 1 FROM `{table}` WHERE `{table}`.id = ro_registry.id))",
            name = archive.name(),
            table = archive.table(),
        )
    });
    format!(
        "SELECT 'ro_registry' AS table_name,
                CAST(id AS CHAR) AS row_id,
                CONCAT('has the order ', ro_number, ' as ', archive, ', where it is not') AS difference
         FROM ro_registry
         WHERE {}",
        conditions.join(" AND ")
    )
});

/// The greatest id that any order ever had.
const GREATEST_ID: &str = "
    SELECT CAST(GREATEST(
        COALESCE((SELECT MAX(id) FROM ro_registry), 0),
        COALESCE((SELECT MAX(order_id) FROM ro_history), 0)
    ) AS SIGNED)";

/// Histories in which an entry is missing.
const REVISIONS: &str = "
    SELECT 'ro_history' AS table_name,
           CONCAT('of order ', order_id) AS row_id,
           CONCAT('has ', COUNT(*), ' entries, with revisions from ', MIN(revision), ' to ', MAX(revision)) AS difference
    FROM ro_history
    GROUP BY order_id
    HAVING MIN(revision) <> 1 OR MAX(revision) <> COUNT(*)";

/// First entries that do not say how the order came to be.
const FIRST_ENTRIES: &str = "
    SELECT 'ro_history' AS table_name,
           CAST(id AS CHAR) AS row_id,
           CONCAT('is the first entry of order ', order_id, ', and says ', action) AS difference
    FROM ro_history
    WHERE revision = 1 AND action NOT IN ('CREATED', 'IMPORTED', 'FOUND')";

/// Histories that do not end with a deletion, though no table has the order.
static HISTORIES_WITHOUT_ORDER: LazyLock<String> = LazyLock::new(|| {
    let conditions = ArchiveStatus::ALL.map(|archive| {
        let table = archive.table();
        format!("NOT EXISTS (SELECT 1 FROM `{table}` WHERE `{table}`.id = entry.order_id)")
    });
    format!(
        "SELECT 'ro_history' AS table_name,
                CONCAT('of order ', entry.order_id) AS row_id,
                CONCAT('ends with ', entry.action, ' (revision ', entry.revision, '), but no table has the order')
                    AS difference
         FROM ro_history entry
         WHERE entry.action <> 'DELETED'
           AND {}
           AND NOT EXISTS (
               SELECT 1
               FROM ro_history later
               WHERE later.order_id = entry.order_id AND later.revision > entry.revision
           )",
        conditions.join(" AND ")
    )
});

/// Saved responses that show an order of which there is neither a row nor a history.
const RESPONSES_WITHOUT_ORDER: &str = "
    SELECT 'idempotency_keys' AS table_name,
           HEX(digest) AS row_id,
           CONCAT('has a response about order ', order_id, ', which never existed') AS difference
    FROM (
        SELECT digest, CAST(JSON_UNQUOTE(JSON_EXTRACT(body, '$.id')) AS SIGNED) AS order_id
        FROM (
            SELECT digest, IF(JSON_VALID(CONVERT(body USING utf8mb4)), CONVERT(body USING utf8mb4), '{}') AS body
            FROM idempotency_keys
            WHERE status IN (200, 201)
        ) responses
        -- Responses about other things have no number of an order.
        WHERE JSON_EXTRACT(body, '$.roNumber') IS NOT NULL
    ) shown
    WHERE NOT EXISTS (SELECT 1 FROM ro_history WHERE ro_history.order_id = shown.order_id)
      AND NOT EXISTS (SELECT 1 FROM ro_registry WHERE ro_registry.id = shown.order_id)";

/// The rows of `archive_figures` that are not the number and the final costs of the archived orders.
const FIGURES: &str = "
    SELECT 'archive_figures' AS table_name,
           CONCAT_WS(' ', archive, NULLIF(status, ''), slot) AS row_id,
           CONCAT('says ', SUM(said_orders), ' orders of ', SUM(said_cost),
                  ', and there are ', SUM(orders), ' of ', SUM(cost)) AS difference
    FROM (
        SELECT archive, status, slot, orders AS said_orders, final_cost AS said_cost, 0 AS orders, 0 AS cost
        FROM archive_figures
        UNION ALL
        SELECT 'PAID', '', id % 8, 0, 0, COUNT(*), COALESCE(SUM(FINAL_COST), 0)
        FROM paid
        GROUP BY id % 8
        UNION ALL
        SELECT 'NET', '', id % 8, 0, 0, COUNT(*), COALESCE(SUM(FINAL_COST), 0)
        FROM net
        GROUP BY id % 8
        UNION ALL
        SELECT 'RETURNED', COALESCE(CURENT_STATUS, '') COLLATE utf8mb4_bin, id % 8, 0, 0,
               COUNT(*), COALESCE(SUM(FINAL_COST), 0)
        FROM `returns`
        GROUP BY COALESCE(CURENT_STATUS, '') COLLATE utf8mb4_bin, id % 8
    ) figures
    GROUP BY archive, status, slot
    HAVING SUM(said_orders) <> SUM(orders) OR SUM(said_cost) <> SUM(cost)";

/// Compares each order with the digest in its last history entry.
async fn orders_and_history(connection: &mut MySqlConnection, kept: usize) -> Result<Comparison, ApiError> {
    static WITH_LAST_ENTRY: LazyLock<PerTable> = LazyLock::new(|| {
        let columns: Vec<String> = COLUMNS.split(", ").map(|column| format!("found.{column}")).collect();
        PerTable::new(|archive| {
            format!(
                "SELECT '{name}' AS archive, found.id, {columns},
                        last_entry.revision, last_entry.action, last_entry.digest, last_entry.digest_columns
                 FROM `{table}` found
                 LEFT JOIN ro_history last_entry
                     ON last_entry.order_id = found.id
                     AND last_entry.revision = (SELECT MAX(revision) FROM ro_history WHERE order_id = found.id)",
                name = archive.name(),
                columns = columns.join(", "),
                table = archive.table(),
            )
        })
    });

    let mut comparison = Comparison::new("orders and their history", kept);
    for archive in ArchiveStatus::ALL {
        let mut rows = sqlx::query(WITH_LAST_ENTRY.get(archive)).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            if let Some(difference) = difference_from_history(&row)? {
                let id: i64 = row.try_get("id")?;
                comparison.add(Difference {
                    table_name: archive.table().to_owned(),
                    row_id: id.to_string(),
                    difference,
                });
            }
        }
    }
    Ok(comparison)
}

/// Returns how the order in `row` differs from its last history entry.
fn difference_from_history(row: &MySqlRow) -> Result<Option<String>, ApiError> {
    let Some(revision) = row.try_get::<Option<i64>, _>("revision")? else {
        return Ok(Some("has no history: another program inserted it, or the history was lost".to_owned()));
    };
    let action: &str = row.try_get("action")?;
    let digest: Option<Vec<u8>> = row.try_get("digest")?;
    let digest_columns: Option<String> = row.try_get("digest_columns")?;
    let Some((digest, columns)) = digest.zip(digest_columns) else {
        return Ok(Some(format!("exists, but its history ends with {action} (revision {revision})")));
    };
    let order = match RepairOrder::from_row(row) {
        Ok(order) => order,
        Err(error) => return Ok(Some(format!("cannot be read: {error}"))),
    };
    Ok((!OrderDigest { digest, columns }.matches(&order)?).then(|| {
        format!(
            "is not as its history says ({action}, revision {revision}): another program has changed it, or a change was lost"
        )
    }))
}
