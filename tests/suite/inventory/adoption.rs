//! Taking over an inventory database that grew out of Excel sheets.

use inventory::model::Table;
use rotracker_tests::{
    App, TestDatabase,
    database::{execute, migrate},
};
use serde_json::json;
use sqlx::MySqlConnection;

/// The specification's tables as they may be in real life: the server's default character set, more columns, no bin.
async fn live_database() -> (TestDatabase, MySqlConnection) {
    let database = TestDatabase::empty().await;
    let mut node = database.connect().await;
    execute(
        &mut node,
        "SET sql_mode = ''; CREATE TABLE inventoryindex (IndexId INT AUTO_INCREMENT PRIMARY KEY, \
         PartNumber VARCHAR(100) NOT NULL, TableName VARCHAR(100) NOT NULL, RowId INT NOT NULL, Qty INT DEFAULT 0, \
         `Condition` VARCHAR(50), Location VARCHAR(100), SerialNumber VARCHAR(100), Description TEXT, \
         LastSeen DATETIME DEFAULT CURRENT_TIMESTAMP, UNIQUE KEY unique_location (TableName, RowId), \
         INDEX idx_part_number (PartNumber)); \
         CREATE TABLE transactions (TxnId INT AUTO_INCREMENT PRIMARY KEY, Timestamp DATETIME DEFAULT CURRENT_TIMESTAMP, \
         Action VARCHAR(50) NOT NULL, PartNumber VARCHAR(100) NOT NULL, DeltaQty INT NOT NULL, NewQty INT NOT NULL, \
         RONumber VARCHAR(50), Note TEXT, INDEX idx_part_number (PartNumber), INDEX idx_timestamp (Timestamp), \
         INDEX idx_ro_number (RONumber))",
    )
    .await;
    for table in Table::ALL {
        let name = table.name();
        let condition = if table == Table::BinsInventory { "`CONDITION`" } else { "COND" };
        execute(
            &mut node,
            &format!(
                "CREATE TABLE `{name}` (id INT AUTO_INCREMENT PRIMARY KEY, PN VARCHAR(100), QTY INT, SERIAL VARCHAR(100), \
                 {condition} VARCHAR(50), LOCATION VARCHAR(100), DESCRIPTION TEXT, UNIT_PRICE DECIMAL(10,2) DEFAULT 1, \
                 INDEX idx_pn (PN)) DEFAULT CHARSET = latin1; \
                 INSERT INTO `{name}` (PN, QTY, {condition}, LOCATION, DESCRIPTION) \
                 VALUES ('{name}-1', 3, 'SV', 'A-1', 'caf\u{e9}'); \
                 INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty, SerialNumber) \
                 VALUES ('{name}-1', '{name}', 1, 3, 'SN')"
            ),
        )
        .await;
    }
    execute(
        &mut node,
        "INSERT INTO transactions (Action, PartNumber, DeltaQty, NewQty) VALUES ('DECREMENT', 'terra-1', -1, 3)",
    )
    .await;
    (database, node)
}

async fn tables(connection: &mut MySqlConnection) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()")
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_live_inventory_keeps_its_rows_and_columns_and_works() {
    let (main, (database, mut node)) = (TestDatabase::migrated().await, live_database().await);
    migrate(&main, &database, false).await.unwrap();
    let kept: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM inventoryindex i JOIN terra t WHERE i.SerialNumber = 'SN' AND t.UNIT_PRICE = 1",
    )
    .fetch_one(&mut node)
    .await
    .unwrap();
    assert_eq!(kept, 11);
    let pool = database.large_pool();
    let app = App::inventory_on(database, pool);
    for table in Table::ALL {
        let name = table.name();
        let exact = app.get(&format!("/api/inventory/search?partNumber={name}-1")).await.expect(200);
        assert_eq!(exact["searchMethod"], "exact");
        assert_eq!(
            (&exact["results"][0]["description"], &exact["results"][0]["qty"]),
            (&json!("caf\u{e9}"), &json!(3))
        );
        let items = app.get(&format!("/api/inventory/table/{name}")).await.expect(200);
        assert_eq!(items["items"][0]["partNumber"], format!("{name}-1"));
        let body =
            json!({ "indexId": exact["results"][0]["indexId"], "partNumber": format!("{name}-1"), "notes": "部品 🛩" });
        assert_eq!(app.post("/api/inventory/decrement", &body).await.expect(200)["newQty"], 2);
    }
    // Rows that were there before the triggers are found by a part of their number, too.
    let like = app.get("/api/inventory/search?partNumber=ERRA-").await.expect(200);
    assert_eq!((&like["searchMethod"], &like["totalResults"]), (&json!("like"), &json!(1)));
    assert_eq!(app.get("/api/inventory/bins?search=bins").await.expect(200)["items"][0]["bin"], json!(null));
    let page = app.get("/api/inventory/transactions?partNumber=terra-1").await.expect(200);
    assert_eq!(page["total"], 2, "the old entry is there, too");
}

#[tokio::test]
async fn a_migration_that_was_cut_off_goes_on_where_it_was() {
    let (main, (database, mut node)) = (TestDatabase::migrated().await, live_database().await);
    migrate(&main, &database, false).await.unwrap();
    let versions: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations").fetch_all(&mut node).await.unwrap();
    assert!(versions.len() > 30);
    for version in versions {
        execute(&mut node, &format!("UPDATE _sqlx_migrations SET success = FALSE WHERE version >= {version} LIMIT 1"))
            .await;
        execute(&mut node, &format!("DELETE FROM _sqlx_migrations WHERE version > {version}")).await;
        migrate(&main, &database, false).await.unwrap_or_else(|error| panic!("after {version}: {error}"));
    }
    let suffixes: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM inventoryindex_suffixes").fetch_one(&mut node).await.unwrap();
    let characters: i64 = Table::ALL.iter().map(|table| i64::try_from(table.name().len()).unwrap() + 2).sum();
    assert_eq!(suffixes, characters);
}

#[tokio::test]
async fn what_stands_in_the_way_is_said_by_name_before_anything_is_changed() {
    let main = TestDatabase::migrated().await;
    for (spoil, named, mend) in [
        (
            "ALTER TABLE terra DROP COLUMN LOCATION",
            "`terra` lacks the columns LOCATION",
            "ALTER TABLE terra ADD COLUMN LOCATION VARCHAR(100)",
        ),
        (
            "ALTER TABLE bins_inventory CHANGE `CONDITION` COND VARCHAR(50)",
            "`bins_inventory` lacks the columns CONDITION",
            "ALTER TABLE bins_inventory CHANGE COND `CONDITION` VARCHAR(50)",
        ),
        (
            "ALTER TABLE stock_room ENGINE = MyISAM",
            "`stock_room` is kept by MyISAM",
            "ALTER TABLE stock_room ENGINE = InnoDB",
        ),
        (
            "ALTER TABLE inventoryindex DROP KEY unique_location",
            "ADD UNIQUE KEY unique_location (TableName, RowId)",
            "ALTER TABLE inventoryindex ADD UNIQUE KEY unique_location (TableName, RowId)",
        ),
    ] {
        let (database, mut node) = live_database().await;
        execute(&mut node, spoil).await;
        let message = migrate(&main, &database, false).await.unwrap_err();
        assert!(message.contains(named) && message.contains("Nothing has been changed"), "{message}");
        assert_eq!(tables(&mut node).await, 13, "{spoil}: no table was added");
        execute(&mut node, mend).await;
        migrate(&main, &database, false).await.unwrap_or_else(|error| panic!("{mend}: {error}"));
    }
}
