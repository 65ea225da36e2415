//! `POST /api/inventory/adjust`. `decrement` has the tests that all three changes share.

use rotracker_tests::{App, database::execute, stock::Quantities};
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
        ("expectedQty", json!(-1)),
        ("expectedQty", json!("7")),
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

#[tokio::test]
async fn a_count_does_not_undo_what_happened_meanwhile() {
    let app = App::inventory().await;
    let part = app.put("terra", "A-1", 5).await;
    let counted = part.change(&json!({ "newQty": 5, "expectedQty": 5, "notes": "Stock take" }));
    app.post("/api/inventory/decrement", &part.change(&json!({ "quantity": 2 }))).await.expect(200);
    for key in ["a", "b", "a"] {
        let response = app.post_once(key, ADJUST, &counted).await.expect(409);
        assert_eq!(response["error"], "Conflict");
        assert_eq!(response["message"], "The quantity is 3 by now, not 5. Count the part again.");
        assert_eq!(response["details"], json!({ "current": { "qty": 3 } }));
    }
    assert_eq!(app.quantities(&part).await, Quantities { indexed: Some(3), in_table: Some(3) });
    assert_eq!(app.transactions(&part).await.len(), 1);
    for (fields, quantity) in [
        (json!({ "newQty": 4, "expectedQty": 3, "notes": "Stock take" }), 4),
        (json!({ "newQty": 6, "expectedQty": null, "notes": "Stock take" }), 6),
        (json!({ "newQty": 7, "expectedQty": "", "notes": "Stock take" }), 7),
    ] {
        assert_eq!(app.post(ADJUST, &part.change(&fields)).await.expect(200)["newQty"], quantity);
    }
    execute(&mut app.database.connect().await, "UPDATE inventoryindex SET Qty = NULL").await;
    let response = app.post(ADJUST, &counted).await.expect(409);
    assert_eq!(response["details"], json!({ "current": { "qty": null } }));
    assert_eq!(response["message"], "The quantity is unknown by now, not 5. Count the part again.");
}
