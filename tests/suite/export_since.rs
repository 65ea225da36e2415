//! `rotracker export --since`: the way back to the database that was imported.

use std::{fs, path::PathBuf, process::Output};

use chrono::{DateTime, Utc};
use http::Method;
use rotracker_cli::export::{ChangesExport, WrittenChanges};
use rotracker_tests::{
    App, TestDatabase,
    app::path_by_number,
    csv_file::{CsvFile, text_of},
    database::{execute, server},
    emulator::binary,
    importer::{Importer, LIVE_DATABASE},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};
use tempfile::TempDir;

use crate::import::mended::mend;

/// The switch-over: after the import, and an hour before the changes.
const SINCE: &str = "2024-11-15T12:30:00Z";

/// An installation with the live database, and the files of an export.
struct SwitchOver {
    importer: Importer,
    directory: TempDir,
}

impl SwitchOver {
    async fn start() -> Self {
        let importer = Importer::start().await;
        importer.run().await;
        let switch_over = Self { importer, directory: tempfile::tempdir().unwrap() };
        switch_over.set_clock("2024-11-15T13:00:00Z");
        switch_over
    }

    fn set_clock(&self, instant: &str) {
        for app in [&self.importer.ros, &self.importer.inventory] {
            app.clock.set(instant.parse().unwrap());
        }
    }

    fn ros(&self) -> &App {
        &self.importer.ros
    }

    async fn patch(&self, number: &str, body: &Value) {
        self.ros().patch(&path_by_number(number), body).await.expect(200);
    }

    async fn archive(&self, number: &str, archive: &str) {
        let path = format!("{}/archive", path_by_number(number));
        self.ros().post(&path, &json!({ "archiveStatus": archive })).await.expect(200);
    }

    /// Changes the quantity of the first part with this number in `table`.
    async fn change_stock(&self, change: &str, number: &str, table: &str, fields: Value) {
        let inventory = &self.importer.inventory;
        let found = inventory.get(&format!("/api/inventory/search?partNumber={number}")).await.expect(200);
        let part = found["results"].as_array().unwrap().iter().find(|part| part["tableName"] == table).unwrap().clone();
        let mut body = json!({ "indexId": part["indexId"], "partNumber": part["partNumber"] });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        inventory.post(&format!("/api/inventory/{change}"), &body).await.expect(200);
    }

    async fn export(&self, directory: &str) -> WrittenChanges {
        let export = ChangesExport {
            databases: self.importer.databases(),
            directory: self.directory.path().join(directory),
            since: SINCE.parse::<DateTime<Utc>>().unwrap(),
            today: "2024-11-15".parse().unwrap(),
        };
        export.run().await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn path(&self, directory: &str, name: &str) -> PathBuf {
        self.directory.path().join(directory).join(format!("{name}-2024-11-15"))
    }

    fn csv(&self, directory: &str, name: &str) -> CsvFile {
        CsvFile::parse(&fs::read(self.path(directory, name).with_extension("csv")).unwrap())
    }

    fn sql(&self, directory: &str) -> String {
        fs::read_to_string(self.path(directory, "old-database").with_extension("sql")).unwrap()
    }

    async fn command(&self, arguments: &[&str]) -> Output {
        let databases = self.importer.databases();
        let mut command = tokio::process::Command::new(binary("rotracker").await);
        command.arg("export").args(arguments).env_clear().envs([
            ("DB_HOST", &*databases.server.host),
            ("DB_PORT", &databases.server.port.to_string()),
            ("DB_USER", &databases.server.user),
            ("DB_PASSWORD", databases.server.password.expose_secret()),
            ("DB_NAME_DEV", &databases.main),
            ("DB_NAME_INVENTORY", &databases.inventory),
        ]);
        command.output().await.unwrap()
    }
}

/// The live database as it was at the switch-over.
async fn old_database() -> TestDatabase {
    let database = TestDatabase::empty().await;
    execute(&mut database.connect().await, LIVE_DATABASE).await;
    database
}

/// Runs the script in the old database, as a person does with `mysql`, and returns what it prints.
async fn apply(script: &str, database: &TestDatabase) -> Vec<String> {
    let rows = sqlx::raw_sql(AssertSqlSafe(script.to_owned())).fetch_all(&mut database.connect().await).await;
    let rows = rows.unwrap_or_else(|error| panic!("{error}: {script}"));
    rows.iter().map(|row| row.get("problem")).collect()
}

/// All orders of the four tables by number, without their ids.
async fn orders(app: &App) -> Vec<(String, Value)> {
    let mut orders: Vec<(String, Value)> = Vec::new();
    for archive in ["ACTIVE", "PAID", "NET", "RETURNED"] {
        let list = app.get(&format!("/api/ros?archiveStatus={archive}")).await.expect(200);
        for mut order in list.as_array().unwrap().clone() {
            let order_fields = order.as_object_mut().unwrap();
            order_fields.remove("id");
            orders.push((order["roNumber"].as_str().unwrap().to_owned(), order));
        }
    }
    orders.sort_by(|(one, _), (other, _)| one.cmp(other));
    orders
}

/// The single value of a statement in the old database, as text.
async fn value(database: &TestDatabase, statement: &str) -> Option<String> {
    let statement = AssertSqlSafe(format!("SELECT CAST(({statement}) AS CHAR)"));
    sqlx::query_scalar(statement).fetch_one(&mut database.connect().await).await.unwrap()
}

#[tokio::test]
async fn the_old_database_then_has_the_same_orders_and_stock() {
    let day = SwitchOver::start().await;
    let ros = day.ros();
    // Every kind of change: of a text, a date, an amount; to nothing; of the number; of the status.
    let status = json!({ "status": "APPROVED", "notes": "O'Neil said \"go\" \\ 部品", "cost": "4300.50" });
    ros.patch(&format!("{}/status", path_by_number("38462")), &status).await.expect(200);
    let fields = json!({
        "roNumber": "38464.5", "serialNumber": null, "shopReferenceNumber": "'; DROP TABLE active; \u{1a}--",
        "dateDroppedOff": "2024-11-14", "finalCost": "12.30",
    });
    day.patch("38464.1", &fields).await;
    // New orders in an active and an archived table.
    ros.create_with(json!({
        "roNumber": "40001", "dateMade": "2024-11-15", "estimatedCost": "0.10", "notes": "one\ntwo\r\nthree",
        "nextDateToUpdate": "2024-11-22",
    }))
    .await;
    ros.create_with(json!({
        "roNumber": "40002", "archiveStatus": "PAID", "dateMade": "2024-11-14", "finalCost": "99.99",
    }))
    .await;
    // One that was created and deleted is none.
    ros.create("40003").await;
    ros.delete(&path_by_number("40003")).await.expect(200);
    // Moves between tables with other types, with a change and without, and one there and back.
    day.archive("38463", "NET").await;
    day.archive("37001", "RETURNED").await;
    day.patch("37001", &json!({ "terms": "NET 30" })).await;
    day.archive("36901", "ACTIVE").await;
    day.archive("37100", "PAID").await;
    day.archive("37100", "NET").await;
    // The old database has it twice, in `paid` and a copy in `active` that the import has skipped.
    ros.delete(&path_by_number("38465")).await.expect(200);

    day.change_stock("decrement", "MS20470AD4-6", "bins_inventory", json!({ "quantity": 5, "roNumber": "40001" }))
        .await;
    day.change_stock("increment", "MS20470AD4-6", "bins_inventory", json!({ "quantity": 2 })).await;
    day.change_stock("adjust", "3214-1", "bins_inventory", json!({ "newQty": 4, "notes": "=counted" })).await;
    day.change_stock("adjust", "65-90305-11", "stock_room", json!({ "newQty": 7, "notes": "counted" })).await;
    day.change_stock("decrement", "622-5135-001", "terra", json!({})).await;
    day.change_stock("decrement", "65-2181-4", "727_parts", json!({})).await;

    let written = day.export("files").await;
    assert_eq!(written.not_expressed, [] as [String; 0]);
    let rows: Vec<u64> = written.files.iter().map(|(_, rows)| *rows).collect();
    assert_eq!(rows, [9, 6, 0, 14], "{written:?}");

    let old = old_database().await;
    let script = day.sql("files");
    assert_eq!(apply(&script, &old).await, [] as [String; 0], "{script}");
    // What nobody has changed is as people typed it, also in rows that were moved.
    for (statement, expected) in [
        ("SELECT CURENT_STATUS_DATE FROM active WHERE RO = 38462 AND id = 1", Some("11/15/2024")),
        ("SELECT DATE_MADE FROM active WHERE RO = 38462 AND id = 1", Some("11/03/25")),
        ("SELECT NEXT_DATE_TO_UPDATE FROM active WHERE RO = 38464.5", Some("11/31/25")),
        ("SELECT FINAL_COST FROM `returns` WHERE RO = 37001", Some("$1,450.00")),
        ("SELECT SERIAL FROM net WHERE RO = 38463", Some("A12 ")),
        ("SELECT DATE_MADE FROM net WHERE RO = 38463", Some("2025-11-03 00:00:00")),
        ("SELECT DATE_MADE FROM `returns` WHERE RO = 37001", Some("03/04/2024")),
        ("SELECT SHOP_NAME FROM active WHERE RO IS NULL", Some("Skyline NDT")),
        ("SELECT COUNT(*) FROM active WHERE RO = 38465", Some("0")),
        ("SELECT COUNT(*) FROM active WHERE id = 6 AND RO = 38462", Some("1")),
        ("SELECT QTY FROM bins_inventory_actual WHERE id = 1", Some("1197")),
        ("SELECT QTY FROM bins_inventory_actual WHERE id = 2", Some("~300")),
        ("SELECT QTY FROM terra WHERE id = 1", Some("1")),
        ("SELECT QTY FROM terra WHERE id = 2", Some("1.5")),
        ("SELECT QTY FROM pn_no_reparadas_727 WHERE id = 1", Some("0")),
        ("SELECT Qty FROM inventoryindex WHERE TableName = 'bins_inventory_actual' AND RowId = 1", Some("1197")),
        ("SELECT Qty FROM inventoryindex WHERE TableName = 'bins_inventory_actual' AND RowId = 5", Some("4")),
        ("SELECT Qty FROM inventoryindex WHERE TableName = 'stock_room_actual' AND RowId = 2", Some("7")),
        // The old index had no row for this one.
        ("SELECT Qty FROM inventoryindex WHERE TableName = 'pn_no_reparadas_727' AND RowId = 1", Some("0")),
        ("SELECT COUNT(*) FROM inventoryindex", Some("7")),
    ] {
        assert_eq!(value(&old, statement).await.as_deref(), expected, "{statement}");
    }
    // Another import of it gives the orders and parts that the API shows.
    let again = Importer::of(old).await;
    again.ros.clock.set("2024-11-15T13:00:00Z".parse().unwrap());
    again.run().await;
    for (in_old, here) in orders(&again.ros).await.into_iter().zip(orders(ros).await) {
        assert_eq!(in_old, here);
    }
    assert_eq!(again.ros.rows().await.len(), ros.rows().await.len());
    for (number, table) in [
        ("MS20470AD4-6", "bins_inventory"),
        ("3214-1", "bins_inventory"),
        ("65-90305-11", "stock_room"),
        ("622-5135-001", "terra"),
    ] {
        let mut found = Vec::new();
        for inventory in [&day.importer.inventory, &again.inventory] {
            let path = format!("/api/inventory/search?partNumber={number}");
            let parts = inventory.get(&path).await.expect(200)["results"].as_array().unwrap().clone();
            let quantities: Vec<Value> =
                parts.into_iter().filter(|part| part["tableName"] == table).map(|part| part["qty"].clone()).collect();
            found.push(quantities);
        }
        assert_eq!(found[0], found[1], "{number}");
    }
    // A second run changes nothing.
    let checksum = "CHECKSUM TABLE active, paid, net, `returns`, inventoryindex, bins_inventory_actual, terra";
    let mut sums = Vec::new();
    for _ in 0..2 {
        let rows = sqlx::raw_sql(checksum).fetch_all(&mut again.source.connect().await).await.unwrap();
        sums.push(rows.iter().map(|row| row.get::<Option<i64>, _>("Checksum")).collect::<Vec<_>>());
        assert_eq!(apply(&script, &again.source).await, [] as [String; 0]);
    }
    assert_eq!(sums[0], sums[1]);
}

#[tokio::test]
async fn the_files_say_what_happened_and_who_did_it() {
    let day = SwitchOver::start().await;
    day.patch("38462", &json!({ "terms": "COD", "dateDroppedOff": null })).await;
    day.archive("37100", "PAID").await;
    day.ros().delete(&path_by_number("36900")).await.expect(200);
    day.ros().create_with(json!({ "roNumber": "40001", "notes": "=1+1" })).await;
    day.change_stock("decrement", "MS20470AD4-6", "bins_inventory", json!({ "roNumber": "40001", "notes": "-taken" }))
        .await;
    let insert = "INSERT INTO ai_conversation_logs (conversation_id, timestamp, user, user_message, ai_response)
                  VALUES ('c-0', '2024-11-15 12:29:59', 'ann', 'before', 'the switch-over'),
                         ('c-1', '2024-11-15 12:30:00', 'ann', '@SUM(A1)', 'since')";
    execute(&mut day.ros().database.connect().await, insert).await;
    day.export("files").await;

    let orders = day.csv("files", "changed-orders");
    assert_eq!(orders.column("change"), ["CHANGED", "MOVED", "DELETED", "CREATED"]);
    assert_eq!(orders.column("roNumber"), ["38462", "37100", "36900", "40001"]);
    let changes =
        "dateDroppedOff: 2025-11-04 -> nothing\nlastDateUpdated: 2025-11-18 -> 2024-11-15\nterms: NET 30 -> COD";
    let mut lines: Vec<&str> = orders.column("changes")[0].lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.join("\n"), changes);
    assert_eq!(orders.column("archiveBefore"), ["ACTIVE", "NET", "RETURNED", ""]);
    assert_eq!(orders.column("archiveStatus"), ["ACTIVE", "PAID", "RETURNED", "ACTIVE"]);
    assert_eq!(orders.column("oldTable"), ["active", "net", "returns", ""]);
    assert_eq!(orders.column("oldRow"), ["1", "1", "1", ""]);
    assert_eq!(orders.column("changedAt")[0], "2024-11-15T13:00:00.000Z");
    // No cell is a formula.
    assert_eq!(orders.column("notes")[3], "'=1+1");

    let stock = day.csv("files", "stock-changes");
    let row: Vec<&str> =
        ["action", "partNumber", "tableName", "rowId", "previousQty", "deltaQty", "newQty", "roNumber", "notes"]
            .map(|heading| text_of(stock.column(heading)[0]))
            .to_vec();
    assert_eq!(row, ["DECREMENT", "MS20470AD4-6", "bins_inventory", "1", "1200", "-1", "1199", "40001", "-taken"]);

    let log = day.csv("files", "assistant-log");
    assert_eq!((log.column("conversationId"), log.column("userMessage")), (vec!["c-1"], vec!["'@SUM(A1)"]));
}

#[tokio::test]
async fn what_the_old_database_cannot_hold_is_named() {
    let day = SwitchOver::start().await;
    let ros = day.ros();
    day.importer.change_source("UPDATE active SET erp_po_id = 'PO-9' WHERE id = 1").await;
    day.set_clock("2024-11-15T12:00:00Z");
    day.importer.run().await;
    day.set_clock("2024-11-15T13:00:00Z");
    ros.create("RO-7").await;
    day.patch("38463", &json!({ "notes": "x".repeat(501), "terms": "COD" })).await;
    day.patch("37100", &json!({ "roNumber": "37100-A", "terms": "COD" })).await;
    // Its final cost, `1450.5 + freight`, is no number, and `net` has numbers.
    day.archive("37002", "NET").await;
    // Only `active` has the columns of the ERP.
    day.archive("38462", "RETURNED").await;
    let inventory = &day.importer.inventory;
    let part = inventory.put("terra", "NEW-1", 3).await;
    let take = part.change(&json!({}));
    inventory.post("/api/inventory/decrement", &take).await.expect(200);
    let other = "INSERT INTO transactions (Timestamp, Action, PartNumber, DeltaQty) VALUES ('2024-11-15 14:00:00', 'DECREMENT', 'X-1', -1)";
    execute(&mut inventory.database.connect().await, other).await;

    let named = day.export("files").await.not_expressed;
    let expected = [
        "order 38463: its NOTES has 501 characters",
        "order 38462: returns has no place for its erp_po_id, which was \"PO-9\"",
        "order 37002: net has no place for its FINAL_COST, which was \"1450.5 + freight\"",
        "order 37100: the number 37100-A",
        "order RO-7: its number is none for the old database",
        "part NEW-1: row",
        "part X-1: another program",
    ];
    for sentence in expected {
        assert!(named.iter().any(|found| found.starts_with(sentence)), "{sentence}: {named:#?}");
    }
    assert_eq!(named.len(), expected.len(), "{named:#?}");
    // The rest is applied, and the file names what is not.
    let (old, script) = (old_database().await, day.sql("files"));
    assert!(named.iter().all(|sentence| script.contains(&format!("--     {sentence}"))), "{script}");
    assert_eq!(apply(&script, &old).await, [] as [String; 0]);
    for (statement, expected) in [
        ("SELECT TERMS FROM active WHERE RO = 38463", "COD"),
        ("SELECT NOTES FROM active WHERE RO = 38463", "quote ok\ncall Fri"),
        ("SELECT TERMS FROM net WHERE RO = 37100", "COD"),
        ("SELECT COUNT(*) FROM net WHERE RO = 37002 AND FINAL_COST IS NULL", "1"),
    ] {
        assert_eq!(value(&old, statement).await.as_deref(), Some(expected), "{statement}");
    }

    let to = day.directory.path().join("by command");
    let output = day.command(&["--since", SINCE, to.to_str().unwrap()]).await;
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("not in the SQL file: order RO-7"), "{errors}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 4);
}

#[tokio::test]
async fn changes_of_several_days_are_applied_one_after_the_other() {
    let day = SwitchOver::start().await;
    let ros = day.ros();
    // Before the period, an earlier file has brought these to the old database.
    day.set_clock("2024-11-15T12:10:00Z");
    ros.create_with(json!({ "roNumber": "40010", "terms": "COD" })).await;
    ros.create("40011").await;
    day.archive("38463", "PAID").await;
    day.set_clock("2024-11-15T13:00:00Z");
    day.patch("40010", &json!({ "notes": "later" })).await;
    day.archive("40010", "NET").await;
    ros.delete(&path_by_number("40011")).await.expect(200);
    day.patch("38463", &json!({ "terms": "WIRE" })).await;
    // The importer read the old database again meanwhile; that is no change.
    day.importer.change_source("UPDATE `returns` SET TERMS = 'COD' WHERE RO = 36901").await;
    day.importer.run().await;

    day.export("files").await;
    assert_eq!(day.csv("files", "changed-orders").column("roNumber"), ["38463", "40010", "40011"]);
    let old = old_database().await;
    let earlier = "INSERT INTO active (RO, TERMS) VALUES (40010, 'COD'), (40011, NULL);
                   INSERT INTO paid (RO, TERMS) SELECT RO, TERMS FROM active WHERE RO = 38463;
                   DELETE FROM active WHERE RO = 38463";
    execute(&mut old.connect().await, earlier).await;
    assert_eq!(apply(&day.sql("files"), &old).await, [] as [String; 0]);
    for (statement, expected) in [
        ("SELECT CONCAT(TERMS, NOTES) FROM net WHERE RO = 40010", "CODlater"),
        ("SELECT COUNT(*) FROM active WHERE RO IN (40010, 40011, 38463)", "0"),
        ("SELECT TERMS FROM paid WHERE RO = 38463", "WIRE"),
    ] {
        assert_eq!(value(&old, statement).await.as_deref(), Some(expected), "{statement}");
    }
    // Without the earlier file, the script says what is missing.
    let problems = apply(&day.sql("files"), &old_database().await).await;
    assert_eq!(problems, ["38463 is not in paid", "40010 is not in net"].map(|it| format!("order {it}")));
}

#[tokio::test]
async fn changes_that_did_not_reach_their_row_are_listed() {
    let day = SwitchOver::start().await;
    day.patch("38462", &json!({ "terms": "COD" })).await;
    day.change_stock("adjust", "622-5135-001", "terra", json!({ "newQty": 9, "notes": "counted" })).await;
    day.export("files").await;
    let old = old_database().await;
    // An order was deleted in the old database, and a part was inserted anew.
    execute(&mut old.connect().await, "DELETE FROM active WHERE id = 1; UPDATE terra SET id = 999 WHERE id = 1").await;
    let problems = apply(&day.sql("files"), &old).await;
    let expected = ["order 38462 is not in active", "the quantity of 622-5135-001 in the row 1 of terra is not 9"];
    assert_eq!(problems, expected);
}

#[tokio::test]
async fn numbers_that_went_from_one_order_to_another_change_no_wrong_row() {
    let day = SwitchOver::start().await;
    // An earlier file has brought these to the old database, so it knows them by their numbers only.
    day.set_clock("2024-11-15T12:10:00Z");
    for number in ["40010", "40011", "40020", "40030"] {
        day.ros().create(number).await;
    }
    day.set_clock("2024-11-15T13:00:00Z");
    for (from, to) in [("40010", "40012"), ("40011", "40010"), ("40012", "40011"), ("40020", "40021")] {
        day.patch(from, &json!({ "roNumber": to })).await;
    }
    day.ros().create("40020").await;
    // The numbers of rows that the importer has read may change in any way.
    for (from, to) in [("38462", "40040"), ("38463", "38462"), ("40040", "38463")] {
        day.patch(from, &json!({ "roNumber": to })).await;
    }
    day.ros().delete(&path_by_number("40030")).await.expect(200);
    day.ros().create("40030").await;

    let named = day.export("files").await.not_expressed;
    let mut of: Vec<&str> = named.iter().map(|sentence| sentence.split(':').next().unwrap()).collect();
    of.sort_unstable();
    let expected = ["40010", "40011", "40020", "40020", "40030", "40030"].map(|number| format!("order {number}"));
    assert_eq!(of, expected, "{named:?}");
    let old = old_database().await;
    let earlier = "INSERT INTO active (id, RO) VALUES (110, 40010), (111, 40011), (120, 40020), (130, 40030)";
    execute(&mut old.connect().await, earlier).await;
    for _ in 0..2 {
        assert_eq!(apply(&day.sql("files"), &old).await, [] as [String; 0]);
        for (statement, expected) in [
            ("SELECT GROUP_CONCAT(RO ORDER BY id) FROM active WHERE id >= 110", "40010,40011,40020,40030"),
            ("SELECT GROUP_CONCAT(RO ORDER BY id) FROM active WHERE id IN (1, 2)", "38463,38462"),
        ] {
            assert_eq!(value(&old, statement).await.as_deref(), Some(expected), "{statement}");
        }
    }
}

/// All rows of the orders in the old database, without their ids.
async fn old_orders(database: &TestDatabase) -> Vec<Value> {
    let mut orders = Vec::new();
    for table in ["active", "paid", "net", "returns"] {
        let columns = "SELECT CAST(COLUMN_NAME AS CHAR) FROM information_schema.columns
                       WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND COLUMN_NAME <> 'id'";
        let mut connection = database.connect().await;
        let columns: Vec<String> = sqlx::query_scalar(columns).bind(table).fetch_all(&mut connection).await.unwrap();
        let pairs: Vec<String> = columns.iter().map(|column| format!("'{column}', CAST(`{column}` AS CHAR)")).collect();
        let rows = format!("SELECT CAST(JSON_OBJECT('table', '{table}', {}) AS CHAR) FROM `{table}`", pairs.join(", "));
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(&mut connection).await.unwrap();
        orders.extend(rows.iter().map(|row| serde_json::from_str::<Value>(row).unwrap()));
    }
    orders.sort_by_key(Value::to_string);
    orders
}

/// Gives every row of the old database a time of creation in the past.
const CREATED_IN_2023: &str = "UPDATE active SET created_at = '2023-01-02 03:04:05';
                               UPDATE paid SET created_at = '2023-01-02 03:04:05';
                               UPDATE net SET created_at = '2023-01-02 03:04:05';
                               UPDATE `returns` SET created_at = '2023-01-02 03:04:05'";

#[tokio::test]
async fn a_later_file_is_applied_whether_an_earlier_one_was_or_not() {
    let day = SwitchOver::start().await;
    let ros = day.ros();
    let (first, fresh) = (old_database().await, old_database().await);
    for old in [&first, &fresh] {
        execute(&mut old.connect().await, CREATED_IN_2023).await;
    }
    let at_switch_over = old_orders(&first).await;
    day.set_clock("2024-11-15T12:10:00Z");
    ros.create_with(json!({ "roNumber": "504", "terms": "COD" })).await;
    for old in [&first, &fresh] {
        execute(&mut old.connect().await, "INSERT INTO active (RO, TERMS) VALUES (504, 'COD')").await;
    }
    day.set_clock("2024-11-15T13:00:00Z");

    day.patch("504", &json!({ "terms": "WIRE" })).await;
    day.archive("38462", "PAID").await;
    day.patch("38463", &json!({ "terms": "COD", "dateMade": "2024-01-02", "finalCost": "1.50" })).await;
    day.archive("38464.1", "PAID").await;
    day.patch("37001", &json!({ "roNumber": "37009", "terms": "COD" })).await;
    day.archive("36901", "NET").await;
    for number in ["500", "501", "502", "503"] {
        ros.create_with(json!({ "roNumber": number, "notes": "new", "estimatedCost": "5.00" })).await;
    }
    day.change_stock("decrement", "MS20470AD4-6", "bins_inventory", json!({ "quantity": 5 })).await;
    day.export("first").await;
    assert_eq!(apply(&day.sql("first"), &first).await, [] as [String; 0]);

    // Each order takes another turn: changed where it is, back to its old values, moved on, moved back, deleted, its number taken.
    day.patch("38462", &json!({ "terms": "WIRE", "finalCost": "12.25" })).await;
    let back = json!({ "terms": "Net30", "dateMade": "2025-11-03", "finalCost": null });
    day.patch("38463", &back).await;
    day.patch("504", &json!({ "terms": "COD" })).await;
    day.archive("38464.1", "ACTIVE").await;
    day.patch("37009", &json!({ "roNumber": "37010" })).await;
    ros.create_with(json!({ "roNumber": "37009", "terms": "new one" })).await;
    day.archive("36901", "PAID").await;
    ros.delete(&path_by_number("500")).await.expect(200);
    day.patch("501", &json!({ "notes": null, "shopName": "Other" })).await;
    day.archive("502", "RETURNED").await;
    ros.delete(&path_by_number("503")).await.expect(200);
    ros.create_with(json!({ "roNumber": "503", "terms": "again" })).await;
    ros.delete(&path_by_number("37100")).await.expect(200);
    ros.create_with(json!({ "roNumber": "37100", "terms": "anew" })).await;
    day.change_stock("increment", "MS20470AD4-6", "bins_inventory", json!({ "quantity": 2 })).await;
    day.export("second").await;
    let script = day.sql("second");
    for old in [&first, &fresh] {
        assert_eq!(apply(&script, old).await, [] as [String; 0], "{script}");
        // Also after it was applied itself.
        assert_eq!(apply(&script, old).await, [] as [String; 0], "{script}");
    }
    let without_new = |orders: Vec<Value>| -> Vec<Value> {
        let is_old = |order: &Value| order["created_at"].as_str().unwrap().starts_with("2023");
        orders.into_iter().filter(is_old).collect()
    };
    assert_eq!(without_new(old_orders(&first).await), without_new(old_orders(&fresh).await));
    for old in [&first, &fresh] {
        for (statement, expected) in [
            (
                "SELECT CONCAT(TERMS, FINAL_COST, created_at) FROM paid WHERE RO = 38462",
                Some("WIRE12.252023-01-02 03:04:05"),
            ),
            ("SELECT GROUP_CONCAT(id) FROM active WHERE RO = 38462", Some("6")),
            ("SELECT CONCAT(TERMS, DATE_MADE) FROM active WHERE RO = 38463", Some("Net302025-11-03")),
            ("SELECT CONCAT(DATE_MADE, erp_sync_status) FROM active WHERE RO = 38464.1", Some("45968LOCAL_ONLY")),
            ("SELECT TERMS FROM paid WHERE RO = 37010", Some("COD")),
            ("SELECT TERMS FROM active WHERE RO = 37009", Some("new one")),
            ("SELECT DATE_MADE FROM paid WHERE RO = 36901", Some("2024-01-06 00:00:00")),
            ("SELECT COUNT(*) FROM active WHERE RO IN (500, 502)", Some("0")),
            ("SELECT CONCAT(SHOP_NAME, COALESCE(NOTES, '-')) FROM active WHERE RO = 501", Some("Other-")),
            ("SELECT COUNT(*) FROM `returns` WHERE RO = 502", Some("1")),
            ("SELECT CONCAT(TERMS, COALESCE(NOTES, '-')) FROM active WHERE RO = 503", Some("again-")),
            ("SELECT TERMS FROM active WHERE RO = 504", Some("COD")),
            ("SELECT COUNT(*) FROM net", Some("0")),
            ("SELECT GROUP_CONCAT(TERMS) FROM active WHERE RO = 37100", Some("anew")),
            ("SELECT QTY FROM bins_inventory_actual WHERE id = 1", Some("1197")),
        ] {
            assert_eq!(value(old, statement).await.as_deref(), expected, "{statement}");
        }
    }
    // An order that is as it was has its old row again, apart from the day of its last change.
    let of = |orders: Vec<Value>| -> Vec<Value> {
        let mut orders: Vec<Value> = orders.into_iter().filter(|order| order["RO"] == "38463").collect();
        for order in &mut orders {
            order["LAST_DATE_UPDATED"] = Value::Null;
        }
        orders
    };
    assert_eq!(of(old_orders(&first).await), of(at_switch_over));
}

#[tokio::test]
async fn the_script_names_each_change_that_the_old_database_lacks() {
    let day = SwitchOver::start().await;
    day.patch("38462", &json!({ "terms": "COD", "shopReferenceNumber": "gc-1" })).await;
    day.archive("37100", "PAID").await;
    day.change_stock("adjust", "622-5135-001", "terra", json!({ "newQty": 9, "notes": "counted" })).await;
    day.export("files").await;
    let (old, script) = (old_database().await, day.sql("files"));
    assert_eq!(apply(&script, &old).await, [] as [String; 0]);
    let spoil = "UPDATE active SET SHOP_REF = 'GC-1' WHERE id = 1;
                 UPDATE terra SET QTY = 8 WHERE id = 1;
                 INSERT INTO net (RO) VALUES (37100)";
    execute(&mut old.connect().await, spoil).await;
    let checks = &script[script.find("COMMIT;").unwrap() + "COMMIT;".len()..];
    let mut problems = apply(&format!("SET NAMES utf8mb4;{checks}"), &old).await;
    problems.sort();
    let expected = [
        "order 37100 is still in net",
        "order 38462 in active has other values in SHOP_REF",
        "the quantity of 622-5135-001 in the row 1 of terra is not 9",
    ];
    assert_eq!(problems, expected, "{script}");
}

#[tokio::test]
async fn a_moved_row_keeps_its_other_columns_or_they_are_named() {
    let day = SwitchOver::start().await;
    let change = format!("{CREATED_IN_2023}; UPDATE active SET erp_sync_status = 'SYNCED' WHERE id = 2");
    day.importer.change_source(&change).await;
    day.set_clock("2024-11-15T12:00:00Z");
    day.importer.run().await;
    day.set_clock("2024-11-15T13:00:00Z");
    day.archive("38462", "NET").await;
    day.archive("38463", "NET").await;
    let named = day.export("files").await.not_expressed;
    assert_eq!(named, ["order 38463: net has no place for its erp_sync_status, which was \"SYNCED\""]);
    let old = old_database().await;
    execute(&mut old.connect().await, &change).await;
    assert_eq!(apply(&day.sql("files"), &old).await, [] as [String; 0]);
    let created = "SELECT COUNT(*) FROM net WHERE RO IN (38462, 38463) AND created_at = '2023-01-02 03:04:05'";
    assert_eq!(value(&old, created).await.as_deref(), Some("2"));
}

#[tokio::test]
async fn orders_that_were_corrected_by_hand_are_found_again() {
    let mut day = SwitchOver::start().await;
    let corrected = mend(&day.importer, "rejected-active.xlsx", &[("4", "RO", "38470"), ("6", "RO", "38471")]);
    day.importer.files = vec![corrected];
    day.set_clock("2024-11-15T12:00:00Z");
    day.importer.run().await;
    day.set_clock("2024-11-15T13:00:00Z");
    day.patch("38470", &json!({ "terms": "COD" })).await;
    day.archive("38471", "PAID").await;
    day.export("files").await;
    let (old, script) = (old_database().await, day.sql("files"));
    // It can run again.
    for _ in 0..2 {
        assert_eq!(apply(&script, &old).await, [] as [String; 0], "{script}");
    }
    for (statement, expected) in [
        ("SELECT CONCAT(RO, SHOP_NAME, TERMS) FROM active WHERE id = 4", "38470Skyline NDTCOD"),
        ("SELECT SHOP_NAME FROM paid WHERE RO = 38471", "Gulf Coast Turbine"),
        ("SELECT GROUP_CONCAT(id) FROM active WHERE RO IN (38462, 38471)", "1"),
    ] {
        assert_eq!(value(&old, statement).await.as_deref(), Some(expected), "{statement}");
    }
}

#[tokio::test]
async fn notes_stay_behind_the_history_that_the_old_service_keeps_there() {
    let day = SwitchOver::start().await;
    let history = r#"HISTORY:[{"status":"TO SEND","date":"11/5/25","user":"ann"}]|NOTES:"#;
    let change = format!("UPDATE active SET NOTES = '{history}wheel well' WHERE RO = 38462");
    day.importer.change_source(&change).await;
    day.set_clock("2024-11-15T12:00:00Z");
    day.importer.run().await;
    day.set_clock("2024-11-15T13:00:00Z");
    day.patch("38462", &json!({ "notes": "wheel well\nleft side" })).await;
    day.export("files").await;
    let old = old_database().await;
    execute(&mut old.connect().await, &change).await;
    assert_eq!(apply(&day.sql("files"), &old).await, [] as [String; 0]);
    let notes = value(&old, "SELECT NOTES FROM active WHERE id = 1").await;
    assert_eq!(notes, Some(format!("{history}wheel well\nleft side")));
}

#[tokio::test]
async fn all_files_show_one_instant() {
    let day = SwitchOver::start().await;
    day.ros().create("40001").await;
    // A writer that changes both databases at once while the export reads. The stock is read last.
    let pieces = "SELECT COUNT(*) FROM transactions WHERE Action = 'DECREMENT'";
    let (ros, inventory) = (&day.importer.ros, &day.importer.inventory);
    let part = inventory.put("terra", "NEW-1", 1000).await;
    let write = async {
        for number in 1..60 {
            let notes = json!({ "notes": format!("{number}") });
            ros.send_json(Method::PATCH, &path_by_number("40001"), &notes).await.expect(200);
            inventory.post("/api/inventory/decrement", &part.change(&json!({}))).await.expect(200);
        }
    };
    let read = async {
        let mut seen = Vec::new();
        for number in 0..4 {
            let directory = format!("files {number}");
            day.export(&directory).await;
            let notes = day.csv(&directory, "changed-orders").column("notes")[0].parse::<i64>().unwrap_or(0);
            let taken = i64::try_from(day.csv(&directory, "stock-changes").rows.len()).unwrap();
            seen.push((notes, taken));
        }
        seen
    };
    let ((), seen) = tokio::join!(write, read);
    // The notes are written before the pieces are taken.
    assert!(seen.iter().all(|(notes, taken)| (0..=1).contains(&(notes - taken))), "{seen:?}");
    let total: i64 = sqlx::query_scalar(pieces).fetch_one(&mut *inventory.connection().await).await.unwrap();
    assert_eq!(total, 59);
}

#[tokio::test]
async fn the_command_line_is_checked() {
    let day = SwitchOver::start().await;
    let to = day.directory.path().join("new");
    let to = to.to_str().unwrap();
    for (arguments, said) in [
        (vec!["--since", "yesterday", to], "with its zone, such as 2026-11-28T14:00:00-05:00"),
        (vec!["--since", "2024-11-15T12:30:00", to], "with its zone"),
        (vec!["--since", "9024-11-15T12:30:00Z", to], "must not be in the future"),
        (vec!["--since", SINCE, to, "terra"], "cannot be used with"),
        (vec!["--since", SINCE, "--format", "xlsx", to], "cannot be used with"),
    ] {
        let output = day.command(&arguments).await;
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && errors.contains(said), "{errors}");
    }
    assert!(day.command(&["--since", SINCE, to]).await.status.success());
    let again = day.command(&["--since", SINCE, to]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8(again.stderr).unwrap().contains("is there already. Nothing was written"));
    let files: Vec<PathBuf> = fs::read_dir(to).unwrap().map(|entry| entry.unwrap().path()).collect();
    let script = files.iter().find(|path| path.extension().is_some_and(|extension| extension == "sql")).unwrap();
    let script = fs::read_to_string(script).unwrap();
    assert!(files.len() == 4 && !script.contains(&server().host), "the file can be sent by mail: {script}");
}
