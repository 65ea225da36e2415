//! `GET /api/ros`

use axum::body::Body;
use futures_util::StreamExt;
use http::Request;
use rotracker_tests::{App, database::fill};
use serde_json::{Value, json};
use tower::ServiceExt;

fn numbers(orders: &Value) -> Vec<&str> {
    orders.as_array().unwrap().iter().map(|order| order["roNumber"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_archive_status_has_its_list_and_active_is_the_default() {
    let app = App::start().await;
    for archive in ["ACTIVE", "PAID", "NET", "RETURNED"] {
        assert_eq!(app.get(&format!("/api/ros?archiveStatus={archive}")).await.expect(200), json!([]));
        let order = app.create_with(json!({ "roNumber": archive, "archiveStatus": archive })).await;
        assert_eq!(app.get(&format!("/api/ros?archiveStatus={archive}")).await.expect(200), json!([order]));
    }
    assert_eq!(numbers(&app.get("/api/ros").await.expect(200)), ["ACTIVE"]);
}

#[tokio::test]
async fn the_list_is_sorted_by_next_update_created_and_id() {
    let app = App::start().await;
    for (number, next, made) in [
        ("no date, old", Value::Null, json!("2024-01-01")),
        ("late", json!("2024-12-01"), Value::Null),
        ("soon, old", json!("2024-11-01"), json!("2024-01-01")),
        ("no date, new", Value::Null, json!("2024-02-01")),
        ("soon, new", json!("2024-11-01"), json!("2024-02-01")),
        ("soon, undated", json!("2024-11-01"), Value::Null),
        ("soon, new again", json!("2024-11-01"), json!("2024-02-01")),
    ] {
        app.create_with(json!({ "roNumber": number, "nextDateToUpdate": next, "dateMade": made })).await;
    }
    let orders = app.get("/api/ros").await.expect(200);
    let expected =
        ["soon, new", "soon, new again", "soon, old", "soon, undated", "late", "no date, new", "no date, old"];
    assert_eq!(numbers(&orders), expected);
    assert_eq!(numbers(&app.get("/api/ros?limit=2").await.expect(200)), expected[..2]);
    assert_eq!(numbers(&app.get("/api/ros?limit=2&offset=5").await.expect(200)), expected[5..]);
    assert_eq!(numbers(&app.get("/api/ros?offset=4").await.expect(200)), expected[4..]);
    assert_eq!(app.get("/api/ros?limit=1000&offset=7").await.expect(200), json!([]));
}

#[tokio::test]
async fn overdue_is_computed_in_every_table() {
    let app = App::start().await;
    for archive in ["ACTIVE", "PAID", "NET", "RETURNED"] {
        app.create_with(json!({ "roNumber": archive, "archiveStatus": archive, "nextDateToUpdate": "2024-11-05" }))
            .await;
        let orders = app.get(&format!("/api/ros?archiveStatus={archive}")).await.expect(200);
        assert_eq!((&orders[0]["isOverdue"], &orders[0]["daysOverdue"]), (&json!(true), &json!(10)), "{archive}");
    }
}

#[tokio::test]
async fn invalid_params_are_reported() {
    let app = App::start().await;
    for (query, parameter) in [
        ("archiveStatus=active", "archiveStatus"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("limit=-1", "limit"),
        ("offset=-1", "offset"),
        ("offset=1.5", "offset"),
        ("limit=99999999999999999999999", "limit"),
        ("archiveStatus=all", "archiveStatus"),
        ("q=a%00b", "q"),
        (&format!("q={}", "x".repeat(256)), "q"),
        (&format!("status={}", "x".repeat(101)), "status"),
        ("statusClass=APPROVED", "statusClass"),
        ("status=APPROVED&statusClass=shipping", "statusClass"),
        ("status=ON%20HOLD&statusClass=approved", "statusClass"),
        (&format!("shop={}", "x".repeat(256)), "shop"),
        ("overdue=yes", "overdue"),
        ("dueBefore=tomorrow", "dueBefore"),
        ("sort=notes", "sort"),
        ("sort=RONUMBER", "sort"),
        ("order=down", "order"),
    ] {
        let body = app.get(&format!("/api/ros?{query}")).await.expect(400);
        assert!(body["details"]["fields"][parameter].is_string(), "{query}: {body}");
    }
    let body = app.get("/api/ros?limit=0&offset=x&archiveStatus=y&overdue=1&sort=x").await.expect(400);
    assert_eq!(body["details"]["fields"].as_object().unwrap().len(), 5);
    app.get("/api/ros?unknown=1").await.expect(200);
}

#[tokio::test]
async fn a_long_list_is_complete() {
    let app = App::start().await;
    fill(&app.database, 3_000).await;
    let request = Request::get("/api/ros").body(Body::empty()).unwrap();
    let mut body = app.router.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
    let mut chunks = Vec::new();
    while let Some(chunk) = body.next().await {
        chunks.push(chunk.unwrap());
    }
    assert!(chunks.len() > 20, "only {} chunks", chunks.len());
    assert!(chunks.iter().all(|chunk| chunk.len() < 64 * 1024));
    let orders: Value = serde_json::from_slice(&chunks.concat()).unwrap();
    assert_eq!(orders.as_array().unwrap().len(), 3_000);
}

#[tokio::test]
async fn a_broken_list_is_invalid_json() {
    let app = App::start().await;
    fill(&app.database, 20_000).await;
    let request = Request::get("/api/ros").body(Body::empty()).unwrap();
    let mut body = app.router.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
    let mut received = body.next().await.unwrap().unwrap().to_vec();
    // Kill the connection while the list is being read from it.
    app.database.kill_sessions().await;
    let mut failed = false;
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => received.extend_from_slice(&chunk),
            Err(_) => failed = true,
        }
    }
    assert!(failed, "the body ended as if it were complete, after {} bytes", received.len());
    assert!(serde_json::from_slice::<Value>(&received).is_err());
}
