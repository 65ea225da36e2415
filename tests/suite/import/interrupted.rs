//! Imports that are killed, and two at once.

use std::process::Stdio;

use rand::{Rng, SeedableRng, rngs::StdRng};
use rotracker_tests::{
    App,
    database::execute,
    importer::{Importer, classes, source_address},
};
use tokio::process::Child;

async fn start(importer: &Importer) -> Child {
    let mut command = importer.command(&[&source_address(&importer.source.name)]).await;
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Fills the source with 1,200 orders and 1,200 parts.
async fn fill(importer: &Importer) {
    let numbers = rotracker_tests::database::numbers();
    importer
        .change_source(&format!(
            "INSERT INTO active (RO, PART, ESTIMATED_COST, NOTES)
                 SELECT n, CONCAT('P-', n), n, 'HISTORY:[{{\"status\":\"TO SEND\",\"date\":\"11/5/25\",\"user\":\"ann\"}}]|NOTES:x' FROM {numbers} WHERE n < 1200;
             INSERT INTO terra (PART_No, QTY) SELECT CONCAT('T-', n), n FROM {numbers} WHERE n < 1200;
             INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty) SELECT PART_No, 'terra', id, QTY FROM terra"
        ))
        .await;
}

/// The numbers of rows that the import writes.
async fn written(importer: &Importer) -> [i64; 6] {
    let mut main = importer.ros.database.connect().await;
    let mut inventory = importer.inventory.database.connect().await;
    let mut counts = [0; 6];
    for (place, table) in ["active", "ro_history", "import_rows"].into_iter().enumerate() {
        let count = format!("SELECT COUNT(*) FROM {table}");
        counts[place] = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&mut main).await.unwrap();
    }
    for (place, table) in ["terra", "inventoryindex", "import_rows"].into_iter().enumerate() {
        let count = format!("SELECT COUNT(*) FROM {table}");
        counts[place + 3] = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&mut inventory).await.unwrap();
    }
    counts
}

/// Empties the tables that an import fills.
async fn empty(importer: &Importer) {
    let main = "DELETE FROM active; DELETE FROM ro_history; DELETE FROM import_rows";
    execute(&mut importer.ros.database.connect().await, main).await;
    let inventory = "DELETE FROM terra; DELETE FROM inventoryindex; DELETE FROM import_rows";
    execute(&mut importer.inventory.database.connect().await, inventory).await;
}

#[tokio::test]
async fn an_import_that_was_killed_is_finished_by_the_next_one() {
    let importer = Importer::without_rows().await;
    fill(&importer).await;
    let mut random = StdRng::seed_from_u64(16);
    for round in 0..20 {
        // Once everything is imported there is nothing left to interrupt.
        if round % 5 == 0 {
            empty(&importer).await;
        }
        let before: i64 = written(&importer).await.iter().sum();
        let mut import = start(&importer).await;
        // Killed after a random number of rows, or before the first one.
        let more = random.random_range(0..2_500);
        while written(&importer).await.iter().sum::<i64>() < before + more {
            if import.try_wait().unwrap().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        import.kill().await.unwrap();
        let [orders, history, kept, parts, indexed, kept_parts] = written(&importer).await;
        assert_eq!((history, kept), (2 * orders, orders), "a batch is written whole or not at all");
        assert_eq!(indexed, parts);
        assert!((parts..=2 * parts).contains(&kept_parts));
    }
    // The server ends the lock of a killed import as soon as it notices that the connection is closed.
    let report = loop {
        match importer.try_run().await {
            Ok(report) => break report,
            Err(error) => assert!(error.contains("another import"), "{error}"),
        }
    };
    assert_eq!(report.tables.iter().map(|table| table.rows).sum::<u64>(), 3_600);
    assert_eq!(written(&importer).await, [1_200, 2_400, 1_200, 1_200, 1_200, 2_400]);
    assert_eq!(classes(&importer.run().await), [("unchanged", 3_600)]);
}

#[tokio::test]
async fn the_second_of_two_imports_says_so_and_ends() {
    let importer = Importer::without_rows().await;
    fill(&importer).await;
    // Another installation that shares the inventory.
    let other = App::start().await;
    let first = start(&importer).await;
    while written(&importer).await.iter().sum::<i64>() == 0 {
        tokio::task::yield_now().await;
    }
    for main in [&importer.ros.database.name, &other.database.name] {
        let mut import = importer.import();
        import.databases.main.clone_from(main);
        let refusal = format!("{:#}", import.run().await.unwrap_err());
        assert!(refusal.contains("another import into") && refusal.contains("is running"), "{refusal}");
    }
    assert_eq!(first.wait_with_output().await.unwrap().status.code(), Some(0));
    assert_eq!(written(&importer).await, [1_200, 2_400, 1_200, 1_200, 1_200, 2_400]);
}
