//! `PATCH /api/ros/by-number/{ro_number}/status`

use rotracker_tests::App;
use serde_json::{Value, json};

#[tokio::test]
async fn the_status_is_set_with_day_cost_and_notes() {
    let app = App::start().await;
    app.create_with(json!({ "roNumber": "RO 1", "notes": "first" })).await;
    app.clock.set("2024-11-20T10:00:00Z".parse().unwrap());
    let update = json!({ "status": "APPROVED", "notes": "second\nthird", "cost": 1200, "deliveryDate": "2024-12-24" });
    let order = app.patch("/api/ros/by-number/RO%201/status", &update).await.expect(200);
    for (field, value) in [
        ("currentStatus", json!("APPROVED")),
        ("currentStatusDate", json!("2024-11-20T00:00:00.000Z")),
        ("lastDateUpdated", json!("2024-11-20T00:00:00.000Z")),
        ("notes", json!("first\nsecond\nthird")),
        ("estimatedCost", json!("1200.00")),
        ("finalCost", Value::Null),
        ("estimatedDeliveryDate", json!("2024-12-24T00:00:00.000Z")),
    ] {
        assert_eq!(order[field], value, "{field}");
    }
    assert_eq!(app.get("/api/ros/by-number/RO%201").await.expect_order(), order);
}

#[tokio::test]
async fn the_cost_is_final_once_the_order_is_paid_or_shipped() {
    let app = App::start().await;
    for (index, (status, field, other)) in [
        ("PAID", "finalCost", "estimatedCost"),
        ("PAID >>>> TRACKING NUMBER RECEIVED", "finalCost", "estimatedCost"),
        ("Paid", "finalCost", "estimatedCost"),
        ("Received", "finalCost", "estimatedCost"),
        ("CURRENTLY SHIPPING", "finalCost", "estimatedCost"),
        ("BEING REPAIRED", "estimatedCost", "finalCost"),
        ("UNPAID", "estimatedCost", "finalCost"),
        ("PREPAID QUOTE", "estimatedCost", "finalCost"),
    ]
    .into_iter()
    .enumerate()
    {
        let number = format!("RO{index}");
        app.create(&number).await;
        let path = format!("{}/status", rotracker_tests::app::path_by_number(&number));
        let order = app.patch(&path, &json!({ "status": status, "cost": "9.99" })).await.expect(200);
        assert_eq!((&order[field], &order[other]), (&json!("9.99"), &Value::Null), "{status}");
    }
}

#[tokio::test]
async fn someone_asks_again_after_days_that_the_status_and_the_terms_tell() {
    let app = App::start().await;
    let next = json!("2024-11-16T00:00:00.000Z");
    let order = app.create_with(json!({ "roNumber": "RO1", "terms": "Net30", "nextDateToUpdate": next })).await;
    assert_eq!(order["nextDateToUpdate"], next);
    // Today is 15 November 2024.
    for (status, next) in [
        ("TO SEND", json!("2024-11-18T00:00:00.000Z")),
        ("WAITING QUOTE >>>>", json!("2024-11-22T00:00:00.000Z")),
        ("Approved", json!("2024-11-29T00:00:00.000Z")),
        ("CURRENTLY BEING SHIPPED", json!("2024-11-20T00:00:00.000Z")),
        ("ON HOLD", json!("2024-11-22T00:00:00.000Z")),
        ("PAID", json!("2024-12-15T00:00:00.000Z")),
        ("PAYMENT SENT", Value::Null),
        ("RECEIVED", json!("2024-11-18T00:00:00.000Z")),
        ("Cancelled", Value::Null),
    ] {
        let order = app.patch("/api/ros/by-number/RO1/status", &json!({ "status": status })).await.expect(200);
        assert_eq!(order["nextDateToUpdate"], next, "{status}");
    }
}

#[tokio::test]
async fn a_status_that_is_set_twice_on_one_day_changes_nothing() {
    let app = App::start().await;
    app.create("RO1").await;
    let path = "/api/ros/by-number/RO1/status";
    let update = json!({ "status": "APPROVED", "cost": "5.00", "deliveryDate": "2024-12-24" });
    let first = app.patch(path, &update).await;
    let second = app.patch(path, &update).await;
    assert_eq!(second.header("etag"), first.header("etag"));
    assert_eq!(second.expect(200), first.expect(200));
    assert_eq!(app.get("/api/ros/by-number/RO1/history").await.expect(200)["total"], 2);
    // On another day it is a new answer of the shop.
    app.clock.set("2024-11-18T12:00:00Z".parse().unwrap());
    let later = app.patch(path, &update).await.expect(200);
    assert_eq!(later["currentStatusDate"], "2024-11-18T00:00:00.000Z");
    assert_eq!(later["nextDateToUpdate"], "2024-12-02T00:00:00.000Z");
}

#[tokio::test]
async fn absent_fields_are_unchanged() {
    let app = App::start().await;
    let order = app.create_with(json!({ "roNumber": "RO1", "estimatedCost": "5.00" })).await;
    let update = json!({ "status": "APPROVED", "notes": null, "cost": null, "deliveryDate": null });
    let updated = app.patch("/api/ros/by-number/RO1/status", &update).await.expect(200);
    for field in ["notes", "estimatedCost", "finalCost", "estimatedDeliveryDate", "archiveStatus"] {
        assert_eq!(updated[field], order[field], "{field}");
    }
    let updated =
        app.patch("/api/ros/by-number/RO1/status", &json!({ "status": "X", "notes": "one" })).await.expect(200);
    assert_eq!(updated["notes"], "one", "the first note begins no new line");
}

#[tokio::test]
async fn an_invalid_body_is_named() {
    let app = App::start().await;
    let order = app.create_with(json!({ "roNumber": "RO1", "notes": "x".repeat(65_000) })).await;
    for (body, field) in [
        (json!({}), "status"),
        (json!({ "status": null }), "status"),
        (json!({ "status": " " }), "status"),
        (json!({ "status": 1 }), "status"),
        (json!({ "status": "x".repeat(101) }), "status"),
        (json!({ "status": "A", "cost": "1.234" }), "cost"),
        (json!({ "status": "A", "deliveryDate": "soon" }), "deliveryDate"),
        (json!({ "status": "A", "notes": "y".repeat(600) }), "notes"),
    ] {
        let response = app.patch("/api/ros/by-number/RO1/status", &body).await.expect(400);
        assert!(response["details"]["fields"][field].is_string(), "{response}");
    }
    assert_eq!(app.get("/api/ros/by-number/RO1").await.expect_order(), order);
    app.patch("/api/ros/by-number/RO2/status", &json!({ "status": "A" })).await.expect_error(404);
}
