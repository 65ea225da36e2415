//! `cargo bench --bench import`: the time of an import of 100,000 rows of stock and 10,000 orders, beside the bare inserts of the
//! same rows, in turns.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use rotracker_tests::{TestDatabase, database::numbers, importer::Importer};
use sqlx::{AssertSqlSafe, Executor, MySqlConnection};

const ORDERS: usize = 10_000;
const PARTS: usize = 100_000;
const BATCH: usize = 500;
const ROUNDS: usize = 3;

/// Fills the source with orders, parts, and a row of the index for each part.
async fn fill(importer: &Importer) {
    let numbers = numbers();
    importer
        .change_source(&format!(
            "INSERT INTO active (RO, DATE_MADE, SHOP_NAME, PART, SERIAL, PART_DESCRIPTION, REQ_WORK, ESTIMATED_COST, TERMS, CURENT_STATUS, CURENT_STATUS_DATE, NOTES)
                 SELECT n, '11/03/25', CONCAT('Shop ', n MOD 50), CONCAT('65-', n MOD 3000), n, 'HYDRAULIC PUMP', 'OH', n / 2, 'NET 30', 'APPROVED', '11/04/25', 'call Fri'
                 FROM {numbers} WHERE n < {ORDERS};
             INSERT INTO bins_inventory_actual (PART_NUMBER, DESCRIPTION, QTY, LOCATION, BIN, `CONDITION`)
                 SELECT CONCAT('NAS', n MOD 9000, '-', n MOD 13), 'WASHER', n MOD 500, CONCAT('FL', n MOD 9), CONCAT('B-', n MOD 99), 'NE'
                 FROM {numbers} WHERE n < {PARTS};
             INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty) SELECT PART_NUMBER, 'bins_inventory_actual', id, QTY FROM bins_inventory_actual"
        ))
        .await;
}

/// Copies the rows of `table` from `from` into the empty table of the connection's database, `BATCH` in a transaction. The values
/// are written into the statements, so that only the inserts take time.
async fn bare_inserts(connection: &mut MySqlConnection, from: &TestDatabase, table: &str, columns: &str) -> Duration {
    let quoted: Vec<String> = columns.split(", ").map(|column| format!("QUOTE({column})")).collect();
    let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT CONCAT('(', CONCAT_WS(', ', {}), ')') FROM {table}",
        quoted.join(", ")
    )))
    .fetch_all(&mut from.connect().await)
    .await
    .unwrap();
    let statements: Vec<String> =
        rows.chunks(BATCH).map(|rows| format!("INSERT INTO {table} ({columns}) VALUES {}", rows.join(", "))).collect();
    let started = Instant::now();
    for statement in statements {
        connection.execute("BEGIN").await.unwrap();
        connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.unwrap();
        connection.execute("COMMIT").await.unwrap();
    }
    started.elapsed()
}

/// Inserts what an import brought in into another installation, without what the import keeps beside it.
async fn insert_bare(imported: &Importer) -> Duration {
    let (main, inventory) = (TestDatabase::migrated().await, TestDatabase::inventory().await);
    let mut total = Duration::ZERO;
    for (to, from, table, columns) in [
        (
            &main,
            &imported.ros.database,
            "active",
            "RO, DATE_MADE, SHOP_NAME, PART, SERIAL, PART_DESCRIPTION, REQ_WORK, ESTIMATED_COST, TERMS, CURENT_STATUS, CURENT_STATUS_DATE, NOTES",
        ),
        (
            &inventory,
            &imported.inventory.database,
            "bins_inventory",
            "id, PN, Qty, LOCATION, DESCRIPTION, `CONDITION`, `BIN`",
        ),
        (
            &inventory,
            &imported.inventory.database,
            "inventoryindex",
            "PartNumber, TableName, RowId, Qty, `Condition`, Location",
        ),
    ] {
        total += bare_inserts(&mut to.connect().await, from, table, columns).await;
    }
    total
}

async fn import() -> (Importer, Duration) {
    let importer = Importer::without_rows().await;
    fill(&importer).await;
    let started = Instant::now();
    let report = importer.run().await;
    let elapsed = started.elapsed();
    assert_eq!(report.tables.iter().map(|table| table.rows).sum::<u64>() as usize, ORDERS + 2 * PARTS);
    (importer, elapsed)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("| import, s | bare inserts, s | ratio | import again, s |\n|---|---|---|---|");
    for _ in 0..ROUNDS {
        runtime.block_on(async {
            let (imported, import) = import().await;
            let bare = insert_bare(&imported).await;
            let started = Instant::now();
            imported.run().await;
            let again = started.elapsed();
            let ratio = import.as_secs_f64() / bare.as_secs_f64();
            let [import, bare, again] = [import, bare, again].map(|time| time.as_secs_f64());
            println!("| {import:.1} | {bare:.1} | {ratio:.2} | {again:.1} |");
        });
    }
}
