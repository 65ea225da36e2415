//! Sample repair orders.

mod generate;
mod history;
mod vocabulary;

use anyhow::{Context, Result, bail};
use chrono::NaiveDate;
use generate::Order;
use ros::{
    model::{ArchiveStatus, RepairOrder},
    store,
};
use sqlx::{Acquire, MySqlConnection};

use super::{BATCH, Step};

pub(super) use generate::NEWEST_NUMBER;

/// The number of orders of each table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderCounts {
    /// Orders in progress.
    pub active: usize,
    /// Completed orders that are paid.
    pub paid: usize,
    /// Completed orders on net terms.
    pub net: usize,
    /// Orders returned, scrapped or cancelled.
    pub returned: usize,
}

impl Default for OrderCounts {
    /// Returns the counts of a busy repair desk after three years.
    fn default() -> Self {
        Self { active: 500, paid: 2_000, net: 800, returned: 300 }
    }
}

/// Fills the empty tables with orders whose dates are around `today`, in one transaction, and returns their number. The
/// same `today` and `counts` always give the same orders. `report` is called after each statement.
///
/// # Errors
/// When the tables already hold orders or cannot be written.
pub async fn seed_repair_orders(
    connection: &mut MySqlConnection,
    today: NaiveDate,
    counts: OrderCounts,
    report: impl Fn(Step),
) -> Result<usize> {
    expect_empty(connection).await?;
    let orders = generate::orders(today, counts);
    let mut transaction = connection.begin().await?;
    for archive in ArchiveStatus::ALL {
        let orders: Vec<&Order> = orders.iter().filter(|order| order.archive == archive).collect();
        for (written, batch) in orders.chunks(BATCH).enumerate() {
            let rows: Vec<RepairOrder> = batch.iter().map(|order| history::finished(0, order)).collect();
            let ids = store::insert_many(&mut transaction, archive, &rows)
                .await
                .with_context(|| format!("the sample orders cannot be written to the table {}", archive.table()))?;
            let ids = ids.into_iter().zip(batch.iter().copied());
            insert_history(&mut transaction, ids)
                .await
                .context("the history of the sample orders cannot be written")?;
            report(Step { table: archive.table(), rows: orders.len(), written: written * BATCH + batch.len() });
        }
    }
    transaction.commit().await?;
    Ok(orders.len())
}

/// Inserts the history of `orders`, which are given with their ids.
async fn insert_history(connection: &mut MySqlConnection, orders: impl Iterator<Item = (i64, &Order)>) -> Result<()> {
    let mut entries = Vec::new();
    for (id, order) in orders {
        entries.extend(history::entries(id, order)?);
    }
    for batch in entries.chunks(BATCH) {
        store::insert_history(connection, batch).await?;
    }
    Ok(())
}

/// Fails if a table holds orders.
pub(super) async fn expect_empty(connection: &mut MySqlConnection) -> Result<()> {
    if !is_empty(connection).await? {
        bail!("the tables already hold orders; empty them before adding sample orders");
    }
    Ok(())
}

/// Returns whether no table holds an order.
pub(super) async fn is_empty(connection: &mut MySqlConnection) -> Result<bool> {
    let statement = "SELECT EXISTS (SELECT 1 FROM `active`) OR EXISTS (SELECT 1 FROM `paid`) \
                     OR EXISTS (SELECT 1 FROM `net`) OR EXISTS (SELECT 1 FROM `returns`)";
    let holds_orders: bool = sqlx::query_scalar(statement)
        .fetch_one(connection)
        .await
        .context("the repair order tables cannot be read; `rotracker migrate` creates them")?;
    Ok(!holds_orders)
}
