//! `GET /api/inventory/table/{table_name}`

use rotracker_tests::{App, database::execute};
use serde_json::{Value, json};

use super::TABLES;

#[tokio::test]
async fn all_tables_have_one_shape_and_bins_add_bin() {
    let app = App::inventory().await;
    for table in TABLES {
        let empty = app.get(&format!("/api/inventory/table/{table}")).await.expect(200);
        assert_eq!(empty, json!({ "tableName": table, "items": [], "count": 0 }));
        app.put(table, "B-2", 1).await;
        let part = app.put(table, "A-1", 10).await;
        let response = app.get(&format!("/api/inventory/table/{table}")).await.expect(200);
        assert_eq!((&response["tableName"], &response["count"]), (&json!(table), &json!(2)));
        let mut expected = json!({
            "id": part.row_id.to_string(),
            "partNumber": "A-1",
            "qty": 10,
            "serial": "SN-001",
            "condition": "SV",
            "location": "A-12",
            "description": format!("Part A-1 of {table}"),
        });
        if table == "bins_inventory" {
            expected["bin"] = Value::Null;
        }
        assert_eq!(response["items"][0], expected);
        assert_eq!(response["items"][1]["partNumber"], "B-2");
    }
}

#[tokio::test]
async fn empty_cells_are_null() {
    let app = App::inventory().await;
    execute(&mut app.database.connect().await, "INSERT INTO terra (PN) VALUES (NULL)").await;
    let response = app.get("/api/inventory/table/terra").await.expect(200);
    let item = response["items"][0].as_object().unwrap();
    assert_eq!(item.len(), 7);
    assert!(item.iter().all(|(name, value)| name == "id" || value.is_null()), "{item:?}");
}

#[tokio::test]
async fn a_long_table_is_complete() {
    let app = App::inventory().await;
    let rows = "INSERT INTO delta_apa (PN, QTY, DESCRIPTION) SELECT CONCAT('P-', place), place, REPEAT('x', 100) FROM \
                (WITH RECURSIVE places (place) AS (SELECT 1 UNION ALL SELECT place + 1 FROM places WHERE place < 900) \
                SELECT place FROM places) numbers";
    execute(&mut app.database.connect().await, rows).await;
    let response = app.get("/api/inventory/table/delta_apa").await;
    assert!(response.bytes.len() > 100_000);
    let body = response.expect(200);
    assert_eq!((&body["count"], body["items"].as_array().unwrap().len()), (&json!(900), 900));
}

#[tokio::test]
async fn unknown_names_are_400_and_dropped_tables_404() {
    let app = App::inventory().await;
    for name in ["STOCK_ROOM", "inventoryindex", "transactions", "stock-room", "terra%3B%20DROP%20TABLE%20terra", "x"] {
        let body = app.get(&format!("/api/inventory/table/{name}")).await.expect(400);
        assert!(body["message"].as_str().unwrap().contains("asia_ar_sanford_parts"), "{body}");
        assert!(body["details"]["fields"]["tableName"].is_string(), "{body}");
    }
    execute(&mut app.database.connect().await, "DROP TABLE bolivia_part").await;
    app.get("/api/inventory/table/bolivia_part").await.expect_error(404);
}
