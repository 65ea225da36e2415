//! `GET /api/inventory/stats`

use rotracker_tests::{App, database::execute};
use serde_json::{Value, json};

use super::TABLES;

#[tokio::test]
async fn the_index_is_counted_in_all_and_by_table() {
    let app = App::inventory().await;
    for (table, quantity) in [("stock_room", 0), ("stock_room", 4), ("stock_room", 5), ("terra", 100), ("727_parts", 1)]
    {
        app.put(table, "A-1", quantity).await;
    }
    // Parts that are not in the index are not counted.
    app.put_unindexed("stock_room", "A-1", 1_000).await;
    // Names are compared without case, also those of other tables.
    let unknown = "INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty) VALUES ('Z', 'old_sheet', 1, NULL), \
                   ('Z', 'OLD_sheet', 2, 7), ('Z', 'Old_sheet', 3, 8), ('Z', 'Terra', 99, 2)";
    execute(&mut app.database.connect().await, unknown).await;
    let stats = app.get("/api/inventory/stats").await.expect(200);
    assert_eq!((&stats["totalParts"], &stats["totalQuantity"]), (&json!(9), &json!(127)));
    assert_eq!((&stats["lowStockItems"], &stats["outOfStockItems"]), (&json!(4), &json!(1)));
    assert_eq!((&stats["totalItems"], &stats["lowStockCount"]), (&json!(9), &json!(4)));
    let breakdown = stats["tableBreakdown"].as_array().unwrap();
    assert_eq!(breakdown[0], json!({ "table": "stock_room", "parts": 3, "quantity": 9 }));
    let names: Vec<&Value> = breakdown.iter().map(|table| &table["table"]).collect();
    assert_eq!(names[..11], TABLES.map(|name| json!(name)).iter().collect::<Vec<_>>());
    assert!(names.len() == 12 && names[11].as_str().unwrap().eq_ignore_ascii_case("old_sheet"), "{names:?}");
    let sum = |field: &str| breakdown.iter().map(|table| table[field].as_i64().unwrap()).sum::<i64>();
    assert_eq!((sum("parts"), sum("quantity")), (9, 127));
}

#[tokio::test]
async fn transactions_of_the_last_30_days_are_counted() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A-1", 9).await;
    app.post("/api/inventory/decrement", &part.change(&json!({}))).await.expect(200);
    // The clock stands at noon on 15 November; 30 days before is noon on 16 October.
    let theirs = "INSERT INTO transactions (Timestamp, Action, PartNumber, DeltaQty, NewQty) VALUES \
                  ('2024-10-16 12:00:00', 'INCREMENT', 'A-1', 1, 9), ('2024-10-16 11:59:59', 'DECREMENT', 'A-1', -1, 8)";
    execute(&mut app.database.connect().await, theirs).await;
    assert_eq!(app.get("/api/inventory/stats").await.expect(200)["recentTransactions"], 2);
}

#[tokio::test]
async fn an_empty_index_is_all_zeros() {
    let app = App::inventory().await;
    let stats = app.get("/api/inventory/stats").await.expect(200);
    assert_eq!((&stats["totalParts"], &stats["totalQuantity"]), (&json!(0), &json!(0)));
    assert_eq!((&stats["totalItems"], &stats["lowStockCount"]), (&json!(0), &json!(0)));
    assert_eq!(stats["recentTransactions"], 0);
    assert_eq!(stats["tableBreakdown"].as_array().unwrap().len(), 11);
}
