//! `rotracker seed`: sample data for both databases that read like those of a repair desk and its stock, the same on
//! every run of a day.

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
use sqlx::{ConnectOptions, MySqlConnection};

pub use orders::{OrderCounts, seed_repair_orders};
pub use stock::{SeededInventory, StockCounts, TableCounts, seed_inventory};

use crate::{migrate::Databases, output::progress};

/// What the histories say made the samples.
const PROGRAM: &str = "rotracker seed";

/// Rows of one INSERT: up to 22 values each, of which a statement takes at most 65,535.
const BATCH: usize = 500;

/// Fills the databases that the environment names.
///
/// # Errors
/// In production, when a database holds data already, or when one cannot be used; the error says so.
pub async fn run() -> Result<()> {
    let mut env = Env::of_process();
    let stage = Stage::read(&mut env);
    let zone = config::business_time_zone(&mut env);
    let zone = env.finish(zone)?;
    if stage == Stage::Production {
        bail!("sample data have no place in production; set APP_ENV=development to fill the development databases");
    }
    let databases = Databases::read(Env::of_process())?;
    let mut main = connect(&databases, &databases.main).await?;
    let mut inventory = connect(&databases, &databases.inventory).await?;
    // Before anything is written, so that a refusal leaves both as they were.
    orders::expect_empty(&mut main).await.context(databases.main.clone())?;
    stock::expect_empty(&mut inventory).await.context(databases.inventory.clone())?;
    let today = Clock::system(zone).today();
    fill_main(&mut main, &databases.main, today).await?;
    fill_inventory(&mut inventory, &databases.inventory, today).await
}

/// Fills those of the databases that hold no data.
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
    db::connect_options(&databases.server, Some(name))
        .connect()
        .await
        .with_context(|| format!("the database {name} cannot be used; `rotracker migrate` creates it"))
}

async fn fill_main(connection: &mut MySqlConnection, name: &str, today: NaiveDate) -> Result<()> {
    let orders = seed_repair_orders(connection, today, OrderCounts::default()).await?;
    progress(&format!("{name}: {orders} sample orders"));
    Ok(())
}

async fn fill_inventory(connection: &mut MySqlConnection, name: &str, today: NaiveDate) -> Result<()> {
    let SeededInventory { parts, transactions } = seed_inventory(connection, today, StockCounts::default()).await?;
    progress(&format!("{name}: {parts} sample parts, {transactions} transactions"));
    Ok(())
}
