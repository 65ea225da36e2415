//! `rotracker seed`: fills both databases with realistic sample data, which depend on the date only.

mod generator;
mod orders;
mod stock;

use anyhow::{Context, Result, bail};
use app_core::{
    clock::Clock,
    config::{self, Env, Stage},
    db,
};
use chrono::NaiveDate;
use indicatif::ProgressBar;
use sqlx::MySqlConnection;

pub use orders::{OrderCounts, seed_repair_orders};
pub use stock::{SeededInventory, StockCounts, TableCounts, seed_inventory};

use crate::{
    migrate::Databases,
    output::{bar, progress},
};

/// The actor of the samples' order history and stock transactions.
const PROGRAM: &str = "rotracker seed";

/// Rows of one INSERT. A row has up to 22 values, and a statement may have 65,535 placeholders.
const BATCH: usize = 500;

/// The bar of the rows of a table.
const BAR: &str = "{msg:22} {wide_bar} {human_pos}/{human_len} rows";

/// How far the rows of a table are written.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub table: &'static str,
    pub rows: usize,
    pub written: usize,
}

impl Step {
    fn show(self, bar: &ProgressBar) {
        bar.set_message(self.table);
        bar.set_length(self.rows as u64);
        bar.set_position(self.written as u64);
    }
}

/// Fills the databases that the environment names.
///
/// # Errors
/// In production, when a database already holds data, or when a database cannot be used.
pub async fn run() -> Result<()> {
    let mut env = Env::of_process();
    let stage = Stage::read(&mut env);
    let zone = config::business_time_zone(&mut env);
    let zone = env.finish(zone)?;
    if stage == Stage::Production {
        bail!(
            "sample data must not be written in production; set APP_ENV=development to fill the development databases"
        );
    }
    let databases = Databases::read(Env::of_process())?;
    let mut main = connect(&databases, &databases.main).await?;
    let mut inventory = connect(&databases, &databases.inventory).await?;
    // Both are checked before either is changed.
    orders::expect_empty(&mut main).await.context(databases.main.clone())?;
    stock::expect_empty(&mut inventory).await.context(databases.inventory.clone())?;
    let today = Clock::system(zone).today();
    fill_main(&mut main, &databases.main, today).await?;
    fill_inventory(&mut inventory, &databases.inventory, today).await
}

/// Fills each database that holds no data.
///
/// # Errors
/// When a database cannot be used.
pub async fn fill_empty(databases: &Databases, today: NaiveDate) -> Result<()> {
    let mut main = connect(databases, &databases.main).await?;
    if orders::is_empty(&mut main).await? {
        fill_main(&mut main, &databases.main, today).await?;
    }
    let mut inventory = connect(databases, &databases.inventory).await?;
    if stock::is_empty(&mut inventory).await? {
        fill_inventory(&mut inventory, &databases.inventory, today).await?;
    }
    Ok(())
}

async fn connect(databases: &Databases, name: &str) -> Result<MySqlConnection> {
    db::connect(&databases.server, Some(name))
        .await
        .with_context(|| format!("the database {name} cannot be used; `rotracker migrate` creates it"))
}

async fn fill_main(connection: &mut MySqlConnection, name: &str, today: NaiveDate) -> Result<()> {
    let bar = bar(BAR)?;
    let orders = seed_repair_orders(connection, today, OrderCounts::default(), |step| step.show(&bar)).await?;
    drop(bar);
    progress(&format!("{name}: {orders} sample orders"));
    Ok(())
}

async fn fill_inventory(connection: &mut MySqlConnection, name: &str, today: NaiveDate) -> Result<()> {
    let bar = bar(BAR)?;
    let seeded = seed_inventory(connection, today, StockCounts::default(), |step| step.show(&bar)).await?;
    drop(bar);
    let SeededInventory { parts, transactions } = seeded;
    progress(&format!("{name}: {parts} sample parts, {transactions} transactions"));
    Ok(())
}
