//! The filters of `GET /api/ros`, its order, and its headers.

use http::Method;
use rotracker_tests::{
    App,
    app::encoded,
    database::{execute, fill},
};
use serde_json::{Value, json};

/// The numbers of the orders in the list for `query`, whose total must be theirs.
async fn numbers(app: &App, query: &str) -> Vec<String> {
    let response = app.get(&format!("/api/ros?{query}")).await;
    let total = response.header("x-total-count").map(str::to_owned);
    let orders = response.expect(200);
    let numbers = |order: &Value| order["roNumber"].as_str().unwrap().to_owned();
    let numbers: Vec<String> = orders.as_array().unwrap().iter().map(numbers).collect();
    assert_eq!(total, Some(numbers.len().to_string()), "{query}");
    numbers
}

/// Asserts that each query lists these orders, in any order.
async fn assert_lists(app: &App, cases: &[(&str, &[&str])]) {
    for (query, expected) in cases {
        let mut found = numbers(app, query).await;
        found.sort();
        assert_eq!(found, *expected, "{query}");
    }
}

#[tokio::test]
async fn a_text_is_found_in_seven_fields_in_any_case() {
    let app = App::start().await;
    for (number, field) in [
        ("RO2", "partNumber"),
        ("RO3", "serialNumber"),
        ("RO4", "partDescription"),
        ("RO5", "shopName"),
        ("RO6", "shopReferenceNumber"),
        ("RO7", "trackingNumber"),
    ] {
        app.create_with(json!({ "roNumber": number, field: "a Needle-7 b" })).await;
    }
    app.create("X NEEDLE-7").await;
    for other in ["notes", "requiredWork", "terms"] {
        app.create_with(json!({ "roNumber": other, other: "needle-7" })).await;
    }
    let all: &[&str] = &["RO2", "RO3", "RO4", "RO5", "RO6", "RO7", "X NEEDLE-7"];
    assert_lists(&app, &[("q=needle-7", all), ("q=%20NEEDLE-7%20", all), ("q=needle-8", &[])]).await;
}

#[tokio::test]
async fn percent_underscore_and_backslash_are_literal() {
    let app = App::start().await;
    for (number, description) in
        [("RO1", "100% new"), ("RO2", "100 new"), ("RO3", "a_b"), ("RO4", "axb"), ("RO5", "a\\b")]
    {
        app.create_with(json!({ "roNumber": number, "partDescription": description })).await;
    }
    let cases: [(&str, &[&str]); 5] =
        [("q=0%25", &["RO1"]), ("q=a_b", &["RO3"]), ("q=%5C", &["RO5"]), ("q=_", &["RO3"]), ("q=%25", &["RO1"])];
    assert_lists(&app, &cases).await;
}

#[tokio::test]
async fn pasted_numbers_find_the_meant_ones() {
    let app = App::start().await;
    app.create_with(json!({ "roNumber": "PCX 8001-a", "partNumber": "MS\u{a0}20470\u{2011}AD4\u{200b}" })).await;
    app.create_with(json!({ "roNumber": "RO2", "partNumber": "65-90305-11" })).await;
    // Another program has stored a number with other blanks and dashes.
    let insert = "INSERT INTO active (RO) VALUES (CONCAT('QQ', _utf8mb4 0xC2A0, '7', _utf8mb4 0xE28091, '1'))";
    execute(&mut app.database.connect().await, insert).await;
    let query = |text: &str| format!("q={}", encoded(text));
    for (text, expected) in [
        ("pcx\u{a0}8001\u{2011}A", "PCX 8001-a"),
        ("PCX \u{200b} 8001", "PCX 8001-a"),
        ("\u{feff}8001\u{2013}a\n", "PCX 8001-a"),
        ("ms20470-ad4", "PCX 8001-a"),
        ("20470\u{2212}AD4", "PCX 8001-a"),
        ("65\u{2010}90305 -11", "RO2"),
        ("90305\u{a0}", "RO2"),
        ("qq 7-1", "QQ\u{a0}7\u{2011}1"),
    ] {
        assert_eq!(numbers(&app, &query(text)).await, [expected], "{text:?}");
    }
    assert!(numbers(&app, &query("PCX8001")).await.is_empty(), "the blank of an order's number counts");
}

#[tokio::test]
async fn statuses_are_compared_as_people_mean_them() {
    let app = App::start().await;
    for (number, status) in [
        ("RO1", "APPROVED >>>>"),
        ("RO2", "approved"),
        ("RO3", "-- Approved  --"),
        ("RO4", "APPROVED BY SHOP"),
        ("RO5", "Currently Being Shipped"),
        ("RO6", "shipped"),
        ("RO7", "ON HOLD"),
        // To the collation this is APPROVED.
        ("RO8", "ÁPPROVED"),
    ] {
        app.create_with(json!({ "roNumber": number, "currentStatus": status })).await;
    }
    app.create_with(json!({ "roNumber": "RO9", "currentStatus": "Approved", "archiveStatus": "PAID" })).await;
    execute(&mut app.database.connect().await, "INSERT INTO active (RO) VALUES ('NONE')").await;
    let cases: [(&str, &[&str]); 9] = [
        ("status=Approved", &["RO1", "RO2", "RO3"]),
        ("status=%3D%3D%3E%20approved%20%C2%BB", &["RO1", "RO2", "RO3"]),
        ("status=on%20hold%20%3E", &["RO7"]),
        ("status=gone", &[]),
        ("statusClass=approved", &["RO1", "RO2", "RO3", "RO4"]),
        ("statusClass=shipping", &["RO5", "RO6"]),
        ("statusClass=ber", &[]),
        ("statusClass=approved&status=approved%20by%20shop", &["RO4"]),
        ("statusClass=approved&archiveStatus=ALL&q=RO", &["RO1", "RO2", "RO3", "RO4", "RO9"]),
    ];
    assert_lists(&app, &cases).await;
}

#[tokio::test]
async fn shops_are_compared_without_case_and_blanks() {
    let app = App::start().await;
    for (number, shop) in [
        ("RO1", "XYZ Repair, Inc."),
        ("RO2", "xyz  repair,inc."),
        ("RO3", "XYZ\u{a0}Repair, Inc. "),
        ("RO4", "XYZ Repair"),
    ] {
        app.create_with(json!({ "roNumber": number, "shopName": shop })).await;
    }
    let cases: [(&str, &[&str]); 3] =
        [("shop=xyzrepair,inc.", &["RO1", "RO2", "RO3"]), ("shop=XYZ%20REPAIR", &["RO4"]), ("shop=XYZ", &[])];
    assert_lists(&app, &cases).await;
}

#[tokio::test]
async fn dates_decide_on_overdue_and_due_orders() {
    let app = App::start().await;
    for (number, next) in
        [("RO1", json!("2024-11-14")), ("RO2", json!("2024-11-15")), ("RO3", json!("2024-11-20")), ("RO4", Value::Null)]
    {
        app.create_with(json!({ "roNumber": number, "nextDateToUpdate": next })).await;
    }
    let zero = "SET sql_mode = ''; INSERT INTO active (RO, NEXT_DATE_TO_UPDATE) VALUES ('RO5', '0000-00-00')";
    execute(&mut app.database.connect().await, zero).await;
    let cases: [(&str, &[&str]); 6] = [
        ("overdue=true", &["RO1"]),
        ("overdue=false", &["RO2", "RO3", "RO4", "RO5"]),
        ("dueBefore=2024-11-15", &["RO1"]),
        ("dueBefore=2024-11-16T00:00:00.000Z", &["RO1", "RO2"]),
        ("dueBefore=2025-01-01&overdue=false", &["RO2", "RO3"]),
        ("dueBefore=2025-01-01&q=ro3&shop=xyz%20repair%20services&statusClass=waitingQuote", &["RO3"]),
    ];
    assert_lists(&app, &cases).await;
}

#[tokio::test]
async fn filters_without_a_word_filter_nothing() {
    let app = App::start().await;
    app.create("RO1").await;
    let cases: [(&str, &[&str]); 3] =
        [("q=&shop=&status=", &["RO1"]), ("q=%E2%80%8B&shop=%C2%A0", &["RO1"]), ("status=%3E%3E%20", &["RO1"])];
    assert_lists(&app, &cases).await;
}

#[tokio::test]
async fn orders_without_a_value_are_last_in_both_directions() {
    let app = App::start().await;
    for (number, next, made, shop, cost, status) in [
        ("B", json!("2024-11-02"), json!("2024-01-03"), "b", json!(20), "x"),
        ("a", json!("2024-11-03"), json!("2024-01-01"), "C", json!(100), "Z"),
        ("C", json!("2024-11-01"), json!("2024-01-02"), "a", json!(3), "y"),
    ] {
        app.create_with(json!({
            "roNumber": number, "nextDateToUpdate": next, "dateMade": made, "shopName": shop, "estimatedCost": cost,
            "currentStatus": status,
        }))
        .await;
    }
    execute(&mut app.database.connect().await, "INSERT INTO active (RO) VALUES ('Z')").await;
    for (sort, ascending) in [
        ("nextDateToUpdate", ["C", "B", "a", "Z"]),
        ("dateMade", ["a", "C", "B", "Z"]),
        ("roNumber", ["a", "B", "C", "Z"]),
        ("shopName", ["C", "B", "a", "Z"]),
        ("estimatedCost", ["C", "B", "a", "Z"]),
        ("currentStatus", ["B", "C", "a", "Z"]),
    ] {
        assert_eq!(numbers(&app, &format!("sort={sort}")).await, ascending, "{sort}");
        assert_eq!(numbers(&app, &format!("sort={sort}&order=asc")).await, ascending, "{sort}");
        let mut descending = ascending;
        // The number alone is never missing.
        if sort == "roNumber" {
            descending.reverse()
        } else {
            descending[..3].reverse()
        }
        assert_eq!(numbers(&app, &format!("sort={sort}&order=desc")).await, descending, "{sort}");
    }
    assert_eq!(numbers(&app, "order=desc").await, ["a", "B", "C", "Z"]);
}

#[tokio::test]
async fn the_list_of_all_has_the_orders_of_every_table() {
    let app = App::start().await;
    let mut expected = Vec::new();
    for (archive, next) in [("NET", 4), ("ACTIVE", 3), ("RETURNED", 2), ("PAID", 1)] {
        let fields =
            json!({ "roNumber": archive, "archiveStatus": archive, "nextDateToUpdate": format!("2024-11-0{next}") });
        expected.insert(0, app.create_with(fields).await);
    }
    assert_eq!(app.get("/api/ros?archiveStatus=ALL").await.expect(200), json!(expected));
    let some = app.get("/api/ros?archiveStatus=ALL&limit=2&offset=1").await;
    assert_eq!(some.header("x-total-count"), Some("4"));
    assert_eq!(some.expect(200), json!(expected[1..3]));
    assert_eq!(numbers(&app, "archiveStatus=ALL&q=net").await, ["NET"]);
}

#[tokio::test]
async fn links_lead_through_the_whole_list() {
    let app = App::start().await;
    fill(&app.database, 25).await;
    app.create("OTHER").await;
    for prefix in ["", "/.netlify/functions"] {
        let path = format!("{prefix}/api/ros");
        let mut query = "?q=ro&sort=roNumber&limit=10&shop=a+repair%20shop".to_owned();
        let mut found = Vec::new();
        loop {
            let response = app.get(&format!("{path}{query}")).await;
            assert_eq!(response.header("x-total-count"), Some("25"));
            let links = response.header("link").unwrap().to_owned();
            found.extend(response.expect(200).as_array().unwrap().iter().map(|order| order["roNumber"].to_string()));
            assert!(links.contains("rel=\"first\"") && links.contains("&offset=20>; rel=\"last\""), "{links}");
            let next = links.split(", ").find(|link| link.ends_with("rel=\"next\""));
            let Some(next) = next else { break };
            query = next.trim_start_matches('<').split('>').next().unwrap().to_owned();
        }
        found.dedup();
        assert_eq!(found.len(), 25);
    }
    let whole = app.get("/api/ros").await;
    assert_eq!((whole.header("x-total-count"), whole.header("link")), (Some("26"), None));
    assert_eq!(app.get("/api/ros?offset=20").await.header("link"), None);
    // Scripts of the dashboard may read both.
    let origin = [("origin", "https://repairs.example")];
    let exposed = app.send_with(Method::GET, "/api/ros", &origin, None).await;
    let exposed = exposed.header("access-control-expose-headers").unwrap().to_owned();
    assert!(exposed.contains("x-total-count") && exposed.contains("link"), "{exposed}");
}
