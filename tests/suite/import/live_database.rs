//! The rows of the live database, one by one.

use rotracker_tests::importer::{Importer, classes, outcome};
use serde_json::{Value, json};

#[tokio::test]
async fn every_row_ends_in_its_class() {
    let report = Importer::start().await.run().await;
    for (table, row, expected) in [
        (
            "active",
            1,
            "corrected: DATE_MADE: \"11/03/25\" -> 2025-11-03; DATE_DROPPED_OFF: \"11/04/25\" -> 2025-11-04; \
             ESTIMATED_DELIVERY_DATE: \"12/19/25\" -> 2025-12-19; CURENT_STATUS: \"WAITING QUOTE \" -> WAITING QUOTE; \
             CURENT_STATUS_DATE: \"11/04/25\" -> 2025-11-04; LAST_DATE_UPDATED: \"11/18/25\" -> 2025-11-18; \
             NEXT_DATE_TO_UPDATE: \"11/25/25\" -> 2025-11-25",
        ),
        (
            "active",
            2,
            "corrected: SERIAL: \"A12 \" -> A12; DATE_DROPPED_OFF: \"45965\" -> 2025-11-04; \
             ESTIMATED_DELIVERY_DATE: \"1/9/26\" -> 2026-01-09; CURENT_STATUS_DATE: \"11-10-2025\" -> 2025-11-10; \
             LAST_DATE_UPDATED: \"2025-11-10T05:00:00.000Z\" -> 2025-11-10; \
             NEXT_DATE_TO_UPDATE: \"11/24/2025\" -> 2025-11-24",
        ),
        (
            "active",
            3,
            "corrected: DATE_MADE: \"45968\" -> 2025-11-07; ESTIMATED_COST: \"9800.005\" -> 9800.01; \
             ESTIMATED_DELIVERY_DATE: \"TBD\" -> nothing; CURENT_STATUS_DATE: \"11/1/25\" -> 2025-11-01; \
             NEXT_DATE_TO_UPDATE: \"11/31/25\" -> nothing",
        ),
        ("active", 4, "rejected: the order has no number"),
        ("active", 5, "skipped: the order was already moved: row 3 of paid counts"),
        ("active", 6, "rejected: row 1 of active has the same number with other content"),
        ("paid", 1, "corrected: FINAL_COST: \"$1,450.00\" -> 1450.00; CURENT_STATUS_DATE: \"3/18/24\" -> 2024-03-18"),
        (
            "paid",
            2,
            "corrected: FINAL_COST: \"1450.5 + freight\" -> nothing; CURENT_STATUS_DATE: \"03/20/24\" -> 2024-03-20",
        ),
        ("paid", 3, "corrected: FINAL_COST: \"n/c\" -> nothing; CURENT_STATUS_DATE: \"11/20/25\" -> 2025-11-20"),
        ("net", 1, "corrected: CURENT_STATUS_DATE: \"6/20/24\" -> 2024-06-20"),
        ("returns", 1, "corrected: DATE_MADE: \"1/5/24\" -> 2024-01-05; CURENT_STATUS_DATE: \"2/1/24\" -> 2024-02-01"),
        ("returns", 2, "corrected: DATE_MADE: \"1/6/24\" -> 2024-01-06; CURENT_STATUS_DATE: \"2/3/24\" -> 2024-02-03"),
        ("stock_room_actual", 1, "skipped: a heading"),
        ("stock_room_actual", 2, "imported"),
        ("stock_room_actual", 3, "skipped: a blank row"),
        ("stock_room_actual", 4, "corrected: GENTHRUST_XVII_INVENTORY: \"3214-1  \" -> 3214-1"),
        ("stock_room_actual", 5, "corrected: GENTHRUST_XVII_INVENTORY: \"\\u{feff}2119620-8\" -> 2119620-8"),
        ("bins_inventory_actual", 1, "corrected: QTY: \"1,200\" -> 1200"),
        ("bins_inventory_actual", 2, "corrected: QTY: \"~300\" -> 300"),
        ("bins_inventory_actual", 3, "corrected: QTY: \"2 EA\" -> 2"),
        ("bins_inventory_actual", 4, "skipped: a blank row"),
        ("bins_inventory_actual", 5, "imported"),
        ("pn_no_reparadas_727", 1, "imported"),
        ("pn_no_reparadas_727", 2, "corrected: QTY: \"1.0\" -> 1"),
        ("terra", 1, "imported"),
        ("terra", 2, "rejected: QTY is no whole number: 1.5"),
        ("b_e_r_r_a_i", 1, "imported"),
        ("b_e_r_r_a_i", 2, "imported"),
        ("inventoryindex", 1, "imported"),
        ("inventoryindex", 2, "rejected: it has no quantity"),
        ("inventoryindex", 3, "rejected: it has no part number"),
        ("inventoryindex", 4, "rejected: its quantity is negative: -3"),
        ("inventoryindex", 5, "rejected: it points to no table"),
    ] {
        assert_eq!(outcome(&report, table, row), expected, "row {row} of {table}");
    }
    assert_eq!(classes(&report), [("imported", 7), ("corrected", 15), ("rejected", 7), ("skipped", 4)]);
    let not_understood: Vec<&str> =
        report.tables.iter().filter(|table| !table.is_understood).map(|table| &*table.table).collect();
    assert_eq!(not_understood, ["hold"]);
    let bins = report.tables.iter().find(|table| table.table == "bins_inventory_actual").unwrap();
    let kept: Vec<_> = bins.unmapped_columns.iter().filter(|(_, rows)| **rows > 0).collect();
    assert_eq!(kept, [(&"COMENT".to_owned(), &1), (&"COST".to_owned(), &2), (&"created_at".to_owned(), &5)]);
}

#[tokio::test]
async fn orders_come_in_with_their_notes_and_history() {
    let importer = Importer::start().await;
    importer.run().await;
    let order = async |number: &str| importer.ros.get(&format!("/api/ros/by-number/{number}")).await.expect(200);
    let first = order("38462").await;
    assert_eq!(first["archiveStatus"], "ACTIVE");
    assert_eq!((&first["serialNumber"], &first["estimatedCost"]), (&json!("2217"), &json!("4250.00")));
    assert_eq!((&first["nextDateToUpdate"], &first["notes"]), (&json!("2025-11-25T00:00:00.000Z"), &Value::Null));
    let decimal = order("38464.1").await;
    assert_eq!((&decimal["estimatedCost"], &decimal["estimatedDeliveryDate"]), (&json!("9800.01"), &Value::Null));
    assert_eq!(decimal["notes"], "[import] estimated delivery: TBD\n[import] next update: 11/31/25");
    assert_eq!(order("38463").await["notes"], "quote ok\ncall Fri");

    let moved = order("38465").await;
    assert_eq!((&moved["archiveStatus"], &moved["currentStatus"]), (&json!("PAID"), &json!("PAYMENT SENT")));
    assert_eq!(moved["notes"], "wheel well\n[import] estimated cost: -1\n[import] final cost: n/c");
    let steps: Vec<_> = moved["statusHistory"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            (
                step["status"].as_str().unwrap(),
                step["date"].as_str().unwrap(),
                step["user"].as_str(),
                step["cost"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("TO SEND", "2025-11-05T00:00:00.000Z", Some("ann"), None),
            ("CURRENTLY BEING SHIPPED", "2025-11-12T00:00:00.000Z", Some("bob"), Some("310.00")),
            ("PAYMENT SENT", "2025-11-20T00:00:00.000Z", None, None),
        ]
    );
    let history = importer.ros.get("/api/ros/by-number/38465/history").await.expect(200);
    assert_eq!(history["history"][0]["program"], "rotracker import", "{history}");
}

#[tokio::test]
async fn the_dashboard_agrees_with_the_source() {
    let importer = Importer::start().await;
    importer.run().await;
    let dashboard = importer.ros.get("/api/ros/stats/dashboard").await.expect(200);
    for (figure, expected) in [
        ("totalActive", json!(3)),
        ("waitingQuote", json!(1)),
        ("approved", json!(1)),
        ("beingRepaired", json!(1)),
        ("approvedPaid", json!(3)),
        ("approvedNet", json!(1)),
        ("ber", json!(1)),
        ("rai", json!(1)),
        // 4250 + 1875.5 + 9800.005
        ("totalEstimatedValue", json!("15925.51")),
        // 1450 + 2210.4 + 150
        ("totalFinalValue", json!("3810.40")),
    ] {
        assert_eq!(dashboard[figure], expected, "{figure}");
    }
}

#[tokio::test]
async fn parts_come_in_with_the_index() {
    let importer = Importer::start().await;
    importer.run().await;
    let search = async |number: &str| {
        let found = importer.inventory.get(&format!("/api/inventory/search?partNumber={number}")).await.expect(200);
        let results = found["results"].as_array().unwrap().clone();
        results
            .into_iter()
            .map(|part| (part["tableName"].as_str().unwrap().to_owned(), part["qty"].clone()))
            .collect::<Vec<_>>()
    };
    // The stock room had a byte order mark before this number, and the list of scrapped parts has it, too.
    let unknown = |tables: &[&str]| tables.iter().map(|table| ((*table).to_owned(), Value::Null)).collect::<Vec<_>>();
    assert_eq!(search("2119620-8").await, unknown(&["b_e_r__r_a_i", "stock_room"]));
    assert_eq!(search("3214%C2%A0-1").await, unknown(&["bins_inventory", "stock_room"]));
    assert_eq!(search("MS20470AD4-6").await, [("bins_inventory".to_owned(), json!(1200))]);
    assert_eq!(search("622-5135-001").await, [("terra".to_owned(), json!(2))]);
    // Unknown quantities are neither low nor out of stock.
    let low = importer.inventory.get("/api/inventory/low-stock?threshold=2").await.expect(200);
    let low: Vec<_> = low["items"].as_array().unwrap().iter().map(|item| item["partNumber"].clone()).collect();
    assert_eq!(low, ["65-2181-4", "65-2181-4"]);
    let mut connection = importer.inventory.database.connect().await;
    let (last_seen, others): (i64, i64) = sqlx::query_as(
        "SELECT CAST(SUM(PartNumber = 'MS20470AD4-6' AND LastSeen IS NOT NULL) AS SIGNED),
                CAST(SUM(PartNumber <> 'MS20470AD4-6' AND LastSeen IS NOT NULL) AS SIGNED)
         FROM inventoryindex",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!((last_seen, others), (1, 0), "only the index row that counts brings its time along");
}

#[tokio::test]
async fn the_index_says_which_quantity_counts() {
    let importer = Importer::without_rows().await;
    importer
        .change_source(
            "INSERT INTO terra (PART_No, QTY, LOCATION) VALUES ('A-1', 5, 'T1'), ('A-2', 5, NULL), ('A-3', 5, NULL), ('A-4', 1.5, NULL);
             INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty, `Condition`) VALUES
                 ('a\u{2011}1 ', 'TERRA', 1, 3, 'OH'), ('A-1', 'terra', 1, 9, NULL), ('B-2', 'terra', 2, 3, NULL),
                 ('A-9', 'terra', 9, 3, NULL), ('A-3', 'apa_sanford_ar_757', 3, 3, NULL), ('A-4', 'terra', 4, 1, NULL)",
        )
        .await;
    let report = importer.run().await;
    for (table, row, expected) in [
        ("terra", 1, "corrected: QTY: \"5\" -> 3"),
        ("terra", 2, "imported"),
        ("terra", 4, "rejected: QTY is no whole number: 1.5"),
        ("inventoryindex", 1, "imported"),
        ("inventoryindex", 2, "rejected: row 1 points to the same part already"),
        ("inventoryindex", 3, "rejected: it points to row 2 of terra, which has another part: A-2"),
        ("inventoryindex", 4, "rejected: it points to row 9 of terra, which does not exist"),
        ("inventoryindex", 5, "rejected: it points to the table apa_sanford_ar_757, which the source does not have"),
        ("inventoryindex", 6, "rejected: row 4 of terra, to which it points, is not imported"),
    ] {
        assert_eq!(outcome(&report, table, row), expected, "row {row} of {table}");
    }
    let part = &importer.inventory.get("/api/inventory/search?partNumber=A-1").await.expect(200)["results"][0];
    assert_eq!((&part["qty"], &part["condition"], &part["location"]), (&json!(3), &json!("OH"), &json!("T1")));
}

#[tokio::test]
async fn shops_and_the_log_of_the_assistant_come_in() {
    let importer = Importer::without_rows().await;
    importer
        .change_source(
            "INSERT INTO shops (Customer, Business_Name, Email, YTD_Sales) VALUES (17, 'Núñez Aero ', 'a@b.example', 1234.5), (NULL, 'ABC', NULL, NULL);
             INSERT INTO logs (Timestamp, Date, User, User_Message, AI_Response, Duration_ms, Success) VALUES
                 ('11/3/2025, 10:05:00 PM', '2025-11-03 00:00:00', 'José@x.example', 'how many?', 'three', 812.4, 'TRUE'),
                 ('2025-11-04T02:59:00.000Z', NULL, 'JOSÉ@x.example ', 'and now?', NULL, NULL, 'false'),
                 (NULL, NULL, 'bob', 'when?', 'never', NULL, NULL)",
        )
        .await;
    let report = importer.run().await;
    assert_eq!(classes(&report), [("imported", 1), ("corrected", 3), ("rejected", 1)]);
    assert_eq!(outcome(&report, "logs", 3), "rejected: the entry has no time that can be read");
    let corrected = report.rows().unwrap().into_iter().find(|row| row.table == "logs" && row.row == 1).unwrap();
    let user = corrected.corrections.iter().find(|correction| correction.column == "User").unwrap();
    assert_eq!((&*user.found, user.stored.as_deref()), ("José@x.example", Some("josé@x.example")));
    assert_eq!(user.rule, "users are in lower case and in Unicode's NFC");
    let mut connection = importer.ros.database.connect().await;
    let shops: Vec<(Option<i64>, String, Option<f64>)> =
        sqlx::query_as("SELECT Customer, Business_Name, YTD_Sales FROM shops ORDER BY id")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(shops, [(Some(17), "Núñez Aero".to_owned(), Some(1234.5)), (None, "ABC".to_owned(), None)]);
    let logs: Vec<(String, String, String, Option<i64>, bool)> = sqlx::query_as(
        "SELECT conversation_id, CAST(timestamp AS CHAR), user, CAST(duration_ms AS SIGNED), success FROM ai_conversation_logs ORDER BY id",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(logs[0].0, logs[1].0, "one conversation for each user and day in the time zone of the business");
    assert!(logs[0].0.starts_with("import-2025-11-03-"), "{logs:?}");
    let times: Vec<_> =
        logs.iter().map(|(_, time, user, duration, success)| (&**time, &**user, *duration, *success)).collect();
    assert_eq!(
        times,
        [
            ("2025-11-04 03:05:00", "josé@x.example", Some(812), true),
            ("2025-11-04 02:59:00", "josé@x.example", None, false),
        ]
    );
}

#[tokio::test]
async fn tables_of_the_specified_form_come_in() {
    let source = rotracker_tests::TestDatabase::empty().await;
    let importer = Importer::of(source).await;
    importer
        .change_source(
            "CREATE TABLE active (id INT PRIMARY KEY, RO VARCHAR(50), DATE_MADE DATE, SHOP_NAME VARCHAR(255), ESTIMATED_COST DECIMAL(10,2), CURENT_STATUS VARCHAR(100));
             CREATE TABLE `727_parts` (id INT PRIMARY KEY, PN VARCHAR(100), QTY INT, SERIAL VARCHAR(100), COND VARCHAR(50), LOCATION VARCHAR(100), DESCRIPTION TEXT);
             CREATE TABLE inventoryindex (IndexId INT PRIMARY KEY, PartNumber VARCHAR(100), TableName VARCHAR(100), RowId INT, Qty INT);
             CREATE TABLE transactions (TxnId INT PRIMARY KEY, Timestamp DATETIME, Action VARCHAR(50), PartNumber VARCHAR(100), DeltaQty INT, NewQty INT, RONumber VARCHAR(50), Note TEXT);
             INSERT INTO active VALUES (7, 'RO-7', '2025-11-03', 'ABC', 12.50, 'APPROVED');
             INSERT INTO `727_parts` VALUES (3, 'A-1', 4, 'S', 'NE', 'L', 'D');
             INSERT INTO inventoryindex VALUES (1, 'A-1', '727_parts', 3, 4);
             INSERT INTO transactions VALUES (1, '2025-11-03 10:00:00', 'DECREMENT', 'A-1', -1, 4, 'RO-7', NULL)",
        )
        .await;
    let report = importer.run().await;
    assert_eq!(classes(&report), [("imported", 4)]);
    assert_eq!(importer.ros.get("/api/ros/by-number/ro-7").await.expect(200)["estimatedCost"], "12.50");
    let ledger = importer.inventory.get("/api/inventory/transactions?roNumber=RO-7").await.expect(200);
    assert_eq!(
        (&ledger["transactions"][0]["deltaQty"], &ledger["transactions"][0]["newQty"]),
        (&json!(-1), &json!(4)),
        "{ledger}"
    );
}
