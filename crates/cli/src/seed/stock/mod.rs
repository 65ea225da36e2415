//! Sample stock: the parts of the eleven tables, their index, and the stock transactions of a year.

mod generate;
mod transactions;
mod vocabulary;

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use app_core::http::ApiError;
use chrono::{DateTime, NaiveDate, Utc};
use generate::Part;
use inventory::{
    model::{IndexId, Table},
    reindex::IndexedPart,
    store::{self, NewIndexedPart, NewPart},
};
use sqlx::{Acquire, MySql, MySqlConnection, QueryBuilder};

use super::{BATCH, Step};

/// The number of parts of each table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockCounts {
    pub tables: [TableCounts; 11],
}

/// The number of parts of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableCounts {
    pub table: Table,
    pub rows: usize,
    /// The number of rows, from the last one back, that the index lacks. Searches find such parts only in the stock
    /// room and the bins.
    pub unindexed: usize,
}

impl Default for StockCounts {
    /// Returns 6,500 parts, of which the index lacks 100.
    fn default() -> Self {
        let counts = |table, rows, unindexed| TableCounts { table, rows, unindexed };
        Self {
            tables: [
                counts(Table::StockRoom, 1_900, 60),
                counts(Table::BinsInventory, 1_300, 40),
                counts(Table::Md82Parts, 850, 0),
                counts(Table::Parts727, 620, 0),
                counts(Table::Terra, 380, 0),
                counts(Table::AsiaArParts, 420, 0),
                counts(Table::BerRai, 240, 0),
                counts(Table::BoliviaPart, 210, 0),
                counts(Table::DeltaApa, 260, 0),
                counts(Table::AsiaArSanfordParts, 180, 0),
                counts(Table::ApaSanfordAr757, 140, 0),
            ],
        }
    }
}

/// The numbers of rows that were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeededInventory {
    /// Rows of the eleven tables.
    pub parts: usize,
    /// Stock transactions.
    pub transactions: usize,
}

/// Fills the empty tables with parts, their index and the stock transactions of the year before `today`, in one
/// database transaction. The stock transactions add up to the quantities. The same `today` and `counts` always give the
/// same rows. `report` is called after each statement.
///
/// # Errors
/// When a table already holds rows or cannot be written.
pub async fn seed_inventory(
    connection: &mut MySqlConnection,
    today: NaiveDate,
    counts: StockCounts,
    report: impl Fn(Step),
) -> Result<SeededInventory> {
    expect_empty(connection).await?;
    let stock = generate::stock(today, counts);
    let last_seen: HashMap<IndexId, DateTime<Utc>> =
        stock.transactions.iter().map(|transaction| (transaction.index_id, transaction.timestamp)).collect();
    // The ids in the index by those of the samples.
    let mut index_ids = HashMap::new();
    let mut transaction = connection.begin().await?;
    for table in Table::ALL {
        let parts: Vec<&Part> = stock.parts.iter().filter(|part| part.table == table).collect();
        for (written, batch) in parts.chunks(BATCH).enumerate() {
            let ids = insert(&mut transaction, table, batch, &last_seen).await;
            let failed = || format!("the sample parts cannot be written to the table {}", table.name());
            index_ids.extend(ids.with_context(failed)?);
            report(Step { table: table.name(), rows: parts.len(), written: written * BATCH + batch.len() });
        }
    }
    let rows = stock.transactions.len();
    for (written, batch) in stock.transactions.chunks(BATCH).enumerate() {
        let mut batch = batch.to_vec();
        for sample in &mut batch {
            sample.index_id = *index_ids.get(&sample.index_id).context("a sample part is not in the index")?;
        }
        let done = store::insert_transactions(&mut transaction, &batch).await;
        done.context("the sample transactions cannot be written")?;
        report(Step { table: TRANSACTIONS, rows, written: written * BATCH + batch.len() });
    }
    transaction.commit().await?;
    Ok(SeededInventory { parts: stock.parts.len(), transactions: stock.transactions.len() })
}

/// Inserts `parts` into `table` and those that are to be indexed into the index. Returns the ids of the samples in the index, each
/// with the id that the row got.
async fn insert(
    connection: &mut MySqlConnection,
    table: Table,
    parts: &[&Part],
    last_seen: &HashMap<IndexId, DateTime<Utc>>,
) -> Result<Vec<(IndexId, IndexId)>, ApiError> {
    let rows: Vec<NewPart> = parts
        .iter()
        .map(|part| NewPart {
            part_number: Some(part.number.clone()),
            qty: Some(part.quantity),
            serial: part.serial.clone(),
            condition: Some(part.condition.to_owned()),
            location: Some(part.location.clone()),
            description: Some(part.description.to_owned()),
            bin: part.bin.clone(),
        })
        .collect();
    let row_ids = store::insert_parts(&mut *connection, table, &rows).await?;
    let (sample_ids, indexed): (Vec<IndexId>, Vec<NewIndexedPart>) = parts
        .iter()
        .zip(row_ids)
        .filter_map(|(part, row_id)| {
            let sample_id = part.index_id?;
            let indexed = IndexedPart {
                part_number: part.number.clone(),
                qty: Some(part.quantity),
                condition: Some(part.condition.to_owned()),
                location: Some(part.location.clone()),
            };
            Some((sample_id, NewIndexedPart { row_id, part: indexed, last_seen: last_seen.get(&sample_id).copied() }))
        })
        .unzip();
    let index_ids = store::insert_indexed(connection, table, &indexed).await?;
    Ok(sample_ids.into_iter().zip(index_ids).collect())
}

const INDEX: &str = "inventoryindex";
const TRANSACTIONS: &str = "transactions";

/// Fails if a table holds rows.
pub(super) async fn expect_empty(connection: &mut MySqlConnection) -> Result<()> {
    if !is_empty(connection).await? {
        bail!("the tables already hold parts or transactions; empty them before adding sample data");
    }
    Ok(())
}

/// Returns whether no table holds a row.
pub(super) async fn is_empty(connection: &mut MySqlConnection) -> Result<bool> {
    let mut statement = QueryBuilder::<MySql>::new("SELECT FALSE");
    for table in Table::ALL.map(Table::name).into_iter().chain([INDEX, TRANSACTIONS]) {
        statement.push(format!(" OR EXISTS (SELECT 1 FROM `{table}`)"));
    }
    let holds_rows: bool = statement
        .build_query_scalar()
        .fetch_one(connection)
        .await
        .context("the inventory tables cannot be read; `rotracker migrate` creates them")?;
    Ok(!holds_rows)
}
