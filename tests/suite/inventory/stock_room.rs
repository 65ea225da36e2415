//! `GET /api/inventory/stock-room`

use rotracker_tests::{App, app::encoded, database::execute};
use serde_json::{Value, json};

fn numbers(response: &Value) -> Vec<&str> {
    response["items"].as_array().unwrap().iter().map(|item| item["partNumber"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_response_has_all_fields() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A123", 10).await;
    let response = app.get("/api/inventory/stock-room?location=A-12").await.expect(200);
    let expected = json!({
        "items": [{
            "id": part.row_id.to_string(),
            "partNumber": "A123",
            "qty": 10,
            "serial": "SN-001",
            "condition": "SV",
            "location": "A-12",
            "description": "Part A123 of stock_room",
        }],
        "count": 1,
        "filters": { "location": "A-12", "condition": null, "search": null },
    });
    assert_eq!(response, expected);
}

#[tokio::test]
async fn filters_are_combined_and_literal() {
    let app = App::inventory().await;
    let rows = r"INSERT INTO stock_room (PN, COND, LOCATION, DESCRIPTION) VALUES
        ('A-1', 'SV', 'A-12', 'Hydraulic pump'), ('A-2', 'AR', 'A-12', 'Check valve'), ('A-3', 'sv ', ' a-12', 'PUMP seal'),
        ('A-4', 'SV', 'A-1', '100% cotton'), ('A%5', NULL, NULL, 'back\\slash'), ('A_6', 'NE', '%', NULL)";
    execute(&mut app.database.connect().await, rows).await;
    for (query, found) in [
        (String::new(), vec!["A-1", "A-2", "A-3", "A-4", "A_6", "A%5"]),
        ("location=A-12".to_owned(), vec!["A-1", "A-2", "A-3"]),
        ("location=a-12&condition=SV".to_owned(), vec!["A-1", "A-3"]),
        ("search=pump".to_owned(), vec!["A-1", "A-3"]),
        ("search=a-2".to_owned(), vec!["A-2"]),
        ("search=pump&condition=SV&location=A-12".to_owned(), vec!["A-1", "A-3"]),
        (format!("search={}", encoded("%")), vec!["A-4", "A%5"]),
        (format!("search={}", encoded("_")), vec!["A_6"]),
        (format!("search={}", encoded(r"k\s")), vec!["A%5"]),
        (format!("location={}", encoded("%")), vec!["A_6"]),
        (format!("condition={}", encoded("S_")), vec![]),
        ("location=&condition=%20&search=".to_owned(), vec!["A-1", "A-2", "A-3", "A-4", "A_6", "A%5"]),
    ] {
        let response = app.get(&format!("/api/inventory/stock-room?{query}")).await.expect(200);
        let (mut numbers, mut found) = (numbers(&response), found);
        numbers.sort_unstable();
        found.sort_unstable();
        assert_eq!(numbers, found, "{query}");
        assert_eq!(response["count"], numbers.len(), "{query}");
    }
}

#[tokio::test]
async fn filters_are_echoed() {
    let app = App::inventory().await;
    let response =
        app.get("/api/inventory/stock-room?condition=SV&search=%20pump%20&bin=B-5&location=").await.expect(200);
    assert_eq!(response["filters"], json!({ "location": null, "condition": "SV", "search": "pump" }));
}
