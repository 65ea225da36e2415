//! `POST /api/inventory/increment`. `decrement` has the tests that all three changes share.

use rotracker_tests::{App, stock::Quantities};
use serde_json::json;

const INCREMENT: &str = "/api/inventory/increment";

#[tokio::test]
async fn the_default_increment_is_one() {
    let app = App::inventory().await;
    let part = app.put("bins_inventory", "A-1", 0).await;
    let response = app.post(INCREMENT, &part.change(&json!({}))).await.expect(200);
    assert_eq!(
        (&response["previousQty"], &response["newQty"], &response["isLowStock"]),
        (&json!(0), &json!(1), &json!(true))
    );
    let response = app.post(INCREMENT, &part.change(&json!({ "quantity": 24, "notes": "PO 4471" }))).await.expect(200);
    assert_eq!((&response["newQty"], &response["isLowStock"]), (&json!(25), &json!(false)));
    assert_eq!(app.quantities(&part).await, Quantities { indexed: Some(25), in_table: Some(25) });
    let expected = [("INCREMENT".to_owned(), 1, 1, None), ("INCREMENT".to_owned(), 24, 25, Some("PO 4471".to_owned()))];
    assert_eq!(app.transactions(&part).await, expected);
}

#[tokio::test]
async fn an_overflowing_quantity_is_409() {
    let app = App::inventory().await;
    let part = app.put("terra", "A-1", 2_147_483_646).await;
    app.post(INCREMENT, &part.change(&json!({ "quantity": 2 }))).await.expect_error(409);
    app.post(INCREMENT, &part.change(&json!({ "quantity": 2_147_483_647 }))).await.expect_error(409);
    app.post(INCREMENT, &part.change(&json!({}))).await.expect(200);
    app.post(INCREMENT, &part.change(&json!({}))).await.expect_error(409);
    assert_eq!(app.transactions(&part).await.len(), 1);
}
