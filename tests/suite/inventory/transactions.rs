//! `GET /api/inventory/transactions`

use rotracker_tests::{App, app::encoded, database::execute};
use serde_json::{Value, json};

const TRANSACTIONS: &str = "/api/inventory/transactions";

/// An app with six stock transactions, some by another program.
async fn app_with_transactions() -> App {
    let app = App::inventory().await;
    let entries = "INSERT INTO transactions (Timestamp, Action, PartNumber, DeltaQty, NewQty, RONumber, Note) VALUES \
        ('2024-11-13 23:59:59', 'DECREMENT', 'A-1', -1, 4, 'RO1', NULL), \
        ('2024-11-14 00:00:00', 'DECREMENT', 'a-1', -1, 3, 'RO2', 'two'), \
        ('2024-11-14 12:00:00', 'INCREMENT', 'A-1', 9, 12, NULL, NULL), \
        ('2024-11-14 23:59:59', 'ADJUSTMENT', 'B%2', 1, 1, 'RO1', NULL), \
        ('2024-11-15 00:00:00', 'DECREMENT', 'B_2', -1, 0, 'ro1', NULL), \
        ('2024-11-15 00:00:00', 'TRANSFER', 'C', 0, 0, NULL, NULL)";
    execute(&mut app.database.connect().await, entries).await;
    app
}

fn ids(page: &Value) -> Vec<i64> {
    page["transactions"].as_array().unwrap().iter().map(|entry| entry["transactionId"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn entries_are_filtered_and_newest_first() {
    let app = app_with_transactions().await;
    for (query, found) in [
        ("", vec![6, 5, 4, 3, 2, 1]),
        ("partNumber=%20a-1", vec![3, 2, 1]),
        ("partNumber=A", vec![]),
        ("partNumber=B%252", vec![4]),
        ("partNumber=B_2", vec![5]),
        ("partNumber=&roNumber=%20&action=+", vec![6, 5, 4, 3, 2, 1]),
        ("startDate=&endDate=%20&limit=&offset=", vec![6, 5, 4, 3, 2, 1]),
        ("action=%20DECREMENT%20", vec![5, 2, 1]),
        ("roNumber=RO1", vec![5, 4, 1]),
        ("action=DECREMENT", vec![5, 2, 1]),
        ("action=DECREMENT&roNumber=RO1&partNumber=a-1", vec![1]),
        ("startDate=2024-11-14", vec![6, 5, 4, 3, 2]),
        ("endDate=2024-11-14", vec![4, 3, 2, 1]),
        ("startDate=2024-11-14&endDate=2024-11-14", vec![4, 3, 2]),
        ("startDate=2024-11-14T12:00:00Z&endDate=2024-11-14T18:59:59-05:00", vec![4, 3]),
        // Entries have whole seconds, and this one may have been made after the start.
        ("startDate=2024-11-14T12:00:00.254Z&endDate=2024-11-15T00:00:00Z", vec![6, 5, 4, 3]),
        ("startDate=2024-11-14T12:00:01Z&endDate=2024-11-15T00:00:00Z", vec![6, 5, 4]),
        ("startDate=2024-11-14T12:00:00.254Z&endDate=2024-11-14T12:00:00.609Z", vec![3]),
        ("startDate=2024-11-14T11:00:00Z&endDate=2024-11-14T11:59:59.999Z", vec![]),
    ] {
        let page = app.get(&format!("{TRANSACTIONS}?{query}")).await.expect(200);
        assert_eq!((ids(&page), &page["total"]), (found.clone(), &json!(found.len())), "{query}");
    }
    let page = app.get(&format!("{TRANSACTIONS}?roNumber=RO2")).await.expect(200);
    let entry = json!({
        "transactionId": 2, "timestamp": "2024-11-14T00:00:00.000Z", "action": "DECREMENT", "indexId": null,
        "partNumber": "a-1", "previousQty": 4, "deltaQty": -1, "newQty": 3, "roNumber": "RO2", "notes": "two",
        "user": null, "program": null, "requestId": null,
    });
    assert_eq!(page, json!({ "transactions": [entry], "total": 1, "limit": 50, "offset": 0, "nextCursor": null }));
}

#[tokio::test]
async fn pages_have_at_most_100_entries() {
    let app = app_with_transactions().await;
    let many = "INSERT INTO transactions (Timestamp, Action, PartNumber, DeltaQty, NewQty) SELECT '2024-01-01', 'INCREMENT', \
                'M', 1, 1 FROM transactions a, transactions b, transactions c WHERE a.TxnId <= 4";
    execute(&mut app.database.connect().await, many).await;
    for (query, count, limit, offset) in [
        ("", 50, 50, 0),
        ("limit=100", 100, 100, 0),
        ("limit=101", 100, 100, 0),
        ("limit=9223372036854775807", 100, 100, 0),
        ("limit=2&offset=149", 1, 2, 149),
        ("limit=2&offset=150", 0, 2, 150),
        ("offset=9223372036854775807", 0, 50, i64::MAX),
    ] {
        let page = app.get(&format!("{TRANSACTIONS}?{query}")).await.expect(200);
        assert_eq!((ids(&page).len(), &page["total"]), (count, &json!(150)), "{query}");
        assert_eq!((&page["limit"], &page["offset"]), (&json!(limit), &json!(offset)), "{query}");
    }
    let mut all = Vec::new();
    for offset in (0..150).step_by(40) {
        all.extend(ids(&app.get(&format!("{TRANSACTIONS}?limit=40&offset={offset}")).await.expect(200)));
    }
    assert_eq!(all.len(), 150);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 150, "no entry is on two pages");
}

#[tokio::test]
async fn invalid_params_are_reported() {
    let app = App::inventory().await;
    for (parameter, value) in [
        ("action", "decrement"),
        ("action", "DELETE"),
        ("startDate", "yesterday"),
        ("startDate", "2024-02-30"),
        ("endDate", "2024-13-01"),
        ("endDate", "2024-11-14 12:00"),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "x"),
        ("offset", "-1"),
        ("offset", "1.5"),
        ("partNumber", &"9".repeat(101)),
        ("roNumber", &"9".repeat(51)),
    ] {
        let body = app.get(&format!("{TRANSACTIONS}?{parameter}={}", encoded(value))).await.expect(400);
        assert!(body["details"]["fields"][parameter].is_string(), "{parameter}={value}: {body}");
    }
    let body = app.get(&format!("{TRANSACTIONS}?startDate=2024-11-15&endDate=2024-11-14")).await.expect(400);
    assert!(body["details"]["fields"]["endDate"].is_string(), "{body}");
    let body = app.get(&format!("{TRANSACTIONS}?limit=0&offset=x&action=y&startDate=z")).await.expect(400);
    assert_eq!(body["details"]["fields"].as_object().unwrap().len(), 4);
}

#[tokio::test]
async fn zero_dates_are_null() {
    let app = App::inventory().await;
    let mut other = app.database.connect().await;
    execute(
        &mut other,
        "SET sql_mode = ''; INSERT INTO transactions (Timestamp, Action, PartNumber, DeltaQty, NewQty) \
         VALUES ('0000-00-00 00:00:00', 'DECREMENT', 'A', -1, 0), (NULL, 'DECREMENT', 'A', -1, 0)",
    )
    .await;
    let page = app.get(TRANSACTIONS).await.expect(200);
    assert_eq!(page["total"], 2);
    for entry in page["transactions"].as_array().unwrap() {
        assert_eq!(entry["timestamp"], Value::Null);
    }
}

#[tokio::test]
async fn numbers_of_orders_have_one_form_in_the_ledger() {
    let app = App::inventory().await;
    let part = app.put("terra", "A-1", 9).await;
    for number in [" PCX\u{2011}3002\u{200b}", "pcx-3002", "PCX-3002Ä"] {
        app.post("/api/inventory/decrement", &part.change(&json!({ "roNumber": number }))).await.expect(200);
    }
    let theirs = "INSERT INTO transactions (Timestamp, Action, PartNumber, DeltaQty, NewQty, RONumber) VALUES \
                  ('2024-11-01', 'DECREMENT', 'A-1', -1, 0, CONCAT('PCX', _utf8mb4 0xE28092, '3002', CHAR(9)))";
    execute(&mut *app.connection().await, theirs).await;
    for (number, count) in [("PCX-3002", 3), ("pcx\u{2212}3002\u{a0}", 3), ("PCX-3002ä", 1), ("PCX-3002A", 0)] {
        let path = format!("/api/inventory/transactions?roNumber={}", encoded(number));
        let page = app.get(&path).await.expect(200);
        assert_eq!(page["total"], count, "{number:?}: {page}");
    }
    let page = app.get("/api/inventory/transactions?limit=3").await.expect(200);
    let shown: Vec<&Value> = page["transactions"].as_array().unwrap().iter().map(|entry| &entry["roNumber"]).collect();
    assert_eq!(shown, ["PCX-3002Ä", "pcx-3002", "PCX-3002"]);
}

#[tokio::test]
async fn a_client_sees_what_came_after_it_last_looked() {
    let app = App::inventory().await;
    let part = app.put("terra", "A-1", 9).await;
    app.clock.set("2024-11-15T12:00:45.609Z".parse().unwrap());
    app.post("/api/inventory/decrement", &part.change(&json!({}))).await.expect(200);
    for (start, total) in [("2024-11-15T12:00:45.254Z", 1), ("2024-11-15T12:00:46Z", 0)] {
        assert_eq!(app.get(&format!("{TRANSACTIONS}?startDate={start}")).await.expect(200)["total"], total, "{start}");
    }
}
