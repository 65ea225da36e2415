//! What `rotracker reindex` reads and writes.

use std::{collections::HashMap, sync::LazyLock};

use app_core::{db::push_list, http::ApiError};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, MySqlConnection, QueryBuilder, Row, mysql::MySqlRow};

use super::{PerTable, index_ids};
use crate::{
    model::{IndexId, Table},
    reindex::{IndexEntry, IndexedPart, RenumberedRow, RowIdRange, RowWithIndex, VanishedRow},
};

/// True if a transaction has changed the quantity of the index's row `i`. Transactions of other programs have only a part
/// number, and those of `rotracker reindex` and `rotracker import` only repeat the quantity of the table.
const QUANTITY_WAS_CHANGED: &str = "
    (EXISTS (SELECT 1 FROM transactions t WHERE t.IndexId = i.IndexId AND t.Action NOT IN ('REINDEX', 'IMPORT'))
     OR EXISTS (SELECT 1 FROM transactions t WHERE t.IndexId IS NULL AND t.PartNumberKey = i.PartNumberKey))";

/// Lists the rows of the index which the ledger knows as another part: its last entry about the row has another number than the
/// index, or the table has another number for a row whose quantity a transaction has changed.
pub async fn list_renumbered(connection: &mut MySqlConnection) -> Result<Vec<RenumberedRow>, ApiError> {
    static RENUMBERED: LazyLock<String> = LazyLock::new(|| {
        let in_tables = Table::ALL.map(|table| {
            format!(
                "UNION
                 SELECT i.IndexId, part.PN, i.PartNumber
                 FROM inventoryindex i
                 JOIN `{name}` part ON part.id = i.RowId
                 WHERE i.TableName = '{name}' AND part.PartNumberKey <> i.PartNumberKey AND part.PartNumberKey <> ''
                   AND EXISTS (SELECT 1 FROM transactions t
                               WHERE t.IndexId = i.IndexId AND t.Action NOT IN ('REINDEX', 'IMPORT'))",
                name = table.name(),
            )
        });
        format!(
            "SELECT i.IndexId AS index_id, i.PartNumber AS part_number, last_entry.PartNumber AS former_number
             FROM (SELECT MAX(TxnId) AS TxnId FROM transactions WHERE IndexId IS NOT NULL GROUP BY IndexId) last_entries
             JOIN transactions last_entry ON last_entry.TxnId = last_entries.TxnId
             JOIN inventoryindex i ON i.IndexId = last_entry.IndexId
             WHERE last_entry.PartNumberKey <> i.PartNumberKey
             {}
             ORDER BY index_id",
            in_tables.join(" ")
        )
    });
    let mut rows: Vec<RenumberedRow> = sqlx::query_as(RENUMBERED.as_str()).fetch_all(connection).await?;
    rows.dedup_by_key(|row| row.index_id);
    Ok(rows)
}

/// Takes the row out of those entries of the ledger about the rows `ids` of the index that are about other parts. They keep their
/// part numbers, as the entries of other programs have them.
pub async fn release_entries_of_other_parts(connection: &mut MySqlConnection, ids: &[IndexId]) -> Result<(), ApiError> {
    let mut statement = QueryBuilder::new(
        "UPDATE transactions t
         JOIN inventoryindex i ON i.IndexId = t.IndexId
         SET t.IndexId = NULL
         WHERE t.PartNumberKey <> i.PartNumberKey AND t.IndexId IN (",
    );
    push_list(&mut statement, ids);
    statement.push(")");
    statement.build().execute(connection).await?;
    Ok(())
}

/// Returns the batch of 500 rows of `table` after the id `after`. The last batch has no end, so that it includes rows that
/// are inserted meanwhile.
pub async fn next_batch(connection: &mut MySqlConnection, table: Table, after: i64) -> Result<RowIdRange, ApiError> {
    static LAST_ID_OF_BATCH: LazyLock<PerTable> = LazyLock::new(|| {
        PerTable::new(|table| format!("SELECT id FROM `{}` WHERE id > ? ORDER BY id LIMIT 1 OFFSET 499", table.name()))
    });
    let to = sqlx::query_scalar(LAST_ID_OF_BATCH.get(table)).bind(after).fetch_optional(connection).await?;
    Ok(RowIdRange { after, to: to.unwrap_or(i64::MAX) })
}

/// Locks the rows of the index that name rows of `batch` until the transaction ends.
pub async fn lock_batch(connection: &mut MySqlConnection, table: Table, batch: RowIdRange) -> Result<(), ApiError> {
    sqlx::query("SELECT IndexId FROM inventoryindex WHERE TableName = ? AND RowId > ? AND RowId <= ? FOR UPDATE")
        .bind(table.name())
        .bind(batch.after)
        .bind(batch.to)
        .execute(connection)
        .await?;
    Ok(())
}

/// Lists the rows of `batch`, each with its row of the index.
pub async fn list_rows_with_index(
    connection: &mut MySqlConnection,
    table: Table,
    batch: RowIdRange,
) -> Result<Vec<RowWithIndex>, ApiError> {
    static ROWS_WITH_INDEX: LazyLock<PerTable> = LazyLock::new(|| {
        PerTable::new(|table| {
            let (condition, _) = table.condition_and_bin_columns();
            format!(
                "SELECT part.id,
                        COALESCE(part.PN, '') AS part_number, part.QTY AS qty,
                        part.{condition} AS `condition`, part.LOCATION AS location,
                        i.IndexId AS index_id, i.PartNumber AS index_part_number, i.Qty AS index_qty,
                        i.`Condition` AS index_condition, i.Location AS index_location,
                        {QUANTITY_WAS_CHANGED} AS quantity_was_changed
                 FROM `{name}` part
                 LEFT JOIN inventoryindex i ON i.TableName = '{name}' AND i.RowId = part.id
                 WHERE part.id > ? AND part.id <= ?
                 ORDER BY part.id",
                name = table.name(),
            )
        })
    });
    let query = sqlx::query_as(ROWS_WITH_INDEX.get(table)).bind(batch.after).bind(batch.to);
    Ok(query.fetch_all(connection).await?)
}

impl FromRow<'_, MySqlRow> for RowWithIndex {
    fn from_row(row: &MySqlRow) -> Result<Self, sqlx::Error> {
        let index = match row.try_get("index_id")? {
            Some(id) => Some(IndexEntry {
                id,
                part: IndexedPart {
                    part_number: row.try_get("index_part_number")?,
                    qty: row.try_get("index_qty")?,
                    condition: row.try_get("index_condition")?,
                    location: row.try_get("index_location")?,
                },
                quantity_was_changed: row.try_get("quantity_was_changed")?,
            }),
            None => None,
        };
        Ok(Self { row_id: row.try_get("id")?, part: IndexedPart::from_row(row)?, index })
    }
}

/// Lists the rows of the index that name rows of `batch` which do not exist.
pub async fn list_vanished(
    connection: &mut MySqlConnection,
    table: Table,
    batch: RowIdRange,
) -> Result<Vec<VanishedRow>, ApiError> {
    static VANISHED: LazyLock<PerTable> = LazyLock::new(|| {
        PerTable::new(|table| {
            format!(
                "SELECT i.IndexId AS index_id, i.PartNumber AS part_number, i.Qty AS qty,
                        {QUANTITY_WAS_CHANGED} AS quantity_was_changed
                 FROM inventoryindex i
                 LEFT JOIN `{name}` part ON part.id = i.RowId
                 WHERE i.TableName = '{name}' AND i.RowId > ? AND i.RowId <= ? AND part.id IS NULL",
                name = table.name(),
            )
        })
    });
    Ok(sqlx::query_as(VANISHED.get(table)).bind(batch.after).bind(batch.to).fetch_all(connection).await?)
}

/// A row of the index.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct IndexedRow {
    pub index_id: IndexId,
    pub row_id: i64,
    pub part_number: String,
    pub qty: Option<i64>,
}

/// Lists the rows of the index that name rows of `batch` and have no transaction.
pub async fn list_rows_without_transactions(
    connection: &mut MySqlConnection,
    table: Table,
    batch: RowIdRange,
) -> Result<Vec<IndexedRow>, ApiError> {
    let query = sqlx::query_as(
        "SELECT i.IndexId AS index_id, i.RowId AS row_id, i.PartNumber AS part_number, i.Qty AS qty
         FROM inventoryindex i
         WHERE i.TableName = ? AND i.RowId > ? AND i.RowId <= ?
           AND NOT EXISTS (SELECT 1 FROM transactions t WHERE t.IndexId = i.IndexId)",
    );
    Ok(query.bind(table.name()).bind(batch.after).bind(batch.to).fetch_all(connection).await?)
}

/// A row of one of the eleven tables to be inserted into the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIndexedPart {
    /// The id in the table.
    pub row_id: i64,
    pub part: IndexedPart,
    /// The time at which someone last saw this quantity, if it is known. The column has whole seconds.
    pub last_seen: Option<DateTime<Utc>>,
}

/// Inserts rows of `table` into the index, except those that another program has inserted meanwhile, and returns the ids that all
/// of them have there, in the order of `rows`.
pub async fn insert_indexed(
    connection: &mut MySqlConnection,
    table: Table,
    rows: &[NewIndexedPart],
) -> Result<Vec<IndexId>, ApiError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut statement = QueryBuilder::new(
        "INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty, `Condition`, Location, LastSeen) ",
    );
    statement.push_values(rows, |mut values, NewIndexedPart { row_id, part, last_seen }| {
        values
            .push_bind(&part.part_number)
            .push_bind(table.name())
            .push_bind(*row_id)
            .push_bind(part.qty)
            .push_bind(part.condition.as_deref())
            .push_bind(part.location.as_deref())
            .push_bind(*last_seen);
    });
    statement.push(" ON DUPLICATE KEY UPDATE IndexId = IndexId");
    statement.build().execute(&mut *connection).await?;

    let row_ids: Vec<i64> = rows.iter().map(|row| row.row_id).collect();
    let ids = index_ids(connection, table, &row_ids).await?;
    let ids: HashMap<i64, IndexId> = ids.into_iter().collect();
    let ids: Option<Vec<IndexId>> = rows.iter().map(|row| ids.get(&row.row_id).copied()).collect();
    ids.ok_or_else(|| ApiError::internal(format!("the index lacks a row of {} that it was just given", table.name())))
}

/// Updates a row of the index.
pub async fn update_indexed(connection: &mut MySqlConnection, id: IndexId, part: &IndexedPart) -> Result<(), ApiError> {
    sqlx::query(
        "UPDATE inventoryindex
         SET PartNumber = ?, Qty = ?, `Condition` = ?, Location = ?
         WHERE IndexId = ?",
    )
    .bind(&part.part_number)
    .bind(part.qty)
    .bind(&part.condition)
    .bind(&part.location)
    .bind(id)
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes a row of the index.
pub async fn remove_indexed(connection: &mut MySqlConnection, id: IndexId) -> Result<(), ApiError> {
    sqlx::query("DELETE FROM inventoryindex WHERE IndexId = ?").bind(id).execute(connection).await?;
    Ok(())
}
