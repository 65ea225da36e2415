//! `POST /api/inventory/adjust`. `decrement` has the tests that all three changes share.

use rotracker_tests::{App, stock::Quantities};
use serde_json::{Value, json};

const ADJUST: &str = "/api/inventory/adjust";

#[tokio::test]
async fn the_counted_quantity_is_set_with_the_reason() {
    let app = App::inventory().await;
    let part = app.put("md82_parts", "5915445-501", 7).await;
    for (counted, delta) in [(12, 5), (12, 0), (0, -12), (1, 1)] {
        let body = part.change(&json!({ "newQty": counted, "notes": "Stock take", "roNumber": "RO1" }));
        let response = app.post(ADJUST, &body).await.expect(200);
        assert_eq!((&response["newQty"], &response["isLowStock"]), (&json!(counted), &json!(counted < 2)));
        let last = app.transactions(&part).await.pop().unwrap();
        assert_eq!(last, ("ADJUSTMENT".to_owned(), delta, counted, Some("Stock take".to_owned())));
        assert_eq!(app.quantities(&part).await, Quantities { indexed: Some(counted), in_table: Some(counted) });
    }
}

#[tokio::test]
async fn the_count_and_the_reason_are_required() {
    let app = App::inventory().await;
    let part = app.put("terra", "A-1", 7).await;
    for (field, value) in [
        ("newQty", Value::Null),
        ("newQty", json!(-1)),
        ("newQty", json!("3")),
        ("newQty", json!(2_147_483_648_u64)),
        ("notes", Value::Null),
        ("notes", json!(" \n ")),
        ("indexId", Value::Null),
        ("partNumber", json!("")),
    ] {
        let mut body = part.change(&json!({ "newQty": 3, "notes": "Stock take" }));
        body[field] = value.clone();
        let response = app.post(ADJUST, &body).await.expect(400);
        assert!(response["details"]["fields"][field].is_string(), "{field} = {value}: {response}");
    }
    let response = app.post(ADJUST, &json!({})).await.expect(400);
    assert_eq!(response["details"]["fields"].as_object().unwrap().len(), 4);
    let wrong_number = json!({ "indexId": part.index_id, "partNumber": "B", "newQty": 3, "notes": "Stock take" });
    app.post(ADJUST, &wrong_number).await.expect_error(404);
    assert_eq!(app.transactions(&part).await, []);
}
