//! `GET /api/inventory/bins`

use rotracker_tests::{App, database::execute};
use serde_json::json;

#[tokio::test]
async fn bins_are_filtered_by_bin_location_and_text() {
    let app = App::inventory().await;
    let rows = "INSERT INTO bins_inventory (PN, Qty, SERIAL, `CONDITION`, LOCATION, DESCRIPTION, `BIN`) VALUES \
        ('A-1', 5, NULL, 'NE', 'A-12', 'RIVET', 'B-5'), ('A-2', 6, NULL, 'NE', 'A-12', 'BOLT', 'B-55'), \
        ('A-3', 7, 'S1', 'NS', 'A-13', 'NUT', 'b-5 ')";
    execute(&mut app.database.connect().await, rows).await;
    for (query, count) in [
        ("", 3),
        ("bin=B-5", 2),
        ("bin=B-5&location=A-12", 1),
        ("search=rivet", 1),
        ("search=a-&bin=B-55", 1),
        ("bin=B", 0),
    ] {
        let response = app.get(&format!("/api/inventory/bins?{query}")).await.expect(200);
        assert_eq!(
            (&response["count"], response["items"].as_array().unwrap().len()),
            (&json!(count), count),
            "{query}"
        );
    }
    let response = app.get("/api/inventory/bins?bin=B-5&condition=NE").await.expect(200);
    let item = json!({
        "id": "1", "partNumber": "A-1", "qty": 5, "serial": null, "condition": "NE", "location": "A-12",
        "description": "RIVET", "bin": "B-5",
    });
    assert_eq!(response["items"][0], item);
    assert_eq!(response["filters"], json!({ "location": null, "bin": "B-5", "search": null }));
}
