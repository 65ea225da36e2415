//! Sample repair orders.

mod generate;
mod history;
mod vocabulary;

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use chrono::NaiveDate;
use generate::Order;
use ros::{model::ArchiveStatus, store};
use sqlx::{Acquire, MySql, MySqlConnection, QueryBuilder};

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
        let rows: Vec<&Order> = orders.iter().filter(|order| order.archive == archive).collect();
        for (written, batch) in rows.chunks(BATCH).enumerate() {
            insert(archive, batch)
                .build()
                .execute(&mut *transaction)
                .await
                .with_context(|| format!("the sample orders cannot be written to the table {}", archive.table()))?;
            report(Step { table: archive.table(), rows: rows.len(), written: written * BATCH + batch.len() });
        }
    }
    insert_history(&mut transaction, &orders, report)
        .await
        .context("the history of the sample orders cannot be written")?;
    transaction.commit().await?;
    Ok(orders.len())
}

/// Inserts the history of `orders`, whose rows must have been inserted before.
async fn insert_history(connection: &mut MySqlConnection, orders: &[Order], report: impl Fn(Step)) -> Result<()> {
    let ids: Vec<(String, i64)> =
        sqlx::query_as("SELECT ro_number, id FROM ro_registry").fetch_all(&mut *connection).await?;
    let ids: HashMap<String, i64> = ids.into_iter().collect();
    let mut entries = Vec::new();
    for order in orders {
        let id = *ids.get(&order.number).context("an order is not in the registry")?;
        entries.extend(history::entries(id, order)?);
    }
    for (written, batch) in entries.chunks(BATCH).enumerate() {
        store::insert_history(connection, batch).await?;
        report(Step { table: "ro_history", rows: entries.len(), written: written * BATCH + batch.len() });
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

fn insert(archive: ArchiveStatus, orders: &[&Order]) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(format!(
        "INSERT INTO `{}` (RO, DATE_MADE, SHOP_NAME, PART, SERIAL, PART_DESCRIPTION, REQ_WORK, DATE_DROPPED_OFF, \
         ESTIMATED_COST, FINAL_COST, TERMS, SHOP_REF, ESTIMATED_DELIVERY_DATE, CURENT_STATUS, CURENT_STATUS_DATE, \
         GENTHRUST_STATUS, SHOP_STATUS, TRACKING_NUMBER_PICKING_UP, NOTES, LAST_DATE_UPDATED, NEXT_DATE_TO_UPDATE) ",
        archive.table()
    ));
    statement.push_values(orders, |mut row, order| {
        row.push_bind(order.number.clone())
            .push_bind(order.made)
            .push_bind(order.shop)
            .push_bind(order.part.clone())
            .push_bind(order.serial.clone())
            .push_bind(order.description)
            .push_bind(order.work)
            .push_bind(order.dropped_off)
            .push_bind(order.estimated_cost)
            .push_bind(order.final_cost)
            .push_bind(order.terms)
            .push_bind(order.shop_reference.clone())
            .push_bind(order.estimated_delivery)
            .push_bind(order.status)
            .push_bind(order.status_date)
            .push_bind(order.our_status)
            .push_bind(order.shop_status)
            .push_bind(order.tracking.clone())
            .push_bind(order.notes.clone())
            .push_bind(order.updated)
            .push_bind(order.next_update);
    });
    statement
}
