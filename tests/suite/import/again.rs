//! Importing again: from a source that has changed, into an installation that people work with.

use rotracker_cli::import::OnConflict;
use rotracker_tests::importer::{Importer, classes};
use serde_json::json;

async fn patch(importer: &Importer, number: &str, body: serde_json::Value) {
    let path = format!("/api/ros/by-number/{number}");
    importer.ros.send_json(http::Method::PATCH, &path, &body).await.expect(200);
}

#[tokio::test]
async fn a_second_import_changes_nothing() {
    let importer = Importer::start().await;
    importer.run().await;
    let rows = async || {
        let mut all = Vec::new();
        for (database, tables) in [
            (
                &importer.ros.database,
                &["active", "paid", "net", "`returns`", "ro_history", "ro_registry", "import_rows"][..],
            ),
            (
                &importer.inventory.database,
                &["stock_room", "bins_inventory", "727_parts", "inventoryindex", "transactions", "import_rows"],
            ),
        ] {
            for table in tables {
                let checksum = format!("CHECKSUM TABLE {table} EXTENDED");
                let (_, sum): (String, Option<i64>) = sqlx::query_as(sqlx::AssertSqlSafe(checksum))
                    .fetch_one(&mut database.connect().await)
                    .await
                    .unwrap();
                all.push((*table, sum));
            }
        }
        all
    };
    let before = rows().await;
    let again = importer.run().await;
    assert_eq!(classes(&again), [("unchanged", 22), ("rejected", 7), ("skipped", 4)]);
    assert_eq!(rows().await, before);
}

#[tokio::test]
async fn changes_of_people_stay_and_changes_of_the_source_come_in() {
    let importer = Importer::start().await;
    importer.run().await;
    patch(&importer, "38462", json!({"terms": "WIRE"})).await;
    importer.change_source("UPDATE active SET SHOP_REF = 'GC-1', LAST_DATE_UPDATED = '11/19/25' WHERE id = 1").await;
    let report = importer.run().await;
    assert_eq!(classes(&report)[0], ("updated", 1));
    let order = importer.ros.get("/api/ros/by-number/38462").await.expect(200);
    assert_eq!((&order["terms"], &order["shopReferenceNumber"]), (&json!("WIRE"), &json!("GC-1")));
    assert_eq!(order["lastDateUpdated"], "2025-11-19T00:00:00.000Z");
    let history = importer.ros.get("/api/ros/by-number/38462/history").await.expect(200);
    let actions: Vec<_> = history["history"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["IMPORTED", "UPDATED", "IMPORTED"]);
}

#[tokio::test]
async fn a_field_that_both_changed_is_a_conflict() {
    let mut importer = Importer::start().await;
    importer.run().await;
    patch(&importer, "38462", json!({"terms": "WIRE"})).await;
    importer.change_source("UPDATE active SET TERMS = 'COD', SHOP_REF = 'GC-1' WHERE id = 1").await;
    for _ in 0..2 {
        let report = importer.run().await;
        let row = report.rows().unwrap().into_iter().find(|row| row.table == "active" && row.row == 1).unwrap();
        assert_eq!(
            (row.class.name(), row.reason.as_deref()),
            ("rejected", Some("38462: the source and this database have different changes of terms"))
        );
        let order = importer.ros.get("/api/ros/by-number/38462").await.expect(200);
        assert_eq!((&order["terms"], &order["shopReferenceNumber"]), (&json!("WIRE"), &json!("GC-7781")));
    }
    importer.on_conflict = OnConflict::Replace;
    assert_eq!(classes(&importer.run().await)[0], ("updated", 1));
    let order = importer.ros.get("/api/ros/by-number/38462").await.expect(200);
    assert_eq!((&order["terms"], &order["shopReferenceNumber"]), (&json!("COD"), &json!("GC-1")));
    let history = importer.ros.get("/api/ros/by-number/38462/history").await.expect(200);
    let changes = history["history"][0]["changes"].to_string();
    assert!(changes.contains(r#"{"field":"terms","new":"COD","old":"WIRE"}"#), "{changes}");
    importer.on_conflict = OnConflict::Keep;
    assert_eq!(classes(&importer.run().await)[0], ("unchanged", 22));
}

#[tokio::test]
async fn a_conflict_ends_when_both_sides_agree() {
    let importer = Importer::start().await;
    importer.run().await;
    patch(&importer, "38462", json!({"terms": "WIRE"})).await;
    importer.change_source("UPDATE active SET TERMS = 'COD' WHERE id = 1").await;
    importer.run().await;
    patch(&importer, "38462", json!({"terms": "COD"})).await;
    assert_eq!(classes(&importer.run().await)[0], ("unchanged", 22));
    // From here on, the agreed value is what the source said last.
    importer.change_source("UPDATE active SET TERMS = 'NET 30' WHERE id = 1").await;
    assert_eq!(classes(&importer.run().await)[0], ("updated", 1));
}

#[tokio::test]
async fn renumbered_and_deleted_orders_are_not_imported_again() {
    let importer = Importer::start().await;
    importer.run().await;
    patch(&importer, "38462", json!({"roNumber": "38462-A"})).await;
    importer.ros.send_json(http::Method::DELETE, "/api/ros/by-number/37100", &json!({})).await.expect(200);
    assert_eq!(classes(&importer.run().await)[0], ("unchanged", 22));
    importer.change_source("UPDATE active SET TERMS = 'COD' WHERE id = 1; UPDATE net SET TERMS = 'COD'").await;
    let report = importer.run().await;
    assert_eq!(classes(&report), [("updated", 1), ("unchanged", 20), ("rejected", 8), ("skipped", 4)]);
    assert_eq!(importer.ros.get("/api/ros/by-number/38462-A").await.expect(200)["terms"], "COD");
    importer.ros.get("/api/ros/by-number/38462").await.expect_error(404);
    importer.ros.get("/api/ros/by-number/37100").await.expect_error(404);
    let deleted = report.rows().unwrap().into_iter().find(|row| row.table == "net").unwrap();
    assert_eq!(deleted.reason.as_deref(), Some("37100 was deleted in this database and changed in the source"));
}

#[tokio::test]
async fn an_order_that_moved_in_the_source_moves_here() {
    let importer = Importer::start().await;
    importer.run().await;
    let id = importer.ros.get("/api/ros/by-number/38463").await.expect(200)["id"].clone();
    let columns = "RO, SHOP_NAME, PART, TERMS, CURENT_STATUS, CURENT_STATUS_DATE, NOTES";
    // Copied first: a move that is cut short.
    importer
        .change_source(&format!(
            "INSERT INTO net ({columns}) SELECT {columns} FROM active WHERE id = 2; UPDATE net SET CURENT_STATUS = 'RECEIVED' WHERE RO = 38463"
        ))
        .await;
    assert_eq!(classes(&importer.run().await)[0], ("updated", 1));
    let check = async || {
        let moved = importer.ros.get("/api/ros/by-number/38463").await.expect(200);
        assert_eq!(
            (&moved["id"], &moved["archiveStatus"], &moved["currentStatus"]),
            (&id, &json!("NET"), &json!("RECEIVED"))
        );
        assert_eq!(moved["statusHistory"].as_array().unwrap().len(), 2);
    };
    check().await;
    importer.change_source("DELETE FROM active WHERE id = 2").await;
    let report = importer.run().await;
    assert_eq!(report.count(rotracker_cli::import::Class::Unchanged), 22);
    check().await;
}

#[tokio::test]
async fn a_number_that_is_here_already_is_rejected() {
    let importer = Importer::start().await;
    let order = json!({"roNumber": "37100", "shopName": "Other", "partNumber": "P", "partDescription": "PUMP", "currentStatus": "TO SEND"});
    let id = importer.ros.send_json(http::Method::POST, "/api/ros", &order).await.expect(201)["id"].clone();
    let report = importer.run().await;
    let row = report.rows().unwrap().into_iter().find(|row| row.table == "net").unwrap();
    let reason = row.reason.as_deref().unwrap();
    assert!(
        reason.starts_with(&format!("37100 already exists (id {}) and differs in", id.as_str().unwrap())),
        "{reason}"
    );
    assert_eq!(importer.ros.get("/api/ros/by-number/37100").await.expect(200)["shopName"], "Other");
}

#[tokio::test]
async fn rows_that_were_deleted_in_the_source_stay_and_are_reported() {
    let importer = Importer::start().await;
    importer.run().await;
    importer.change_source("DELETE FROM net; DELETE FROM terra WHERE id = 1").await;
    let report = importer.run().await;
    let gone: Vec<_> = report.deleted_in_source.iter().map(|row| (&*row.kind, row.row)).collect();
    assert_eq!(gone, [("orders", 1), ("terra", 1)]);
    assert_eq!(importer.ros.get("/api/ros/by-number/37100").await.expect(200)["archiveStatus"], "NET");
}

#[tokio::test]
async fn a_sheet_that_was_loaded_again_is_recognised_and_its_quantities_enter_the_ledger() {
    let importer = Importer::start().await;
    importer.run().await;
    let take = json!({"indexId": "9", "partNumber": "65-2181-4", "quantity": 1});
    importer.inventory.send_json(http::Method::POST, "/api/inventory/decrement", &take).await.expect(200);
    importer
        .change_source(
            "DELETE FROM inventoryindex; DELETE FROM pn_no_reparadas_727; UPDATE terra SET QTY = 4 WHERE id = 1;
             INSERT INTO pn_no_reparadas_727 (`PART_No`,`SERIAL`,`DESCRIPTION`,`QTY`,`STOCK_ROOM`,`LOCATION`) VALUES
                 ('65-2181-4','120','ACTUATOR','1',3,'A4'), ('65-2181-4','119','ACTUATOR','1.0',3,'A4'), ('65-2181-4','118','ACTUATOR','7',3,'A4')",
        )
        .await;
    let report = importer.run().await;
    let counts = report.tables.iter().find(|table| table.table == "pn_no_reparadas_727").unwrap();
    let counts: Vec<_> = counts.classes.iter().map(|(class, rows)| (class.name(), *rows)).collect();
    assert_eq!(counts, [("imported", 1), ("updated", 1), ("unchanged", 1)]);
    let ledger = importer.inventory.get("/api/inventory/transactions?action=IMPORT").await.expect(200);
    let mut entries: Vec<_> = ledger["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["partNumber"].as_str().unwrap(), entry["previousQty"].as_i64(), entry["newQty"].as_i64()))
        .collect();
    entries.sort_unstable();
    assert_eq!(entries, [("622-5135-001", Some(2), Some(4)), ("65-2181-4", Some(1), Some(7))]);
    let part = &importer.inventory.get("/api/inventory/search?partNumber=622-5135-001").await.expect(200)["results"][0];
    assert_eq!(part["qty"], 4);
}
