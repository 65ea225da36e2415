//! The comparisons of `rotracker check`: the index with the eleven tables and with the ledger.

use std::sync::LazyLock;

use app_core::{
    db::{Comparison, Difference},
    http::ApiError,
};
use futures_util::TryStreamExt;
use sqlx::{FromRow, MySqlConnection};

use crate::model::{StockAction, Table};

/// Compares what must agree, and keeps the first `kept` differences of each kind. In a transaction with a snapshot, all of it is of
/// one instant. Memory does not grow with the tables.
///
/// # Errors
/// When the database fails.
pub async fn check(connection: &mut MySqlConnection, kept: usize) -> Result<Vec<Comparison>, ApiError> {
    // Searches find them in two of the tables, and `rotracker reindex` inserts them.
    let mut not_indexed = Comparison::of_rows(connection, "parts in the index", kept, &NOT_INDEXED).await?;
    not_indexed.is_tolerated = true;
    Ok(vec![
        Comparison::of_rows(connection, "the index and its tables", kept, &INDEX_AND_TABLES).await?,
        not_indexed,
        ledger(connection, kept).await?,
        Comparison::of_next_id(connection, "the next id of the index", "inventoryindex", GREATEST_ID).await?,
        Comparison::of_rows(connection, "part numbers and their suffixes", kept, &WITHOUT_SUFFIXES).await?,
        Comparison::of_rows(connection, "texts of parts and their trigrams", kept, &WITHOUT_TRIGRAMS).await?,
        Comparison::of_rows(connection, "saved responses and the ledger", kept, RESPONSES_WITHOUT_ENTRY).await?,
    ])
}

/// The rows of the index whose part does not exist, or has another number or quantity. As for `rotracker reindex`, a part that has
/// lost its number has the one of the index.
static INDEX_AND_TABLES: LazyLock<String> = LazyLock::new(|| {
    let selects = Table::ALL.map(|table| {
        format!(
            "SELECT 'inventoryindex' AS table_name,
                    CAST(i.IndexId AS CHAR) AS row_id,
                    CASE
                        WHEN part.id IS NULL THEN CONCAT('names row ', i.RowId, ' of {name}, which does not exist')
                        WHEN part.PartNumberKey <> '' AND part.PartNumberKey <> i.PartNumberKey
                            THEN CONCAT('is ', i.PartNumber, ', but row ', part.id, ' of {name} is ', part.PN)
                        ELSE CONCAT('has ', COALESCE(i.Qty, 'unknown'), ' pieces, but row ', part.id, ' of {name} has ',
                                    COALESCE(part.QTY, 'unknown'))
                    END AS difference
             FROM inventoryindex i
             LEFT JOIN `{name}` part ON part.id = i.RowId
             WHERE i.TableName = '{name}'
               AND (part.id IS NULL
                    OR (part.PartNumberKey <> '' AND part.PartNumberKey <> i.PartNumberKey)
                    OR NOT (part.QTY <=> i.Qty))",
            name = table.name(),
        )
    });
    format!(
        "{}
         UNION ALL
         SELECT 'inventoryindex', CAST(IndexId AS CHAR), CONCAT('names the table ', TableName, ', which is none of parts')
         FROM inventoryindex
         WHERE TableName NOT IN ({})",
        selects.join(" UNION ALL "),
        Table::ALL.map(|table| format!("'{}'", table.name())).join(", "),
    )
});

/// The parts that have a number and no row of the index.
static NOT_INDEXED: LazyLock<String> = LazyLock::new(|| {
    let selects = Table::ALL.map(|table| {
        format!(
            "SELECT '{name}' AS table_name,
                    CAST(part.id AS CHAR) AS row_id,
                    CONCAT(part.PN, ' is not in the index; `rotracker reindex` inserts it') AS difference
             FROM `{name}` part
             LEFT JOIN inventoryindex i ON i.TableName = '{name}' AND i.RowId = part.id
             WHERE part.PartNumberKey <> '' AND i.IndexId IS NULL",
            name = table.name(),
        )
    });
    selects.join(" UNION ALL ")
});

/// The greatest id that any row of the index ever had, as far as the ledger knows.
const GREATEST_ID: &str = "
    SELECT CAST(GREATEST(
        COALESCE((SELECT MAX(IndexId) FROM inventoryindex), 0),
        COALESCE((SELECT MAX(IndexId) FROM transactions), 0)
    ) AS SIGNED)";

/// The rows that no search for a part of their number finds.
static WITHOUT_SUFFIXES: LazyLock<String> = LazyLock::new(|| {
    let tables = [("inventoryindex", "IndexId"), ("stock_room", "id"), ("bins_inventory", "id")];
    let selects = tables.map(|(name, id)| {
        format!(
            "SELECT '{name}' AS table_name,
                    CAST(part.{id} AS CHAR) AS row_id,
                    'is not in {name}_suffixes, so that no search for a part of its number finds it' AS difference
             FROM `{name}` part
             WHERE part.PartNumberKey <> ''
               AND NOT EXISTS (
                   SELECT 1
                   FROM {name}_suffixes
                   WHERE Suffix = part.PartNumberKey AND Position = 1 AND {name}_suffixes.RowId = part.{id}
               )"
        )
    });
    selects.join(" UNION ALL ")
});

/// The rows that no search for the beginning of their text finds.
static WITHOUT_TRIGRAMS: LazyLock<String> = LazyLock::new(|| {
    let selects = ["stock_room", "bins_inventory"].map(|name| {
        format!(
            "SELECT '{name}' AS table_name,
                    CAST(part.id AS CHAR) AS row_id,
                    'is not in {name}_trigrams, so that no search for its text finds it' AS difference
             FROM `{name}` part
             WHERE CHAR_LENGTH(CONCAT_WS(' ', part.PN, part.DESCRIPTION)) > 2
               AND NOT EXISTS (
                   SELECT 1
                   FROM {name}_trigrams
                   WHERE Trigram = LEFT(CONCAT_WS(' ', part.PN, part.DESCRIPTION), 3)
                     AND {name}_trigrams.RowId = part.id
               )"
        )
    });
    selects.join(" UNION ALL ")
});

/// Saved responses that name an entry of the ledger that does not exist.
const RESPONSES_WITHOUT_ENTRY: &str = "
    SELECT 'idempotency_keys' AS table_name,
           HEX(digest) AS row_id,
           CONCAT('has a response about transaction ', transaction_id, ', which does not exist') AS difference
    FROM (
        SELECT digest,
               JSON_UNQUOTE(JSON_EXTRACT(
                   IF(JSON_VALID(CONVERT(body USING utf8mb4)), CONVERT(body USING utf8mb4), '{}'), '$.transactionId'
               )) AS transaction_id
        FROM idempotency_keys
        WHERE status = 200
    ) responses
    WHERE transaction_id IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM transactions WHERE TxnId = CAST(transaction_id AS SIGNED))";

/// An entry of the ledger that names its row of the index.
#[derive(FromRow)]
struct LedgerEntry {
    id: i64,
    index_id: i64,
    action: String,
    part_number: String,
    delta_qty: Option<i64>,
    new_qty: Option<i64>,
    /// Whether the index has the row.
    is_indexed: bool,
    /// The quantity in the index now.
    indexed_qty: Option<i64>,
    has_other_number: Option<bool>,
    /// The first and the last entry of another program about a part with this number. It changed the quantity, too.
    first_of_others: Option<i64>,
    last_of_others: Option<i64>,
}

/// Compares the quantities of the index with the ledger: each entry starts from the quantity that the one before it left, and the
/// last one left the quantity of the index. Quantities that are unknown, and those between which another program has inserted an
/// entry without a row of the index, are not compared.
async fn ledger(connection: &mut MySqlConnection, kept: usize) -> Result<Comparison, ApiError> {
    let query = "
        SELECT t.TxnId AS id, t.IndexId AS index_id, t.Action AS action, t.PartNumber AS part_number,
               t.DeltaQty AS delta_qty, t.NewQty AS new_qty,
               i.IndexId IS NOT NULL AS is_indexed, i.Qty AS indexed_qty, t.PartNumberKey <> i.PartNumberKey AS has_other_number,
               others.first_id AS first_of_others, others.last_id AS last_of_others
        FROM transactions t
        LEFT JOIN inventoryindex i ON i.IndexId = t.IndexId
        LEFT JOIN (
            SELECT PartNumberKey, MIN(TxnId) AS first_id, MAX(TxnId) AS last_id
            FROM transactions
            WHERE IndexId IS NULL
            GROUP BY PartNumberKey
        ) others ON others.PartNumberKey = i.PartNumberKey
        WHERE t.IndexId IS NOT NULL
        ORDER BY t.IndexId, t.TxnId";
    let mut comparison = Comparison::new("stock and the ledger", kept);
    let mut rows = sqlx::query_as::<_, LedgerEntry>(query).fetch(connection);
    let mut previous: Option<LedgerEntry> = None;
    while let Some(entry) = rows.try_next().await? {
        let difference = match &previous {
            Some(before) if before.index_id == entry.index_id => entry.difference_from(before),
            Some(last) => last.difference_from_index(),
            None => None,
        };
        difference.into_iter().for_each(|found| comparison.add(found));
        previous = Some(entry);
    }
    if let Some(found) = previous.and_then(|last| last.difference_from_index()) {
        comparison.add(found);
    }
    Ok(comparison)
}

impl LedgerEntry {
    /// Compares the entry with the one `before` it about the same row of the index.
    fn difference_from(&self, before: &Self) -> Option<Difference> {
        let start = self.new_qty? - self.delta_qty?;
        let left = before.new_qty?;
        let is_explained = self.first_of_others.is_some_and(|first| first < self.id)
            && self.last_of_others.is_some_and(|last| last > before.id);
        (start != left && !is_explained).then(|| Difference {
            table_name: "transactions".to_owned(),
            row_id: self.id.to_string(),
            difference: format!(
                "starts from {start} pieces of {}, but transaction {}, the one before it, left {left}",
                self.part_number, before.id
            ),
        })
    }

    /// Compares the last entry about a row of the index with the index.
    fn difference_from_index(&self) -> Option<Difference> {
        let Self { id, index_id, .. } = self;
        let pieces = |quantity: Option<i64>| quantity.map_or("unknown".to_owned(), |quantity| quantity.to_string());
        let (table_name, row_id, difference) = if !self.is_indexed {
            // `rotracker reindex` has removed it.
            if self.action == StockAction::Reindex.name() && self.new_qty == Some(0) {
                return None;
            }
            ("transactions", id, format!("names row {index_id} of the index, which does not exist"))
        } else if self.has_other_number == Some(true) {
            let number = &self.part_number;
            ("inventoryindex", index_id, format!("has another part number than its transaction {id}, {number}"))
        } else if self.new_qty != self.indexed_qty && self.last_of_others.is_none_or(|last| last < *id) {
            let (indexed, left) = (pieces(self.indexed_qty), pieces(self.new_qty));
            ("inventoryindex", index_id, format!("has {indexed} pieces, but its transaction {id} left {left}"))
        } else {
            return None;
        };
        Some(Difference { table_name: table_name.to_owned(), row_id: row_id.to_string(), difference })
    }
}
