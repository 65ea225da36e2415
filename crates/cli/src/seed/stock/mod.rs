//! Sample stock: the parts of the eleven tables, their index, and the stock transactions of a year.

mod generate;
mod transactions;
mod vocabulary;

use anyhow::{Context, Result, bail};
use chrono::NaiveDate;
use generate::Part;
use inventory::{
    model::{IndexId, Table},
    store::transactions_statement,
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
    let mut statements = Vec::new();
    let step = |table, rows| move |written, batch| Step { table, rows, written: written * BATCH + batch };
    for table in Table::ALL {
        let parts: Vec<&Part> = stock.parts.iter().filter(|part| part.table == table).collect();
        let step = step(table.name(), parts.len());
        let batches = parts.chunks(BATCH).enumerate();
        statements.extend(batches.map(|(written, parts)| (step(written, parts.len()), insert_parts(table, parts))));
    }
    let indexed: Vec<(IndexId, &Part)> = stock.parts.iter().filter_map(|part| Some((part.index_id?, part))).collect();
    let indexed_step = step(INDEX, indexed.len());
    let batches = indexed.chunks(BATCH).enumerate();
    statements.extend(batches.map(|(written, parts)| (indexed_step(written, parts.len()), insert_indexed(parts))));
    let transactions_step = step(TRANSACTIONS, stock.transactions.len());
    let batches = stock.transactions.chunks(BATCH).enumerate();
    statements.extend(batches.map(|(written, transactions)| {
        (transactions_step(written, transactions.len()), transactions_statement(transactions))
    }));
    let mut transaction = connection.begin().await?;
    for (step, mut statement) in statements {
        statement
            .build()
            .execute(&mut *transaction)
            .await
            .with_context(|| format!("the sample parts cannot be written to the table {}", step.table))?;
        report(step);
    }
    transaction.commit().await?;
    Ok(SeededInventory { parts: stock.parts.len(), transactions: stock.transactions.len() })
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

fn insert_parts(table: Table, parts: &[&Part]) -> QueryBuilder<MySql> {
    let has_bins = table == Table::BinsInventory;
    let columns = if has_bins { "`CONDITION`, `BIN`" } else { "COND" };
    let mut statement = QueryBuilder::new(format!(
        "INSERT INTO `{}` (id, PN, QTY, SERIAL, LOCATION, DESCRIPTION, {columns}) ",
        table.name()
    ));
    statement.push_values(parts, |mut row, part| {
        row.push_bind(part.row_id)
            .push_bind(part.number.clone())
            .push_bind(part.quantity)
            .push_bind(part.serial.clone())
            .push_bind(part.location.clone())
            .push_bind(part.description)
            .push_bind(part.condition);
        if has_bins {
            row.push_bind(part.bin.clone());
        }
    });
    statement
}

fn insert_indexed(parts: &[(IndexId, &Part)]) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(
        "INSERT INTO inventoryindex (IndexId, PartNumber, TableName, RowId, Qty, `Condition`, Location) ",
    );
    statement.push_values(parts, |mut row, (index_id, part)| {
        row.push_bind(index_id.0)
            .push_bind(part.number.clone())
            .push_bind(part.table.name())
            .push_bind(part.row_id)
            .push_bind(part.quantity)
            .push_bind(part.condition)
            .push_bind(part.location.clone());
    });
    statement
}
