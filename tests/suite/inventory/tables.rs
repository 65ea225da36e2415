//! `GET /api/inventory/tables`

use rotracker_tests::App;
use serde_json::json;

use super::TABLES;

#[tokio::test]
async fn all_eleven_are_listed_with_their_counts() {
    let app = App::inventory().await;
    for (index, table) in TABLES.into_iter().enumerate() {
        for _ in 0..index {
            app.put_unindexed(table, "A-1", 1).await;
        }
    }
    let response = app.get("/api/inventory/tables").await.expect(200);
    assert_eq!((&response["totalTables"], &response["totalItems"]), (&json!(11), &json!(55)));
    let tables = response["tables"].as_array().unwrap();
    for (index, (name, table)) in TABLES.iter().zip(tables).enumerate() {
        assert_eq!((&table["name"], &table["count"]), (&json!(name), &json!(index)));
    }
    assert_eq!(tables[0], json!({ "name": "stock_room", "displayName": "Stock Room", "count": 0 }));
    assert_eq!(tables[1]["displayName"], "Bins Inventory");
}
