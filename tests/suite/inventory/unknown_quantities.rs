//! Unknown quantities. They are NULL in the database.

use rotracker_tests::{
    App,
    database::execute,
    stock::{Part, Quantities},
};
use serde_json::{Value, json};

/// Adds a part whose quantity is unknown.
async fn put_unknown(app: &App, table: &str, number: &str) -> Part {
    let part = app.put(table, number, 0).await;
    let forget = format!(
        "UPDATE inventoryindex SET Qty = NULL WHERE IndexId = {}; UPDATE `{table}` SET QTY = NULL WHERE id = {}",
        part.index_id, part.row_id
    );
    execute(&mut app.database.connect().await, &forget).await;
    part
}

#[tokio::test]
async fn they_are_shown_as_null_and_are_neither_low_nor_out_of_stock() {
    let app = App::inventory().await;
    put_unknown(&app, "stock_room", "A-1").await;
    app.put_unindexed("stock_room", "B-1", 0).await;
    execute(&mut app.database.connect().await, "UPDATE stock_room SET QTY = NULL").await;
    for text in ["A-1", "A-", "B-1"] {
        let found = app.get(&format!("/api/inventory/search?partNumber={text}")).await.expect(200);
        assert_eq!(found["results"][0]["qty"], Value::Null, "{text}");
    }
    let table = app.get("/api/inventory/stock-room").await.expect(200);
    assert_eq!(table["items"][0]["qty"], Value::Null);
    assert_eq!(app.get("/api/inventory/low-stock").await.expect(200)["items"], json!([]));
    let stats = app.get("/api/inventory/stats").await.expect(200);
    for (figure, count) in [("totalParts", 1), ("totalQuantity", 0), ("lowStockItems", 0), ("outOfStockItems", 0)] {
        assert_eq!(stats[figure], count, "{figure}");
    }
}

#[tokio::test]
async fn they_must_be_counted_before_pieces_are_taken_or_added() {
    let app = App::inventory().await;
    let part = put_unknown(&app, "terra", "A-1").await;
    for path in ["decrement", "increment"] {
        let response = app.post(&format!("/api/inventory/{path}"), &part.change(&json!({}))).await.expect_error(409);
        assert!(response.contains("is unknown. Count the part"), "{response}");
    }
    assert_eq!(app.quantities(&part).await, Quantities { indexed: None, in_table: None });
    let body = part.change(&json!({ "newQty": 7, "notes": "Stock take" }));
    let response = app.post("/api/inventory/adjust", &body).await.expect(200);
    assert_eq!((&response["previousQty"], &response["newQty"]), (&Value::Null, &json!(7)));
    assert_eq!(app.quantities(&part).await, Quantities { indexed: Some(7), in_table: Some(7) });
    let page = app.get("/api/inventory/transactions").await.expect(200);
    let entry = &page["transactions"][0];
    assert_eq!((&entry["previousQty"], &entry["deltaQty"], &entry["newQty"]), (&Value::Null, &Value::Null, &json!(7)));
    app.post("/api/inventory/decrement", &part.change(&json!({}))).await.expect(200);
}

#[tokio::test]
async fn each_change_of_a_quantity_is_a_sighting() {
    let app = App::inventory().await;
    let part = app.put("terra", "A-1", 3).await;
    let seen = async || -> Option<String> {
        let query = sqlx::query_scalar("SELECT CAST(LastSeen AS CHAR) FROM inventoryindex");
        query.fetch_one(&mut app.database.connect().await).await.unwrap()
    };
    assert_eq!(seen().await, None);
    for (path, fields) in
        [("decrement", json!({})), ("increment", json!({})), ("adjust", json!({ "newQty": 7, "notes": "Stock take" }))]
    {
        app.clock.set(app.clock.now() + chrono::TimeDelta::minutes(1));
        app.post(&format!("/api/inventory/{path}"), &part.change(&fields)).await.expect(200);
        assert_eq!(seen().await, Some(app.clock.now().format("%Y-%m-%d %H:%M:%S").to_string()), "{path}");
    }
}
