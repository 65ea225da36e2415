//! Sources that are unusual, or known under another name.

use rotracker_tests::importer::{Importer, classes, source_address};

#[tokio::test]
async fn the_same_data_under_another_name_is_not_doubled() {
    let mut importer = Importer::start().await;
    importer.source_name = Some("mysql://db.example:3306/live".to_owned());
    importer.run().await;
    importer.source_name = None;
    let error = importer.try_run().await.unwrap_err();
    let own = source_address(&importer.source.name);
    let own = format!("mysql://{}", own.split('@').next_back().unwrap());
    for said in ["--source-name 'mysql://db.example:3306/live'", &format!("--source-name '{own}'")] {
        assert!(error.contains(said), "{error}");
    }
    importer.source_name = Some("mysql://db.example:3306/live".to_owned());
    assert_eq!(classes(&importer.run().await)[0], ("unchanged", 22));
    // Names are compared byte by byte: this is another source.
    importer.source_name = Some("mysql://db.example:3306/LIVE".to_owned());
    assert_ne!(classes(&importer.run().await)[0], ("unchanged", 22));
}

#[tokio::test]
async fn rows_of_a_dropped_table_are_reported() {
    let importer = Importer::start().await;
    importer.run().await;
    importer.change_source("DROP TABLE b_e_r_r_a_i").await;
    let gone: Vec<_> = importer.run().await.deleted_in_source.into_iter().map(|row| (row.kind, row.row)).collect();
    assert_eq!(gone, [("b_e_r__r_a_i".to_owned(), 1), ("b_e_r__r_a_i".to_owned(), 2)]);
}

#[tokio::test]
async fn any_primary_key_and_any_column_type_is_read() {
    let importer = Importer::of(rotracker_tests::TestDatabase::empty().await).await;
    importer
        .change_source(
            "CREATE TABLE active (RO DOUBLE PRIMARY KEY, PART VARCHAR(50) CHARACTER SET latin1, FINAL_COST FLOAT, DATE_MADE DATE);
             INSERT INTO active VALUES (38464.1, 'Ä-1', 0.1, '2025-11-03'), (38465, 'B', 1234567.8, NULL);
             CREATE TABLE paid (RO BIGINT UNSIGNED PRIMARY KEY, PART VARCHAR(50));
             INSERT INTO paid VALUES (18446744073709551615, 'C'), (2, 'D');
             CREATE TABLE net (RO INT PRIMARY KEY, PART VARCHAR(50));
             INSERT INTO net VALUES (7, 'E');
             CREATE TABLE `odd ``table` (a VARBINARY(4), b BIT(3), c TIME, d JSON, e BLOB);
             INSERT INTO `odd ``table` VALUES (x'00ff', b'101', '10:00:00', '{\"k\": 1}', 'x'), (NULL, NULL, NULL, NULL, NULL);
             CREATE VIEW shops AS SELECT 1 AS Customer",
        )
        .await;
    let report = importer.run().await;
    assert_eq!(classes(&report), [("imported", 5), ("rejected", 2)]);
    assert_eq!(report.not_read, ["shops"]);
    for (number, cost) in [
        ("38464.1", Some("0.10")),
        ("38465", Some("1234567.80")),
        ("18446744073709551615", None),
        ("2", None),
        ("7", None),
    ] {
        let order = importer.ros.get(&format!("/api/ros/by-number/{number}")).await.expect(200);
        assert_eq!(order["finalCost"].as_str(), cost, "{number}");
    }
    assert_eq!(importer.ros.get("/api/ros/by-number/38464.1").await.expect(200)["partNumber"], "Ä-1");
    let odd: String = sqlx::query_scalar(
        "SELECT original FROM import_rows WHERE source_table = 'odd `table' ORDER BY id DESC LIMIT 1",
    )
    .fetch_one(&mut importer.ros.database.connect().await)
    .await
    .unwrap();
    assert!(odd.contains(r#""a":"0x00FF""#) && odd.contains("10:00:00"), "{odd}");
    assert_eq!(classes(&importer.run().await), [("unchanged", 5), ("rejected", 2)]);
}

#[tokio::test]
async fn out_of_range_values_reject_only_their_row() {
    let importer = Importer::without_rows().await;
    importer
        .change_source(
            "INSERT INTO active (RO, ESTIMATED_COST, NOTES) VALUES (1, 1e21, NULL), (2, 5, CONCAT('HISTORY:[{\"status\":\"', REPEAT('x', 300), '\"}]'));
             INSERT INTO logs (Timestamp, User, User_Message, Duration_ms) VALUES ('2025-11-04T02:59:00.123Z', 'ann', 'q', 3e9), ('2025-11-04T02:59:00.123Z', 'ann', 'r', 5)",
        )
        .await;
    let report = importer.run().await;
    assert_eq!(classes(&report), [("corrected", 3), ("rejected", 1)]);
    let notes = async |number: &str| {
        importer.ros.get(&format!("/api/ros/by-number/{number}")).await.expect(200)["notes"].clone()
    };
    assert_eq!(notes("1").await, "[import] estimated cost: 1000000000000000000000");
    assert!(notes("2").await.as_str().unwrap().starts_with("HISTORY:[{"), "an unreadable history stays in the notes");
    let cut = report.rows().unwrap().into_iter().find(|row| row.table == "logs" && row.row == 2).unwrap();
    assert_eq!(cut.corrections[0].stored.as_deref(), Some("2025-11-04 02:59:00"));
}

#[tokio::test]
async fn rows_that_are_larger_than_a_packet_together_are_imported() {
    let importer = Importer::of(rotracker_tests::TestDatabase::empty().await).await;
    let numbers = rotracker_tests::database::numbers();
    importer
        .change_source(&format!(
            "CREATE TABLE ai_conversation_logs (id INT PRIMARY KEY, conversation_id VARCHAR(100), timestamp DATETIME, user VARCHAR(255), user_message MEDIUMTEXT, ai_response MEDIUMTEXT);
             INSERT INTO ai_conversation_logs SELECT n, 'c', '2025-11-03 10:00:00', 'ann', CONCAT(n, REPEAT('x', 150000)), 'y' FROM {numbers} WHERE n < 200"
        ))
        .await;
    assert_eq!(classes(&importer.run().await), [("imported", 200)]);
}

#[tokio::test]
async fn shops_of_one_name_stay_apart_however_many_there_are() {
    let importer = Importer::without_rows().await;
    let numbers = rotracker_tests::database::numbers();
    importer
        .change_source(&format!(
            "INSERT INTO shops (Business_Name) SELECT CONCAT('Shop ', n) FROM {numbers} WHERE n < 501;
             INSERT INTO shops (Business_Name, City) VALUES ('Shop 0', 'Miami')"
        ))
        .await;
    assert_eq!(classes(&importer.run().await), [("imported", 502)]);
    let miami: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM shops WHERE City = 'Miami'")
        .fetch_one(&mut importer.ros.database.connect().await)
        .await
        .unwrap();
    assert_eq!(miami, 1);
}

#[tokio::test]
async fn large_numbers_that_fit_are_imported() {
    let importer = Importer::without_rows().await;
    importer
        .change_source(
            "INSERT INTO bins_inventory_actual (PART_NUMBER, QTY) VALUES ('A', '2000000000');
             INSERT INTO shops (Business_Name, YTD_Sales) VALUES ('ABC', 2500000000.5)",
        )
        .await;
    assert_eq!(classes(&importer.run().await), [("imported", 2)]);
}

#[tokio::test]
async fn a_rejected_row_that_was_edited_has_one_latest_version() {
    let importer = Importer::start().await;
    importer.run().await;
    importer.change_source("UPDATE active SET SHOP_NAME = 'Skyline' WHERE id = 4").await;
    importer.run().await;
    let latest: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM import_rows WHERE source_table = 'active' AND replaced_by IS NULL")
            .fetch_one(&mut importer.ros.database.connect().await)
            .await
            .unwrap();
    assert_eq!(latest, 6);
}

#[tokio::test]
async fn a_row_that_only_the_database_refuses_is_rejected_by_itself() {
    let importer = Importer::of(rotracker_tests::TestDatabase::empty().await).await;
    // The database takes the two numbers for one, which no rule of the importer foresees.
    importer
        .change_source(
            "CREATE TABLE active (id INT PRIMARY KEY, RO VARCHAR(50), PART VARCHAR(50));
             INSERT INTO active VALUES (1, 'A', 'P'), (2, '\u{1fb3}', 'P'), (3, '\u{1fbc}', 'P'), (4, 'B', 'P')",
        )
        .await;
    let report = importer.run().await;
    assert_eq!(classes(&report), [("imported", 3), ("rejected", 1)]);
    let rejected = report.rows().unwrap().into_iter().find(|row| row.row == 3).unwrap();
    assert!(rejected.reason.as_deref().unwrap().starts_with("the database refuses it"), "{rejected:?}");
    assert_eq!(classes(&importer.run().await), [("unchanged", 3), ("rejected", 1)]);
}
