//! Inventory in the database. Functions take a connection and decide nothing; their statements are in [`crate::sql`].

use app_core::{
    db::{Pool, stream_rows},
    http::{ApiError, Page},
};
use async_stream::try_stream;
use chrono::{DateTime, Utc};
use futures_util::{Stream, TryStreamExt};
use sqlx::{MySqlConnection, Row, mysql::MySqlRow};

use crate::{
    model::{
        Entry, Found, IndexId, Item, ItemFilter, LOW_STOCK, LedgerEntry, LedgerFilter, LowStockItem, PartNumber, Stats,
        Table, TableStock, Tables, Urgency, monthly_rate, recommended_reorder,
    },
    reindex::{Batch, Fields, Gone, Indexed, Pair},
    sql,
};

/// Parts of the index with that very number.
pub async fn search_exact(connection: &mut MySqlConnection, number: &PartNumber) -> Result<Vec<Found>, ApiError> {
    let rows = sqlx::query(sql::SEARCH_EXACT).bind(number.as_str()).fetch_all(connection).await?;
    rows.iter().map(decode_found).collect()
}

/// Parts of the index whose number contains `number`.
pub async fn search_like(connection: &mut MySqlConnection, number: &PartNumber) -> Result<Vec<Found>, ApiError> {
    let rows = sqlx::query(sql::SEARCH_LIKE)
        .bind(number.as_str())
        .bind(escape_like(number.as_str()))
        .fetch_all(connection)
        .await?;
    rows.iter().map(decode_found).collect()
}

/// Parts of the stock room and the bins whose number contains `number`.
pub async fn search_direct(connection: &mut MySqlConnection, number: &PartNumber) -> Result<Vec<Found>, ApiError> {
    let pattern = escape_like(number.as_str());
    let rows = sqlx::query(sql::SEARCH_DIRECT)
        .bind(number.as_str())
        .bind(&pattern)
        .bind(number.as_str())
        .bind(&pattern)
        .fetch_all(connection)
        .await?;
    rows.iter().map(decode_found).collect()
}

fn decode_found(row: &MySqlRow) -> Result<Found, ApiError> {
    Ok(Found {
        index_id: row.try_get::<Option<i64>, _>(0)?.map(IndexId),
        part_number: row.try_get(1)?,
        table_name: row.try_get(2)?,
        row_id: row.try_get(3)?,
        qty: row.try_get(4)?,
        condition: row.try_get(5)?,
        location: row.try_get(6)?,
        description: row.try_get(7)?,
    })
}

/// The rows of `table` that `filter` lets through, by number.
pub fn list(db: Pool, table: Table, filter: ItemFilter) -> impl Stream<Item = Result<Item, ApiError>> + Send {
    try_stream! {
        let mut connection = db.acquire().await?;
        let search = filter.search.as_deref().map(escape_like);
        let query = sqlx::query(sql::list(table))
            .bind(&filter.location)
            .bind(&filter.location)
            .bind(&filter.condition)
            .bind(&filter.condition)
            .bind(&filter.bin)
            .bind(&filter.bin)
            .bind(&search)
            .bind(&search)
            .bind(&search);
        {
            let mut rows = query.fetch(&mut *connection);
            while let Some(row) = rows.try_next().await? {
                yield decode_item(&row, table)?;
            }
        }
        connection.release();
    }
}

fn decode_item(row: &MySqlRow, table: Table) -> Result<Item, ApiError> {
    Ok(Item {
        id: row.try_get(0)?,
        part_number: row.try_get(1)?,
        qty: row.try_get(2)?,
        serial: row.try_get(3)?,
        condition: row.try_get(4)?,
        location: row.try_get(5)?,
        description: row.try_get(6)?,
        bin: if table == Table::BinsInventory { Some(row.try_get(7)?) } else { None },
    })
}

/// How many rows each table has.
pub async fn count_tables(connection: &mut MySqlConnection) -> Result<Tables, ApiError> {
    let row = sqlx::query(sql::COUNT_TABLES).fetch_one(connection).await?;
    let counts: Result<Vec<i64>, sqlx::Error> = (0..Table::ALL.len()).map(|index| row.try_get(index)).collect();
    Ok(Tables::new(counts?))
}

/// The index in figures.
pub async fn stats(connection: &mut MySqlConnection) -> Result<Stats, ApiError> {
    let rows = sqlx::query(sql::STATS).bind(LOW_STOCK).fetch_all(connection).await?;
    let stock = rows.iter().map(|row| {
        Ok::<_, sqlx::Error>(TableStock {
            table: row.try_get(0)?,
            parts: row.try_get(1)?,
            quantity: row.try_get(2)?,
            low: row.try_get(3)?,
            out: row.try_get(4)?,
        })
    });
    Ok(Stats::new(stock.collect::<Result<_, _>>()?))
}

/// Parts with fewer than `threshold` pieces, the most urgent first, with their use since `since`.
pub fn low_stock(
    db: Pool,
    threshold: i64,
    since: DateTime<Utc>,
) -> impl Stream<Item = Result<LowStockItem, ApiError>> + Send {
    try_stream! {
        let mut connection = db.acquire().await?;
        {
            let mut rows = sqlx::query(sql::LOW_STOCK).bind(since).bind(threshold).fetch(&mut *connection);
            while let Some(row) = rows.try_next().await? {
                yield decode_low_stock(&row)?;
            }
        }
        connection.release();
    }
}

fn decode_low_stock(row: &MySqlRow) -> Result<LowStockItem, ApiError> {
    let usage: i64 = row.try_get(4)?;
    let urgency: i64 = row.try_get(7)?;
    Ok(LowStockItem {
        index_id: IndexId(row.try_get(0)?),
        part_number: row.try_get(1)?,
        table_name: row.try_get(2)?,
        current_qty: row.try_get(3)?,
        usage_90_days: usage,
        monthly_usage_rate: monthly_rate(usage),
        recommended_reorder: recommended_reorder(usage),
        urgency: usize::try_from(urgency)
            .ok()
            .and_then(|index| Urgency::ALL.get(index))
            .copied()
            .unwrap_or(Urgency::Low),
        days_until_stockout: row.try_get(8)?,
        location: row.try_get(5)?,
        condition: row.try_get(6)?,
    })
}

/// A row of the index, as a change sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    /// The maker's number.
    pub part_number: String,
    /// Pieces on the shelf.
    pub quantity: i64,
    /// The table that has it, if it is one of the eleven.
    pub table: Option<Table>,
}

/// The row of the index, if there is one, locked until the transaction ends.
pub async fn lock(connection: &mut MySqlConnection, id: IndexId) -> Result<Option<Stock>, ApiError> {
    let Some(row) = sqlx::query(sql::LOCK).bind(id.0).fetch_optional(connection).await? else { return Ok(None) };
    Ok(Some(Stock {
        part_number: row.try_get(0)?,
        quantity: row.try_get(1)?,
        table: Table::of_index(&row.try_get::<String, _>(2)?),
    }))
}

/// Writes the quantity of a row of the index, and of its row in `table`.
pub async fn set_quantity(
    connection: &mut MySqlConnection,
    id: IndexId,
    table: Option<Table>,
    quantity: i64,
) -> Result<(), ApiError> {
    let query = match table {
        Some(table) => sqlx::query(sql::set_quantity(table)).bind(quantity).bind(quantity),
        None => sqlx::query(sql::SET_INDEXED_QUANTITY).bind(quantity),
    };
    query.bind(id.0).execute(connection).await?;
    Ok(())
}

/// Adds an entry to the ledger; the answer is its number there.
pub async fn add_entry(connection: &mut MySqlConnection, entry: &Entry) -> Result<u64, ApiError> {
    let entry = std::slice::from_ref(entry);
    Ok(sql::add_entries(entry).build().execute(connection).await?.last_insert_id())
}

/// Adds entries, if there are any, to the ledger.
pub async fn add_entries(connection: &mut MySqlConnection, entries: &[Entry]) -> Result<(), ApiError> {
    if !entries.is_empty() {
        sql::add_entries(entries).build().execute(connection).await?;
    }
    Ok(())
}

/// Counts the transactions that `filter` selects.
pub async fn count_transactions(connection: &mut MySqlConnection, filter: &LedgerFilter) -> Result<i64, ApiError> {
    Ok(sql::count_transactions(filter).build_query_scalar().fetch_one(connection).await?)
}

/// Lists a page of the transactions that `filter` selects, newest first.
pub fn list_transactions(
    db: Pool,
    filter: &LedgerFilter,
    page: Page,
) -> impl Stream<Item = Result<LedgerEntry, ApiError>> + Send + use<> {
    stream_rows(db, sql::list_transactions(filter, page))
}

/// The batch of `table` that begins after the id `after`; the last one also takes in all that may come later.
pub async fn batch_after(connection: &mut MySqlConnection, table: Table, after: i64) -> Result<Batch, ApiError> {
    let to = sqlx::query_scalar(sql::batch_after(table)).bind(after).fetch_optional(connection).await?;
    Ok(Batch { after, to: to.unwrap_or(i64::MAX) })
}

/// Locks the rows of the index that point to `batch` until the transaction ends.
pub async fn lock_batch(connection: &mut MySqlConnection, table: Table, batch: Batch) -> Result<(), ApiError> {
    sqlx::query(sql::LOCK_BATCH).bind(table.name()).bind(batch.after).bind(batch.to).execute(connection).await?;
    Ok(())
}

/// The rows of `batch`, each beside its row of the index.
pub async fn pairs(connection: &mut MySqlConnection, table: Table, batch: Batch) -> Result<Vec<Pair>, ApiError> {
    let rows = sqlx::query(sql::pairs(table)).bind(batch.after).bind(batch.to).fetch_all(connection).await?;
    rows.iter().map(decode_pair).collect()
}

fn decode_pair(row: &MySqlRow) -> Result<Pair, ApiError> {
    let fields = |first: usize| {
        Ok::<_, sqlx::Error>(Fields {
            part_number: row.try_get(first)?,
            qty: row.try_get(first + 1)?,
            condition: row.try_get(first + 2)?,
            location: row.try_get(first + 3)?,
        })
    };
    let indexed = match row.try_get(5)? {
        Some(id) => Some(Indexed { id: IndexId(id), fields: fields(6)?, is_moved: row.try_get(10)? }),
        None => None,
    };
    Ok(Pair { row_id: row.try_get(0)?, source: fields(1)?, indexed })
}

/// Rows of the index that point to rows of `batch` that are not there.
pub async fn gone(connection: &mut MySqlConnection, table: Table, batch: Batch) -> Result<Vec<Gone>, ApiError> {
    let rows = sqlx::query(sql::gone(table)).bind(batch.after).bind(batch.to).fetch_all(connection).await?;
    let gone = |row: &MySqlRow| {
        Ok(Gone {
            id: IndexId(row.try_get(0)?),
            is_moved: row.try_get(1)?,
            part_number: row.try_get(2)?,
            qty: row.try_get(3)?,
        })
    };
    rows.iter().map(gone).collect()
}

/// Rows of the index that point to `batch` and have no entry in the ledger: id, row of the table, number, quantity.
pub async fn without_entries(
    connection: &mut MySqlConnection,
    table: Table,
    batch: Batch,
) -> Result<Vec<(IndexId, i64, String, i64)>, ApiError> {
    let query = sqlx::query(sql::WITHOUT_ENTRIES).bind(table.name()).bind(batch.after).bind(batch.to);
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(|row| Ok((IndexId(row.try_get(0)?), row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))).collect()
}

/// Adds rows of `table` to the index.
pub async fn add_indexed(
    connection: &mut MySqlConnection,
    table: Table,
    rows: &[(i64, Fields)],
) -> Result<(), ApiError> {
    sql::add_indexed(table, rows).build().execute(connection).await?;
    Ok(())
}

/// Writes a row of the index.
pub async fn update_indexed(connection: &mut MySqlConnection, id: IndexId, fields: &Fields) -> Result<(), ApiError> {
    sqlx::query(sql::UPDATE_INDEXED)
        .bind(&fields.part_number)
        .bind(fields.qty)
        .bind(&fields.condition)
        .bind(&fields.location)
        .bind(id.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes a row of the index.
pub async fn remove_indexed(connection: &mut MySqlConnection, id: IndexId) -> Result<(), ApiError> {
    sqlx::query(sql::REMOVE_INDEXED).bind(id.0).execute(connection).await?;
    Ok(())
}

/// `text` with everything escaped that LIKE would take for a pattern.
fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
