//! `GET /api/ros/follow-ups`

use axum::body::Body;
use futures_util::StreamExt;
use http::Request;
use rotracker_tests::{
    App,
    database::{execute, fill},
};
use serde_json::{Value, json};
use tower::ServiceExt;

/// The groups as (shop's name, numbers of the orders).
fn groups(response: &Value) -> Vec<(Value, Vec<Value>)> {
    let numbers =
        |group: &Value| group["orders"].as_array().unwrap().iter().map(|order| order["roNumber"].clone()).collect();
    let groups = response["groups"].as_array().unwrap().iter();
    groups.map(|group| (group["shop"]["name"].clone(), numbers(group))).collect()
}

async fn create(app: &App, number: &str, shop: &str, status: &str, next: Option<&str>) -> Value {
    let fields = json!({ "roNumber": number, "shopName": shop, "currentStatus": status, "nextDateToUpdate": next });
    app.create_with(fields).await
}

#[tokio::test]
async fn without_orders_there_are_no_groups() {
    let app = App::start().await;
    let empty = json!({ "groups": [], "until": "2024-11-15T00:00:00.000Z", "total": 0 });
    assert_eq!(app.get("/api/ros/follow-ups").await.expect(200), empty);
}

#[tokio::test]
async fn the_shop_with_the_most_overdue_order_is_first() {
    let app = App::start().await;
    // Today is 15 November 2024.
    create(&app, "RO1", "Late Shop", "APPROVED", Some("2024-11-01")).await;
    create(&app, "RO2", "Later Shop", "APPROVED", Some("2024-10-01")).await;
    create(&app, "RO3", "LATE  shop ", "SHIPPING", Some("2024-11-15")).await;
    create(&app, "RO4", "lateshop", "APPROVED", Some("2024-10-15")).await;
    create(&app, "RO5", "Later Shop", "APPROVED", Some("2024-11-16")).await;
    // Someone has set the date, although nobody has to ask about this status.
    create(&app, "RO6", "Third Shop", "SCRAPPED", Some("2024-11-14")).await;
    let elsewhere = json!({ "roNumber": "RO7", "archiveStatus": "NET", "nextDateToUpdate": "2024-01-01" });
    app.create_with(elsewhere).await;
    let due = app.get("/api/ros/follow-ups").await.expect(200);
    let expected = [
        (json!("Later Shop"), vec![json!("RO2")]),
        (json!("lateshop"), vec![json!("RO4"), json!("RO1"), json!("RO3")]),
        (json!("Third Shop"), vec![json!("RO6")]),
    ];
    assert_eq!(groups(&due), expected);
    assert_eq!(due["total"], 5);
    let first = &due["groups"][0]["orders"][0];
    assert_eq!((&first["daysOverdue"], &first["isOverdue"]), (&json!(45), &json!(true)));
    assert_eq!(first["currentStatusDate"], "2024-11-15T00:00:00.000Z");
    // The last day is part of the list.
    let until = |day: &str| format!("/.netlify/functions/api/ros/follow-ups?until={day}");
    assert_eq!(app.get(&until("2024-11-16")).await.expect(200)["total"], 6);
    let early = app.get(&until("2024-10-15T00:00:00.000Z")).await.expect(200);
    assert_eq!(groups(&early).len(), 2);
    assert_eq!(early["until"], "2024-10-15T00:00:00.000Z");
    assert!(app.get(&until("soon")).await.expect(400)["details"]["fields"]["until"].is_string());
}

#[tokio::test]
async fn orders_that_lack_a_date_come_first() {
    let app = App::start().await;
    create(&app, "RO1", "A", "APPROVED", Some("2024-10-01")).await;
    for (number, status, terms) in [
        ("RO2", "APPROVED >>>>", "COD"),
        ("RO3", "ON HOLD", "COD"),
        ("RO4", "PAID", "NET 30"),
        ("RO5", "PAID", "COD"),
        ("RO6", "PAYMENT SENT", "NET 30"),
        ("RO7", "Cancelled", "COD"),
        ("RO8", "BER", "COD"),
    ] {
        let fields = json!({ "roNumber": number, "currentStatus": status, "terms": terms });
        app.create_with(fields).await;
    }
    let mut other = app.database.connect().await;
    execute(
        &mut other,
        "SET sql_mode = '';
         INSERT INTO active (RO, CURENT_STATUS_DATE) VALUES ('RO9', '2024-01-01');
         INSERT INTO active (RO, CURENT_STATUS, NEXT_DATE_TO_UPDATE) VALUES ('ZERO', 'APPROVED', '0000-00-00')",
    )
    .await;
    for until in ["", "?until=2000-01-01"] {
        let due = app.get(&format!("/api/ros/follow-ups{until}")).await.expect(200);
        let (_, first) = groups(&due).remove(0);
        assert_eq!(first, ["ZERO", "RO9", "RO2", "RO3", "RO4"], "by the date of their status");
        assert_eq!(due["groups"][0]["shop"], Value::Null);
        assert_eq!(due["groups"][0]["orders"][2]["shopName"], "XYZ Repair Services");
        assert_eq!(groups(&due).len(), if until.is_empty() { 2 } else { 1 });
    }
}

#[tokio::test]
async fn each_shop_has_its_contact() {
    let app = App::start().await;
    execute(
        &mut app.database.connect().await,
        "INSERT INTO shops (Business_Name, Contact, Phone, Email) VALUES
             ('Acme  Aero ', 'Ann', '+1 305', 'ann@acme.example'),
             ('Twin', 'Bob', '1', 'b@twin.example'),
             ('TWIN', 'Bea', '2', 'e@twin.example'),
             ('Quiet', ' ', NULL, ''),
             (NULL, 'Nobody', '0', ''),
             ('', 'Nobody', '0', '')",
    )
    .await;
    for (number, shop) in [("RO1", "ACME AERO"), ("RO2", "Twin"), ("RO3", "Quiet"), ("RO4", "Unknown")] {
        create(&app, number, shop, "APPROVED", Some("2024-11-01")).await;
    }
    let insert = "INSERT INTO active (RO, SHOP_NAME, NEXT_DATE_TO_UPDATE) VALUES ('RO5', NULL, '2024-11-01'), ('RO6', ' ', '2024-11-01')";
    execute(&mut app.database.connect().await, insert).await;
    let due = app.get("/api/ros/follow-ups").await.expect(200);
    let shop = |name: Value, contact: Option<&str>, phone: Option<&str>, email: Option<&str>| json!({ "name": name, "contact": contact, "phone": phone, "email": email });
    let shops: Vec<&Value> = due["groups"].as_array().unwrap().iter().map(|group| &group["shop"]).collect();
    let expected = [
        shop(Value::Null, None, None, None),
        shop(json!("ACME AERO"), Some("Ann"), Some("+1 305"), Some("ann@acme.example")),
        shop(json!("Quiet"), None, None, None),
        shop(json!("Twin"), None, None, None),
        shop(json!("Unknown"), None, None, None),
    ];
    assert_eq!(json!(shops), json!(expected));
    assert_eq!(due["groups"][0]["orders"].as_array().unwrap().len(), 2, "both orders without a shop");
}

#[tokio::test]
async fn the_default_day_is_that_of_the_business() {
    let app = App::start_in_new_york("2024-11-15T01:30:00Z").await;
    create(&app, "RO1", "A", "APPROVED", Some("2024-11-14")).await;
    create(&app, "RO2", "A", "APPROVED", Some("2024-11-15")).await;
    for until in ["", "?until=2024-11-15T01:30:00.000Z"] {
        let due = app.get(&format!("/api/ros/follow-ups{until}")).await.expect(200);
        assert_eq!((&due["until"], &due["total"]), (&json!("2024-11-14T00:00:00.000Z"), &json!(1)));
    }
}

#[tokio::test]
async fn a_long_group_is_sent_in_parts() {
    let app = App::start().await;
    fill(&app.database, 3_000).await;
    let request = Request::get("/api/ros/follow-ups").body(Body::empty()).unwrap();
    let mut body = app.router.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
    let mut chunks = Vec::new();
    while let Some(chunk) = body.next().await {
        chunks.push(chunk.unwrap());
    }
    assert!(chunks.len() > 20, "only {} chunks", chunks.len());
    let due: Value = serde_json::from_slice(&chunks.concat()).unwrap();
    assert_eq!((&due["total"], due["groups"].as_array().unwrap().len()), (&json!(3_000), 1));
    assert_eq!(due["groups"][0]["orders"].as_array().unwrap().len(), 3_000);
}
