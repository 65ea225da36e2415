//! Rows that belong together: an order and its copy in an archive, a part and its row of the index.

use rotracker_cli::import::Class;
use rotracker_tests::importer::{Importer, classes};
use serde_json::{Value, json};

const COLUMNS: &str = "RO, SHOP_NAME, PART, CURENT_STATUS, CURENT_STATUS_DATE, NOTES";

async fn order(importer: &Importer, number: &str) -> Value {
    importer.ros.get(&format!("/api/ros/by-number/{number}")).await.expect(200)
}

fn statuses(order: &Value) -> Vec<&str> {
    order["statusHistory"].as_array().unwrap().iter().map(|step| step["status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn statuses_that_the_source_adds_later_become_history() {
    let importer = Importer::without_rows().await;
    importer
        .change_source(&format!("INSERT INTO active ({COLUMNS}) VALUES (1, 'ABC', 'P', 'TO SEND', '11/5/25', 'wheel')"))
        .await;
    importer.run().await;
    let with_steps = |steps: &str| {
        format!(
            "UPDATE active SET CURENT_STATUS = 'APPROVED', CURENT_STATUS_DATE = '11/7/25', NOTES = 'HISTORY:[{steps}]|NOTES:wheel'"
        )
    };
    let (first, second) = (
        r#"{"status":"TO SEND","date":"11/5/25","user":"ann"}"#,
        r#"{"status":"APPROVED","date":"11/7/25","user":"bob","cost":500}"#,
    );
    importer.change_source(&with_steps(&format!("{first},{second}"))).await;
    assert_eq!(classes(&importer.run().await), [("updated", 1)]);
    let changed = order(&importer, "1").await;
    assert_eq!(
        statuses(&changed),
        ["TO SEND", "TO SEND", "APPROVED"],
        "the last step is not repeated as the new status"
    );
    assert_eq!((&changed["notes"], &changed["statusHistory"][2]["user"]), (&json!("wheel"), &json!("bob")));
    assert_eq!(classes(&importer.run().await), [("unchanged", 1)]);

    // Only a step is new: the order itself stays as it is, and no change by another program is found afterwards.
    let third = r#"{"status":"APPROVED","date":"11/8/25","user":"bob","notes":"by phone"}"#;
    importer.change_source(&with_steps(&format!("{first},{second},{third}"))).await;
    assert_eq!(classes(&importer.run().await), [("updated", 1)]);
    let path = "/api/ros/by-number/1";
    importer.ros.send_json(http::Method::PATCH, path, &json!({"terms": "COD"})).await.expect(200);
    let history = importer.ros.get(&format!("{path}/history")).await.expect(200);
    let actions: Vec<_> =
        history["history"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["UPDATED", "IMPORTED", "IMPORTED", "IMPORTED", "IMPORTED", "IMPORTED"]);
}

#[tokio::test]
async fn an_order_that_was_moved_without_any_other_change_moves_here() {
    let importer = Importer::without_rows().await;
    importer
        .change_source(&format!("INSERT INTO net ({COLUMNS}) VALUES (1, 'ABC', 'P', 'PAID', '11/5/25', NULL)"))
        .await;
    importer.run().await;
    let move_it = format!("INSERT INTO paid ({COLUMNS}) SELECT {COLUMNS} FROM net; DELETE FROM net");
    importer.change_source(&move_it).await;
    assert_eq!(classes(&importer.run().await), [("updated", 1)]);
    assert_eq!(order(&importer, "1").await["archiveStatus"], "PAID");
    assert_eq!(classes(&importer.run().await), [("unchanged", 1)]);
}

#[tokio::test]
async fn the_notes_of_a_copy_come_along_once_and_stay() {
    let importer = Importer::without_rows().await;
    importer
        .change_source(&format!(
            "INSERT INTO paid ({COLUMNS}) VALUES (1, 'ABC', 'P', 'PAID', '11/9/25', 'paid by wire')"
        ))
        .await;
    importer.run().await;
    // A copy turns up that was never deleted.
    importer
        .change_source(&format!(
            "INSERT INTO active ({COLUMNS}) VALUES (1, 'abc ', 'p', 'APPROVED', '11/5/25',
                 'HISTORY:[{{\"status\":\"APPROVED\",\"date\":\"11/5/25\",\"user\":\"ann\"}}]|NOTES:wheel well\\npaid by wire')"
        ))
        .await;
    assert_eq!(classes(&importer.run().await), [("updated", 1), ("skipped", 1)]);
    let check = async |notes: &str| {
        let moved = order(&importer, "1").await;
        assert_eq!((&moved["archiveStatus"], &moved["notes"]), (&json!("PAID"), &json!(notes)));
        assert_eq!(statuses(&moved), ["PAID", "APPROVED"]);
    };
    check("wheel well\npaid by wire").await;
    // It is deleted at last, and the archive's row is changed.
    importer.change_source("DELETE FROM active; UPDATE paid SET TERMS = 'WIRE'").await;
    assert_eq!(classes(&importer.run().await), [("updated", 1)]);
    check("wheel well\npaid by wire").await;
    importer.change_source("UPDATE paid SET NOTES = 'paid twice'").await;
    assert_eq!(classes(&importer.run().await), [("updated", 1)]);
    check("wheel well\npaid by wire\npaid twice").await;
}

#[tokio::test]
async fn equal_numbers_without_shop_and_part_are_no_move() {
    let importer = Importer::without_rows().await;
    importer.change_source("INSERT INTO active (RO) VALUES (1), (1); INSERT INTO paid (RO) VALUES (1)").await;
    let report = importer.run().await;
    let rows = report.rows().unwrap();
    let reasons: Vec<_> =
        rows.iter().map(|row| (&*row.table, row.row, row.class, row.reason.as_deref().unwrap())).collect();
    assert_eq!(
        reasons,
        [
            ("active", 2, Class::Skipped, "an exact repetition of row 1 of active"),
            ("paid", 1, Class::Rejected, "row 1 of active has the same number with other content"),
        ]
    );
}

#[tokio::test]
async fn lots_of_one_part_are_known_again_when_the_sheet_is_loaded_in_another_order() {
    let importer = Importer::without_rows().await;
    let load = |quantities: [i64; 3]| {
        let rows = quantities.map(|quantity| format!("('X', '{quantity}')")).join(", ");
        format!(
            "DELETE FROM bins_inventory_actual; DELETE FROM inventoryindex;
             INSERT INTO bins_inventory_actual (PART_NUMBER, QTY) VALUES {rows};
             INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty) SELECT PART_NUMBER, 'bins_inventory_actual', id, QTY FROM bins_inventory_actual"
        )
    };
    importer.change_source(&load([1, 2, 3])).await;
    importer.run().await;
    let take = json!({"indexId": "3", "partNumber": "X"});
    importer.inventory.send_json(http::Method::POST, "/api/inventory/decrement", &take).await.expect(200);
    importer.change_source(&load([3, 1, 2])).await;
    assert_eq!(classes(&importer.run().await), [("unchanged", 6)]);
    let found = importer.inventory.get("/api/inventory/search?partNumber=X").await.expect(200);
    let quantities: Vec<_> =
        found["results"].as_array().unwrap().iter().map(|part| part["qty"].as_i64().unwrap()).collect();
    assert_eq!(quantities, [1, 2, 2], "the piece that was taken stays taken");
}

#[tokio::test]
async fn a_changed_quantity_sets_the_time_at_which_the_part_was_seen() {
    let importer = Importer::without_rows().await;
    importer.change_source("INSERT INTO terra (PART_No, QTY) VALUES ('X', 2)").await;
    importer.run().await;
    importer.change_source("UPDATE terra SET QTY = 9").await;
    importer.run().await;
    let seen: Option<String> = sqlx::query_scalar("SELECT CAST(LastSeen AS CHAR) FROM inventoryindex")
        .fetch_one(&mut importer.inventory.database.connect().await)
        .await
        .unwrap();
    assert_eq!(seen.as_deref(), Some("2024-11-15 12:00:00"));
}

#[tokio::test]
async fn a_row_that_became_unreadable_is_rejected() {
    let importer = Importer::without_rows().await;
    importer
        .change_source(
            "INSERT INTO terra (PART_No, QTY) VALUES ('X', 5), ('X', 3); INSERT INTO active (RO, PART) VALUES (1, 'P')",
        )
        .await;
    importer.run().await;
    importer
        .change_source("UPDATE terra SET QTY = 1.5 WHERE id = 1; UPDATE terra SET QTY = 4 WHERE id = 2; UPDATE active SET PART = REPEAT('p', 101)")
        .await;
    let report = importer.run().await;
    assert_eq!(classes(&report), [("updated", 1), ("rejected", 2)]);
    assert_eq!(report.deleted_in_source.len(), 0);
    let found = importer.inventory.get("/api/inventory/search?partNumber=X").await.expect(200);
    let quantities: Vec<_> =
        found["results"].as_array().unwrap().iter().map(|part| part["qty"].as_i64().unwrap()).collect();
    assert_eq!(quantities, [5, 4]);
    // It is mended.
    importer.change_source("UPDATE terra SET QTY = 6 WHERE id = 1; UPDATE active SET PART = 'Q'").await;
    assert_eq!(classes(&importer.run().await), [("updated", 2), ("unchanged", 1)]);
    let kept: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM import_rows WHERE replaced_by IS NULL")
        .fetch_one(&mut importer.inventory.database.connect().await)
        .await
        .unwrap();
    assert_eq!(kept, 2, "each row has one latest version");
}

#[tokio::test]
async fn a_typing_error_in_the_archive_does_not_bring_back_the_copy() {
    let importer = Importer::start().await;
    importer.run().await;
    importer.change_source("UPDATE paid SET TERMS = REPEAT('x', 60) WHERE RO = 38465").await;
    let report = importer.run().await;
    assert_eq!(classes(&report), [("unchanged", 21), ("rejected", 8), ("skipped", 4)]);
    let kept = order(&importer, "38465").await;
    assert_eq!((&kept["archiveStatus"], &kept["currentStatus"]), (&json!("PAID"), &json!("PAYMENT SENT")));
    importer.change_source("UPDATE paid SET TERMS = 'WIRE' WHERE RO = 38465").await;
    assert_eq!(importer.run().await.count(Class::Unchanged), 22);
}

#[tokio::test]
async fn statuses_enter_the_history_once() {
    let importer = Importer::without_rows().await;
    let notes = |notes: &str| format!("UPDATE active SET NOTES = '{notes}'");
    let list = r#"HISTORY:[{"status":"TO SEND","date":"11/5/25","user":"ann"}]|NOTES:wheel"#;
    importer
        .change_source(&format!(
            "INSERT INTO active ({COLUMNS}) VALUES (1, 'ABC', 'P', 'IN WORK', '11/7/25', '{list}')"
        ))
        .await;
    importer.run().await;
    // Cut off, whole again, without the history, and with it.
    for (text, class) in [(&list[..30], "updated"), (list, "updated"), ("wheel", "unchanged"), (list, "unchanged")] {
        importer.change_source(&notes(text)).await;
        assert_eq!(classes(&importer.run().await), [(class, 1)], "{text}");
    }
    assert_eq!(statuses(&order(&importer, "1").await), ["TO SEND", "IN WORK"]);
}

#[tokio::test]
async fn an_edited_order_is_known_although_a_copy_has_its_former_content() {
    let importer = Importer::without_rows().await;
    let row = "(50, 'ABC', 'P', 'TO SEND', '11/5/25', NULL)";
    importer.change_source(&format!("INSERT INTO active ({COLUMNS}) VALUES {row}, {row}")).await;
    assert_eq!(classes(&importer.run().await), [("corrected", 1), ("skipped", 1)]);
    importer.change_source("UPDATE active SET TERMS = 'WIRE' WHERE id = 1").await;
    for expected in [[("updated", 1), ("rejected", 1)], [("unchanged", 1), ("rejected", 1)]] {
        assert_eq!(classes(&importer.run().await), expected);
    }
    assert_eq!(order(&importer, "50").await["terms"], "WIRE");
}

#[tokio::test]
async fn notes_stay_as_they_are_and_long_ones_reject_their_row() {
    let importer = Importer::of(rotracker_tests::TestDatabase::empty().await).await;
    let table = "(id INT PRIMARY KEY, RO INT, SHOP_NAME VARCHAR(50), PART VARCHAR(50), NOTES TEXT)";
    importer
        .change_source(&format!(
            "CREATE TABLE active {table}; CREATE TABLE paid {table};
             INSERT INTO active VALUES (1, 1, 'ABC', 'P', CONCAT('a', CHAR(13), CHAR(10), 'b')), (2, 2, 'ABC', 'P', REPEAT('a', 40000)),
                 (3, 3, 'ABC', 'P', 'x\\n\\na\\nb');
             INSERT INTO paid VALUES (2, 2, 'ABC', 'P', REPEAT('b', 40000)), (3, 3, 'ABC', 'P', 'x\\n\\na\\nc\\n\\nd')"
        ))
        .await;
    let report = importer.run().await;
    assert_eq!(classes(&report), [("imported", 2), ("rejected", 1), ("skipped", 2)]);
    assert_eq!(order(&importer, "1").await["notes"], "a\r\nb");
    assert_eq!(order(&importer, "3").await["notes"], "x\n\na\nb\nc\n\nd");
    let rejected = report.rows().unwrap().into_iter().find(|row| row.class == Class::Rejected).unwrap();
    assert!(rejected.reason.as_deref().unwrap().contains("must be at most 65535 bytes"), "{rejected:?}");
    // The notes become short enough, and then a copy that is gone makes them too long again.
    importer.change_source("UPDATE paid SET NOTES = 'b' WHERE id = 2").await;
    assert_eq!(classes(&importer.run().await)[0], ("imported", 1));
    importer
        .change_source("DELETE FROM active WHERE id = 2; UPDATE paid SET NOTES = REPEAT('c', 40000) WHERE id = 2")
        .await;
    assert_eq!(importer.run().await.count(Class::Rejected), 1);
}
