//! `rotracker check`: compares what must agree in the databases.

use std::{process::Output, sync::Arc};

use rotracker_cli::{check::check, seed};
use rotracker_tests::{
    App, TestDatabase,
    app::{new_order, path_by_number},
    database::{assert_all_agree, databases, execute, migrate},
    emulator::{binary, database_variables},
    importer::Importer,
    stock::Part,
};
use serde_json::json;
use tokio::process::Command;

/// An installation with an order, a deleted order, and parts with transactions.
struct Installation {
    ros: App,
    inventory: App,
    part: Part,
}

impl Installation {
    async fn start() -> Self {
        let (ros, inventory) = (App::start().await, App::inventory().await);
        ros.post_once("a key", "/api/ros", &new_order(json!({ "roNumber": "RO1" }))).await.expect(201);
        ros.patch("/api/ros/by-number/RO1/status", &json!({ "status": "APPROVED" })).await.expect(200);
        ros.post("/api/ros/by-number/RO1/archive", &json!({ "archiveStatus": "PAID" })).await.expect(200);
        ros.create("RO2").await;
        ros.delete(&path_by_number("RO2")).await.expect(200);
        let part = inventory.put("stock_room", "A-1", 12).await;
        inventory.put("terra", "B-2", 5).await;
        for quantity in [1, 2] {
            let body = part.change(&json!({ "quantity": quantity }));
            inventory.post("/api/inventory/decrement", &body).await.expect(200);
        }
        let counted = part.change(&json!({ "newQty": 20, "notes": "counted" }));
        inventory.post_once("a key", "/api/inventory/adjust", &counted).await.expect(200);
        Self { ros, inventory, part }
    }

    /// Returns the differences as `rotracker check` prints them.
    async fn differences(&self) -> Vec<String> {
        let databases = databases(&self.ros.database, &self.inventory.database);
        let comparisons = check(&databases, 10).await.unwrap_or_else(|error| panic!("{error:#}"));
        let all = comparisons.iter().flat_map(|comparison| &comparison.first);
        all.map(ToString::to_string).collect()
    }

    /// Changes the tables of `app` behind the API with `damage`, and asserts that the differences begin with `expected`.
    /// `repair` makes the tables agree again.
    async fn damage(&self, app: &App, damage: &str, expected: &[&str], repair: &str) {
        let mut other_program = app.database.connect().await;
        execute(&mut other_program, damage).await;
        let found = self.differences().await;
        assert_eq!(found.len(), expected.len(), "{damage}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{damage}: {found} is not {expected}");
        }
        execute(&mut other_program, repair).await;
        assert_eq!(self.differences().await, [""; 0], "{repair}");
    }
}

#[tokio::test]
async fn damaged_orders_are_named() {
    let installation = Installation::start().await;
    let app = &installation.ros;
    assert_eq!(installation.differences().await, [""; 0]);
    for table in ["active", "paid", "net", "returns"] {
        let drop = ["inserted", "updated", "deleted"].map(|event| format!("DROP TRIGGER register_{event}_{table};"));
        execute(&mut app.database.connect().await, &drop.concat()).await;
    }
    execute(&mut app.database.connect().await, "CREATE TABLE aside LIKE ro_history; CREATE TABLE lost LIKE paid").await;
    let columns = "order_id, revision, ro_number, action, changed_at, user, program, request_id, changes, digest, digest_columns, \
                   status, status_date, cost, notes";
    let copy = |from: &str, to: &str, which: &str| {
        format!("INSERT INTO {to} ({columns}) SELECT {columns} FROM {from} WHERE {which};")
    };
    let lose = |which: &str| format!("{} DELETE FROM ro_history WHERE {which}", copy("ro_history", "aside", which));
    let find_again = format!("{} DELETE FROM aside", copy("aside", "ro_history", "TRUE"));
    for (damage, expected, repair) in [
        (
            "UPDATE ro_history SET action = 'UPDATED' WHERE order_id = 1 AND revision = 1",
            &["ro_history 1 is the first entry of order 1, and says UPDATED"][..],
            "UPDATE ro_history SET action = 'CREATED' WHERE order_id = 1 AND revision = 1",
        ),
        (
            "UPDATE archive_figures SET orders = orders + 1",
            &["archive_figures PAID 1 says 2 orders of 0.00, and there are 1 of 0.00"],
            "UPDATE archive_figures SET orders = orders - 1",
        ),
        (
            "INSERT INTO ai_log_counts (user, entries) VALUES ('nobody', 2)",
            &["ai_log_counts of nobody says 2 entries, and there are 0"],
            "DELETE FROM ai_log_counts WHERE user = 'nobody'",
        ),
        (
            "DELETE FROM ro_registry",
            &["paid 1 is not in ro_registry"],
            "INSERT INTO ro_registry (id, ro_number, archive) VALUES (1, 'RO1', 'PAID')",
        ),
        (
            "UPDATE ro_registry SET archive = 'NET'",
            &["paid 1 is in ro_registry as NET", "ro_registry 1 has the order RO1 as NET, where it is not"],
            "UPDATE ro_registry SET archive = 'PAID'",
        ),
        (
            "UPDATE ro_registry SET ro_number = 'ro1'",
            &["paid 1 has the number RO1, and in ro_registry ro1"],
            "UPDATE ro_registry SET ro_number = 'RO1'",
        ),
        (
            "INSERT INTO ro_registry (id, ro_number, archive) VALUES (70, 'RO70', 'NET')",
            &["ro_registry 70 has the order RO70 as NET, where it is not"],
            "DELETE FROM ro_registry WHERE id = 70",
        ),
        (
            "INSERT INTO lost SELECT * FROM paid; DELETE FROM paid",
            &["ro_registry 1 has the order RO1", "ro_history of order 1 ends with MOVED (revision 3), but no table"],
            "INSERT INTO paid SELECT * FROM lost; DELETE FROM lost",
        ),
        (
            "INSERT INTO net SELECT * FROM paid",
            &["net 1 is in ro_registry as PAID", "net 1 is not as its history says (MOVED, revision 3)"],
            "DELETE FROM net",
        ),
        (
            "UPDATE paid SET ESTIMATED_COST = 0.01",
            &["paid 1 is not as its history says (MOVED, revision 3)"],
            "UPDATE paid SET ESTIMATED_COST = NULL",
        ),
        (
            &lose("order_id = 1 AND revision = 3"),
            &["paid 1 is not as its history says (STATUS, revision 2)"],
            &find_again,
        ),
        (
            &lose("order_id = 1 AND revision = 2"),
            &["ro_history of order 1 has 2 entries, with revisions from 1 to 3"],
            &find_again,
        ),
        (
            &lose("order_id = 1"),
            &["paid 1 has no history"],
            &find_again,
        ),
        (
            &lose("order_id = 2 AND revision = 2"),
            &["ro_history of order 2 ends with CREATED (revision 1), but no table has the order"],
            &find_again,
        ),
        (
            &format!(
                "{} UPDATE ro_history SET action = 'DELETED', digest = NULL WHERE order_id = 1 AND revision = 3;
                 INSERT INTO lost SELECT * FROM paid",
                copy("ro_history", "aside", "order_id = 1 AND revision = 3"),
            ),
            &["paid 1 exists, but its history ends with DELETED (revision 3)"],
            "DELETE FROM lost; UPDATE ro_history SET action = 'MOVED', digest = (SELECT digest FROM (SELECT digest FROM aside) one)
             WHERE order_id = 1 AND revision = 3",
        ),
    ] {
        installation.damage(app, damage, expected, repair).await;
    }
}

#[tokio::test]
async fn damaged_stock_is_named() {
    let installation = Installation::start().await;
    let (app, part) = (&installation.inventory, &installation.part);
    assert_eq!((part.index_id, part.row_id), (1, 1));
    let columns = "TxnId, Timestamp, Action, PartNumber, DeltaQty, NewQty, RONumber, Note, IndexId";
    execute(&mut app.database.connect().await, "CREATE TABLE aside LIKE transactions").await;
    let lose = |id: i64| {
        format!(
            "INSERT INTO aside ({columns}) SELECT {columns} FROM transactions WHERE TxnId = {id};
             DELETE FROM transactions WHERE TxnId = {id}"
        )
    };
    let find_again = format!("INSERT INTO transactions ({columns}) SELECT {columns} FROM aside; DELETE FROM aside");
    for (damage, expected, repair) in [
        (
            "DELETE FROM stock_room",
            &["inventoryindex 1 names row 1 of stock_room, which does not exist"][..],
            "INSERT INTO stock_room (id, PN, QTY) VALUES (1, 'A-1', 20)",
        ),
        (
            "UPDATE stock_room SET PN = 'A-2'",
            &["inventoryindex 1 is A-1, but row 1 of stock_room is A-2"],
            // The same part, though written otherwise.
            "UPDATE stock_room SET PN = ' a - 1'",
        ),
        (
            "UPDATE stock_room SET QTY = NULL",
            &["inventoryindex 1 has 20 pieces, but row 1 of stock_room has unknown"],
            "UPDATE stock_room SET QTY = 20",
        ),
        (
            "UPDATE inventoryindex SET Qty = 21 WHERE IndexId = 1",
            &[
                "inventoryindex 1 has 21 pieces, but row 1 of stock_room has 20",
                "inventoryindex 1 has 21 pieces, but its transaction 3 left 20",
            ],
            "UPDATE inventoryindex SET Qty = 20 WHERE IndexId = 1",
        ),
        (
            "UPDATE inventoryindex SET TableName = 'sheet_7' WHERE IndexId = 1",
            &[
                "inventoryindex 1 names the table sheet_7, which is none of parts",
                "stock_room 1  a - 1 is not in the index",
            ],
            "UPDATE inventoryindex SET TableName = 'stock_room' WHERE IndexId = 1",
        ),
        (
            "DELETE FROM inventoryindex WHERE IndexId = 1",
            &[
                "stock_room 1  a - 1 is not in the index",
                "transactions 3 names row 1 of the index, which does not exist",
            ],
            "INSERT INTO inventoryindex (IndexId, PartNumber, TableName, RowId, Qty) VALUES (1, 'A-1', 'stock_room', 1, 20)",
        ),
        (
            &lose(2),
            &["transactions 3 starts from 9 pieces of A-1, but transaction 1, the one before it, left 11"],
            &find_again,
        ),
        (&lose(3), &["inventoryindex 1 has 20 pieces, but its transaction 2 left 9", "idempotency_keys "], &find_again),
        (
            "UPDATE transactions SET PartNumber = 'C-3' WHERE TxnId = 3",
            &["inventoryindex 1 has another part number than its transaction 3, C-3"],
            "UPDATE transactions SET PartNumber = 'A-1' WHERE TxnId = 3",
        ),
        (
            "DELETE FROM inventoryindex_suffixes WHERE RowId = 2",
            &["inventoryindex 2 is not in inventoryindex_suffixes, so that no search"],
            "INSERT INTO inventoryindex_suffixes VALUES ('B-2', 1, 2)",
        ),
        (
            "DELETE FROM stock_room_trigrams WHERE RowId = 1",
            &["stock_room 1 is not in stock_room_trigrams, so that no search"],
            "UPDATE stock_room SET DESCRIPTION = 'X' WHERE id = 1",
        ),
        // An entry of another program explains another quantity.
        (
            "UPDATE inventoryindex SET Qty = 19 WHERE IndexId = 1; UPDATE stock_room SET QTY = 19",
            &["inventoryindex 1 has 19 pieces, but its transaction 3 left 20"],
            "INSERT INTO transactions (Action, PartNumber, DeltaQty, NewQty) VALUES ('SOLD', 'a-1', -1, 19)",
        ),
    ] {
        installation.damage(app, damage, expected, repair).await;
    }
}

#[tokio::test]
async fn damage_of_other_tables_is_named() {
    let installation = Installation::start().await;
    let app = &installation.ros;
    for (damage, expected, repair) in [
        (
            "INSERT INTO idempotency_keys (digest, request, created_at) VALUES (REPEAT('k', 16), REPEAT('r', 16), UTC_TIMESTAMP())",
            "idempotency_keys 6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B has no response",
            "DELETE FROM idempotency_keys WHERE status IS NULL",
        ),
        (
            r#"UPDATE idempotency_keys SET body = REPLACE(body, '"id":"1"', '"id":"70"')"#,
            "idempotency_keys ",
            r#"UPDATE idempotency_keys SET body = REPLACE(body, '"id":"70"', '"id":"1"')"#,
        ),
        (
            "INSERT INTO ai_conversation_logs (conversation_id, user, user_message, ai_response) VALUES ('c', 'me ', '', '')",
            "ai_conversation_logs 1 has a user or a conversation with blanks around it",
            "UPDATE ai_conversation_logs SET user = 'me'",
        ),
        (
            "UPDATE ai_conversation_logs SET timestamp = NULL",
            "ai_conversation_logs 1 has no time",
            "DELETE FROM ai_conversation_logs",
        ),
        (
            "INSERT INTO import_rows (source, source_table, source_row, kind, key_digest, content_digest, original, class, read_at,
                                      replaced_by)
             VALUES ('a', 'b', 1, 'orders', REPEAT('k', 16), REPEAT('r', 16), '{}', 'imported', UTC_TIMESTAMP(), 70)",
            "import_rows 1 names the later version 70, which does not exist",
            "DELETE FROM import_rows",
        ),
        // RO2, which was deleted, had the id 2.
        (
            "ALTER TABLE ro_registry AUTO_INCREMENT = 2",
            "ro_registry AUTO_INCREMENT=2 gives its next row an id that was used: 2 is the greatest",
            "ALTER TABLE ro_registry AUTO_INCREMENT = 3",
        ),
    ] {
        installation.damage(app, damage, &[expected], repair).await;
    }
}

/// Runs `rotracker check` on an installation that has one database.
async fn command(database: &TestDatabase, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary("rotracker").await);
    command.env_clear().envs(database_variables(database)).arg("check").args(arguments);
    command.output().await.unwrap()
}

#[tokio::test]
async fn the_exit_status_tells_whether_all_agrees() {
    let database = TestDatabase::empty().await;
    migrate(&database, &database, false).await.unwrap();
    seed::fill_empty(&databases(&database, &database), "2024-11-15".parse().unwrap()).await.unwrap();

    let Output { status, stdout, stderr } = command(&database, &[]).await;
    let report = String::from_utf8(stdout).unwrap();
    assert_eq!(status.code(), Some(0), "{report}{}", String::from_utf8_lossy(&stderr));
    // The index of the sample data lacks 100 parts.
    assert!(report.contains("\nwarning parts in the index: and 80 more\n") && !report.contains("error"), "{report}");

    execute(&mut database.connect().await, "UPDATE paid SET NOTES = 'lost'").await;
    let Output { status, stdout, .. } = command(&database, &["--limit", "3"]).await;
    let report = String::from_utf8(stdout).unwrap();
    let errors: Vec<&str> = report.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!((status.code(), errors.len()), (Some(1), 4), "{report}");
    assert_eq!(errors[3], "error   orders and their history: and 1997 more");

    execute(&mut database.connect().await, "DROP TABLE transactions").await;
    let Output { status, stderr, .. } = command(&database, &[]).await;
    let message = String::from_utf8(stderr).unwrap();
    assert!(status.code() == Some(1) && message.contains("`rotracker doctor` says why"), "{message}");
}

#[tokio::test]
async fn an_import_of_the_live_database_is_clean() {
    let importer = Importer::start().await;
    importer.run().await;
    importer.run().await;
    let comparisons = check(&importer.databases(), 10).await.unwrap();
    assert_all_agree(&comparisons);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_agrees_while_people_go_on_working() {
    let installation = Arc::new(Installation::start().await);
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let installation = installation.clone();
            tokio::spawn(async move { write(&installation, writer).await })
        })
        .collect();
    let mut checks = 0;
    while writers.iter().any(|writer| !writer.is_finished()) || checks < 3 {
        assert_eq!(installation.differences().await, [""; 0]);
        checks += 1;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(installation.differences().await, [""; 0]);
}

async fn write(Installation { ros, inventory, part }: &Installation, writer: i32) {
    for round in 0..15 {
        let (number, key) = (format!("RO-{writer}-{round}"), format!("{writer}-{round}"));
        ros.post_once(&key, "/api/ros", &new_order(json!({ "roNumber": number }))).await.expect(201);
        let path = path_by_number(&number);
        ros.patch(&format!("{path}/status"), &json!({ "status": "SHIPPING" })).await.expect(200);
        ros.post(&format!("{path}/archive"), &json!({ "archiveStatus": "NET" })).await.expect(200);
        if round % 3 == 0 {
            ros.delete(&path).await.expect(200);
        }
        for change in ["increment", "decrement"] {
            let path = format!("/api/inventory/{change}");
            inventory.post_once(&format!("{key}-{change}"), &path, &part.change(&json!({}))).await.expect(200);
        }
    }
}
