//! `GET /api/inventory/low-stock`

use rotracker_tests::{App, database::execute};
use serde_json::{Value, json};

/// Records the use of `pieces` of `number` at a given time, as another program does.
async fn used(app: &App, number: &str, pieces: i64, at: &str) {
    let entry = format!(
        "INSERT INTO transactions (Timestamp, Action, PartNumber, DeltaQty, NewQty) \
         VALUES ('{at}', 'DECREMENT', '{number}', -{pieces}, 0)"
    );
    execute(&mut app.database.connect().await, &entry).await;
}

const RECENTLY: &str = "2024-11-01 10:00:00";

#[tokio::test]
async fn items_have_the_calculated_figures() {
    let app = App::inventory().await;
    // Number, quantity, used in 90 days; then the expected rate, reorder quantity, urgency and days left.
    let cases = [
        ("CRIT-USED", 0, 15, 5.0, 20, "critical", Some(0)),
        ("CRIT-IDLE", 0, 0, 0.0, 10, "critical", None),
        ("HIGH-ONE", 1, 0, 0.0, 10, "high", None),
        ("HIGH-DAYS", 4, 13, 4.33, 18, "high", Some(27)),
        ("HIGH-EDGE", 3, 9, 3.0, 14, "medium", Some(30)),
        ("MED", 4, 7, 2.33, 12, "medium", Some(51)),
        ("LOW-EDGE", 2, 3, 1.0, 10, "low", Some(60)),
        ("LOW-USED", 4, 2, 0.67, 10, "low", Some(180)),
        ("LOW-IDLE", 4, 0, 0.0, 10, "low", None),
    ];
    for (number, quantity, usage, ..) in cases {
        app.put("stock_room", number, quantity).await;
        if usage > 0 {
            used(&app, number, usage, RECENTLY).await;
        }
    }
    app.put("stock_room", "ENOUGH", 5).await;
    let response = app.get("/api/inventory/low-stock").await.expect(200);
    let items = response["items"].as_array().unwrap();
    for (number, quantity, usage, rate, reorder, urgency, days) in cases {
        let item = items.iter().find(|item| item["partNumber"] == number).unwrap();
        let expected = json!({
            "indexId": item["indexId"],
            "partNumber": number,
            "tableName": "stock_room",
            "rowId": item["rowId"],
            "serialNumber": "SN-001",
            "description": format!("Part {number} of stock_room"),
            "currentQty": quantity,
            "usage90Days": usage,
            "transactionCount90Days": i32::from(usage > 0),
            "lastUsedDate": (usage > 0).then_some("2024-11-01T10:00:00.000Z"),
            "lastRONumber": null,
            "monthlyUsageRate": rate,
            "recommendedReorder": reorder,
            "urgency": urgency,
            "daysUntilStockout": days,
            "location": "A-12",
            "condition": "SV",
            "lastSeen": null,
        });
        assert_eq!(*item, expected);
        assert!(item["indexId"].is_string() && item["rowId"].is_number());
    }
    let order: Vec<&str> = items.iter().map(|item| item["partNumber"].as_str().unwrap()).collect();
    let expected =
        ["CRIT-USED", "CRIT-IDLE", "HIGH-DAYS", "HIGH-ONE", "HIGH-EDGE", "MED", "LOW-EDGE", "LOW-USED", "LOW-IDLE"];
    assert_eq!(order, expected, "by urgency, then days with none last, then number");
    let counts = json!({
        "threshold": 5,
        "totalLowStockItems": 9,
        "criticalItems": 2,
        "highUrgencyItems": 2,
        "mediumUrgencyItems": 2,
        "lowUrgencyItems": 3,
    });
    for (name, count) in counts.as_object().unwrap() {
        assert_eq!(response[name], *count, "{name}");
    }
}

#[tokio::test]
async fn usage_counts_decrements_of_the_last_90_days() {
    let app = App::inventory().await;
    let part = app.put("stock_room", " ab-1", 3).await;
    app.put("terra", "AB-1", 3).await;
    app.put("terra", "AB-10", 3).await;
    // The clock stands at noon on 15 November; 90 days before is noon on 17 August.
    used(&app, "AB-1", 1, "2024-08-17 12:00:00").await;
    used(&app, "ab-1", 2, "2024-11-15 12:00:00").await;
    used(&app, "AB-1", 4, "2024-08-17 11:59:59").await;
    let others = "INSERT INTO transactions (Timestamp, Action, PartNumber, DeltaQty, NewQty) VALUES \
                  ('2024-11-01', 'INCREMENT', 'AB-1', 8, 0), ('2024-11-01', 'ADJUSTMENT', 'AB-1', -16, 0)";
    execute(&mut app.database.connect().await, others).await;
    // Changes made through the service count, too.
    app.post("/api/inventory/decrement", &part.change(&json!({ "quantity": 2 }))).await.expect(200);
    let response = app.get("/api/inventory/low-stock").await.expect(200);
    let usage: Vec<(&Value, &Value)> =
        response["items"].as_array().unwrap().iter().map(|item| (&item["partNumber"], &item["usage90Days"])).collect();
    let expected = [(" ab-1", 5), ("AB-1", 5), ("AB-10", 0)].map(|(number, usage)| (json!(number), json!(usage)));
    for (number, count) in &expected {
        assert!(usage.contains(&(number, count)), "{number} {count} in {usage:?}");
    }
}

#[tokio::test]
async fn items_tell_when_and_for_which_order_they_were_last_used() {
    let app = App::inventory().await;
    let part = app.put("bins_inventory", "A-1", 9).await;
    app.put("terra", "a-1 ", 1).await;
    let theirs = "INSERT INTO transactions (Timestamp, Action, PartNumber, DeltaQty, NewQty, RONumber) VALUES \
                  ('2024-01-01', 'DECREMENT', 'A-1', -1, 9, 'RO1'), ('2024-11-01', 'INCREMENT', 'A-1', 1, 9, 'RO2'), \
                  ('2024-11-02', 'ADJUSTMENT', 'A-1', -1, 9, 'RO3'), ('2024-11-01', 'DECREMENT', 'A-10', -1, 9, 'RO4')";
    let mut other = app.database.connect().await;
    execute(&mut other, theirs).await;
    let facts = async || {
        let response = app.get("/api/inventory/low-stock?threshold=50").await.expect(200);
        let items = response["items"].as_array().unwrap();
        assert_eq!(items.len(), 2);
        let fact = |item: &Value| {
            ["transactionCount90Days", "usage90Days", "lastUsedDate", "lastRONumber"].map(|name| item[name].clone())
        };
        // Both are one part.
        assert_eq!(fact(&items[0]), fact(&items[1]));
        json!(fact(&items[0]))
    };
    assert_eq!(facts().await, json!([0, 0, "2024-01-01T00:00:00.000Z", "RO1"]));
    // Two changes in one second: the later one counts.
    for number in ["RO5", "RO6"] {
        let take = part.change(&json!({ "quantity": 2, "roNumber": number }));
        app.post("/api/inventory/decrement", &take).await.expect(200);
    }
    assert_eq!(facts().await, json!([2, 4, "2024-11-15T12:00:00.000Z", "RO6"]));
    app.post("/api/inventory/decrement", &part.change(&json!({}))).await.expect(200);
    assert_eq!(facts().await, json!([3, 5, "2024-11-15T12:00:00.000Z", null]));
    let changed = app.get("/api/inventory/low-stock?threshold=50").await.expect(200);
    let item = changed["items"].as_array().unwrap().iter().find(|item| item["tableName"] == "bins_inventory").unwrap();
    assert_eq!((&item["lastSeen"], &item["rowId"]), (&json!("2024-11-15T12:00:00.000Z"), &json!(part.row_id)));
    assert_eq!(item["description"], "Part A-1 of bins_inventory");
    // Other programs may have left zero dates.
    let zero = "SET sql_mode = ''; UPDATE transactions SET Timestamp = 0; UPDATE inventoryindex SET LastSeen = 0";
    execute(&mut other, zero).await;
    assert_eq!(facts().await, json!([0, 0, null, null]));
    assert_eq!(app.get("/api/inventory/low-stock").await.expect(200)["items"][0]["lastSeen"], Value::Null);
}

#[tokio::test]
async fn the_threshold_decides_what_is_low() {
    let app = App::inventory().await;
    for quantity in 0..8 {
        app.put("stock_room", &format!("P-{quantity}"), quantity).await;
    }
    let mut other = app.database.connect().await;
    execute(
        &mut other,
        "INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty) VALUES ('N', 'terra', 1, NULL)",
    )
    .await;
    for (query, threshold, count) in
        [("", 5, 5), ("?threshold=1", 1, 1), ("?threshold=7", 7, 7), ("?threshold=2147483647", 2_147_483_647, 8)]
    {
        let response = app.get(&format!("/api/inventory/low-stock{query}")).await.expect(200);
        assert_eq!(
            (&response["threshold"], &response["totalLowStockItems"]),
            (&json!(threshold), &json!(count)),
            "{query}"
        );
        assert_eq!(response["items"].as_array().unwrap().len(), count, "{query}");
    }
    let blank = app.get("/api/inventory/low-stock?threshold=").await.expect(200);
    assert_eq!(blank["threshold"], 5);
    for wrong in ["0", "-1", "five", "2.5", "1e3", "2147483648", "%205"] {
        let body = app.get(&format!("/api/inventory/low-stock?threshold={wrong}")).await.expect(400);
        assert!(body["details"]["fields"]["threshold"].is_string(), "{wrong}: {body}");
    }
}

#[tokio::test]
async fn nothing_low_is_an_empty_list() {
    let app = App::inventory().await;
    app.put("stock_room", "A", 5).await;
    let response = app.get("/api/inventory/low-stock").await.expect(200);
    assert_eq!((&response["items"], &response["totalLowStockItems"]), (&json!([]), &json!(0)));
}
