//! What the database knows about the changes of a period, and about the rows of the old database that the importer has read.

use app_core::{
    http::{Cell, Record},
    values::Timestamp,
};
use chrono::{DateTime, SubsecRound, Utc};
use inventory::model::StockTransaction;
use ros::model::{ArchiveStatus, HistoryEntry};
use serde_json::{Map, Value};
use sqlx::{FromRow, MySqlConnection};

/// A row of the old database.
#[derive(Clone, Debug)]
pub(super) struct OldRow {
    pub(super) table: String,
    /// The value of its column `id`.
    pub(super) id: i64,
    /// Its columns, as the importer found them.
    pub(super) original: Map<String, Value>,
}

impl OldRow {
    /// Returns whether an order is in a database with the columns of this service, where numbers of orders are texts.
    pub(super) fn has_other_columns(&self) -> bool {
        self.original.get("RO").is_some_and(Value::is_string)
    }

    /// Returns the number of an order, as the importer reads it; an empty text if it has none.
    pub(super) fn order_number(&self) -> String {
        match self.original.get("RO") {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.as_f64().map(|number| number.to_string()).unwrap_or_default(),
            _ => String::new(),
        }
    }
}

#[derive(FromRow)]
struct ImportRow {
    source_table: String,
    source_row: i64,
    original: String,
}

impl From<ImportRow> for OldRow {
    fn from(row: ImportRow) -> Self {
        Self {
            table: row.source_table,
            id: row.source_row,
            original: serde_json::from_str(&row.original).unwrap_or_default(),
        }
    }
}

/// Lists the whole history of each order that this service has changed since. What the importer did is in the old database already.
pub(super) async fn history(connection: &mut MySqlConnection, since: DateTime<Utc>) -> sqlx::Result<Vec<HistoryEntry>> {
    sqlx::query_as(
        "SELECT revision, order_id, ro_number, action, changed_at, user, program, request_id, changes
         FROM ro_history
         WHERE order_id IN (
             SELECT order_id
             FROM ro_history
             WHERE changed_at >= ? AND action <> 'IMPORTED'
         )
         ORDER BY order_id, revision",
    )
    .bind(since)
    .fetch_all(connection)
    .await
}

/// Returns the row of the old database that became the row `id` of `table`, if the importer has read it from a database. The importer
/// knows orders by their row of `ro_registry`.
pub(super) async fn old_row(connection: &mut MySqlConnection, table: &str, id: i64) -> sqlx::Result<Option<OldRow>> {
    let row: Option<ImportRow> = sqlx::query_as(
        "SELECT latest.source_table, latest.source_row,
                -- A row that people have corrected in a file is not the one of the old database, which was rejected before.
                COALESCE(
                    (SELECT rejected.original
                     FROM import_rows rejected
                     WHERE latest.class = 'mended' AND rejected.class <> 'mended'
                       AND rejected.source = latest.source AND rejected.kind = latest.kind
                       AND rejected.source_table = latest.source_table AND rejected.source_row = latest.source_row
                     ORDER BY rejected.id DESC
                     LIMIT 1),
                    latest.original
                ) AS original
         FROM import_rows latest
         WHERE latest.target_table = ? AND latest.target_id = ? AND latest.replaced_by IS NULL
           AND latest.source LIKE 'mysql://%'
         ORDER BY latest.id
         LIMIT 1",
    )
    .bind(table)
    .bind(id)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(OldRow::from))
}

/// What the importer has seen of a table of the old database.
#[derive(Clone, Debug, FromRow)]
pub(super) struct OldTable {
    pub(super) name: String,
    /// The greatest `id` of its rows. Greater ones are of rows that a file of ours has inserted.
    pub(super) last_id: i64,
    /// Whether it has the column `created_at`.
    pub(super) has_created_at: bool,
}

/// Lists the tables of orders in the old database that had rows.
pub(super) async fn old_tables(connection: &mut MySqlConnection) -> sqlx::Result<Vec<OldTable>> {
    sqlx::query_as(
        "SELECT source_table AS name,
                MAX(source_row) AS last_id,
                MAX(JSON_CONTAINS_PATH(original, 'one', '$.created_at')) = 1 AS has_created_at
         FROM import_rows
         WHERE kind = 'orders' AND source LIKE 'mysql://%'
         GROUP BY source_table",
    )
    .fetch_all(connection)
    .await
}

/// Lists the orders of the old database that the importer has skipped, because another row of the same order counts.
pub(super) async fn skipped_orders(connection: &mut MySqlConnection) -> sqlx::Result<Vec<OldRow>> {
    let rows: Vec<ImportRow> = sqlx::query_as(
        "SELECT source_table, source_row, original
         FROM import_rows
         WHERE kind = 'orders' AND class = 'skipped' AND replaced_by IS NULL AND source LIKE 'mysql://%'",
    )
    .fetch_all(connection)
    .await?;
    let is_of_archive = |row: &OldRow| ArchiveStatus::ALL.into_iter().any(|archive| archive.table() == row.table);
    Ok(rows.into_iter().map(OldRow::from).filter(is_of_archive).collect())
}

/// Lists the changes of quantities since, except those of the importer. The column has whole seconds.
pub(super) async fn stock_transactions(
    connection: &mut MySqlConnection,
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<StockTransaction>> {
    sqlx::query_as(
        "SELECT TxnId, Timestamp, Action, IndexId, PartNumber, NewQty - DeltaQty AS PreviousQty, DeltaQty, NewQty, RONumber,
                Note, ChangedBy, ChangedByProgram, RequestId
         FROM transactions
         WHERE Timestamp >= ? AND Action <> 'IMPORT'
         ORDER BY TxnId",
    )
    .bind(since.trunc_subsecs(0))
    .fetch_all(connection)
    .await
}

/// A row of the index.
#[derive(Clone, Debug, FromRow)]
#[sqlx(rename_all = "PascalCase")]
pub(super) struct IndexRow {
    pub(super) part_number: String,
    pub(super) table_name: String,
    pub(super) row_id: i64,
    pub(super) qty: Option<i64>,
    pub(super) condition: Option<String>,
    pub(super) location: Option<String>,
    pub(super) last_seen: Option<DateTime<Utc>>,
}

/// Returns the row `id` of the index, if it exists.
pub(super) async fn index_row(connection: &mut MySqlConnection, id: i64) -> sqlx::Result<Option<IndexRow>> {
    sqlx::query_as(
        "SELECT PartNumber, TableName, RowId, Qty, `Condition`, Location,
                -- Other programs may have left zero dates, which are no instants.
                IF(LastSeen > '1000-01-01', LastSeen, NULL) AS LastSeen
         FROM inventoryindex
         WHERE IndexId = ?",
    )
    .bind(id)
    .fetch_optional(connection)
    .await
}

/// An entry of the assistant's log, as the file has it.
#[derive(Clone, Debug, Default, FromRow)]
pub(super) struct LogRow {
    id: i64,
    timestamp: Option<Timestamp>,
    user: String,
    conversation_id: String,
    user_message: String,
    ai_response: String,
    success: Option<bool>,
    error: Option<String>,
    model: Option<String>,
    duration_ms: Option<i64>,
}

/// Lists the entries of the assistant's log since. The column has whole seconds.
pub(super) async fn log_entries(connection: &mut MySqlConnection, since: DateTime<Utc>) -> sqlx::Result<Vec<LogRow>> {
    sqlx::query_as(
        "SELECT id, timestamp, user, conversation_id, user_message, ai_response, success, error, model, duration_ms
         FROM ai_conversation_logs
         WHERE timestamp >= ?
         ORDER BY timestamp, id",
    )
    .bind(since.trunc_subsecs(0))
    .fetch_all(connection)
    .await
}

impl Record for LogRow {
    fn cells(&self) -> Vec<(&'static str, Cell<'_>)> {
        vec![
            ("timestamp", Cell::Instant(self.timestamp)),
            ("user", Cell::Text(Some(&self.user))),
            ("conversationId", Cell::Identifier(Some(&self.conversation_id))),
            ("userMessage", Cell::Text(Some(&self.user_message))),
            ("aiResponse", Cell::Text(Some(&self.ai_response))),
            ("success", Cell::Text(self.success.map(|success| if success { "true" } else { "false" }))),
            ("error", Cell::Text(self.error.as_deref())),
            ("model", Cell::Text(self.model.as_deref())),
            ("durationMs", Cell::Integer(self.duration_ms)),
            ("id", Cell::Integer(Some(self.id))),
        ]
    }
}
