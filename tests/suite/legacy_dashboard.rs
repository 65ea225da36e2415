//! Version 2.6 of the dashboard, which cannot be changed: a client sends its requests as it does, reads the responses as it does, and
//! compares what its pages would show. It calls `/.netlify/functions/…` and sends no token.
//!
//! It is half past eight in the evening of 15 November 2024 in New York, where it is tomorrow in UTC.

use std::net::Ipv4Addr;

use ai::limiter::RequestLimit;
use app_core::{clock::Clock, http::with_layers, lambda::Delivery};
use http::Method;
use inventory::InventoryState;
use ros::RosState;
use rotracker_cli::{fake_anthropic::FakeAnthropic, openapi};
use rotracker_tests::{
    App, TestDatabase, TestResponse,
    app::{encoded, http_config},
    assistant::{self, Options},
    database::execute,
    dynamodb::{emulator, limiter_config},
};
use serde_json::{Value, json};

const NOW: &str = "2024-11-16T01:30:00.000Z";
const API: &str = "/api";
const NETLIFY: &str = "/.netlify/functions/api";

/// All functions behind one router. `orders` and `stock` differ in their databases.
struct System {
    orders: App,
    stock: App,
}

impl System {
    async fn start(is_legacy_dashboard: bool) -> Self {
        let clock = Clock::standing_at(NOW.parse().unwrap(), chrono_tz::America::New_York);
        let (orders, stock) = (TestDatabase::migrated().await, TestDatabase::inventory().await);
        let (orders_pool, stock_pool) = (orders.large_pool(), stock.large_pool());
        let routes = ros::router(RosState::new(orders_pool.clone(), clock.clone()), is_legacy_dashboard);
        let state = InventoryState::new(stock_pool.clone(), clock.clone());
        let routes = routes.merge(inventory::router(state, is_legacy_dashboard));
        let router = with_layers(routes, &http_config(), Delivery::Streaming);
        let orders = App { router: router.clone(), pool: orders_pool, clock: clock.clone(), database: orders };
        Self { orders, stock: App { router, pool: stock_pool, clock, database: stock } }
    }

    /// Adds an order of the former database, which had no shop.
    async fn import(&self, number: &str) {
        let statement = format!(
            "INSERT INTO active (RO, PART_DESCRIPTION, ESTIMATED_COST, CURENT_STATUS, NEXT_DATE_TO_UPDATE)
             VALUES ('{number}', 'Fuel pump', 100.10, 'WAITING QUOTE', '2024-11-15')"
        );
        execute(&mut self.orders.database.connect().await, &statement).await;
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> TestResponse {
        let body = Some(body).filter(|body| !body.is_null());
        self.orders.send_with(method, path, &[], body).await
    }

    async fn read(&self, path: &str) -> TestResponse {
        self.call(Method::GET, &format!("{NETLIFY}{path}"), &Value::Null).await
    }

    async fn post(&self, path: &str, body: &Value) -> TestResponse {
        self.call(Method::POST, &format!("{NETLIFY}{path}"), body).await
    }

    async fn patch(&self, path: &str, body: &Value) -> TestResponse {
        self.call(Method::PATCH, &format!("{NETLIFY}{path}"), body).await
    }

    /// The list on a page of orders.
    async fn list(&self, archive: &str) -> Vec<Value> {
        items(&self.read(&format!("/ros?archiveStatus={archive}")).await.expect(200)).clone()
    }

    async fn figures(&self) -> Value {
        self.read("/ros/stats/dashboard").await.expect(200)
    }
}

/// `for (const item of response)`
#[track_caller]
fn items(response: &Value) -> &Vec<Value> {
    response.as_array().unwrap_or_else(|| panic!("is not iterable: {response}"))
}

/// `orders.reduce((sum, order) => sum + (order[field] || 0), 0)`: with a string, `+` concatenates.
fn sum(orders: &[Value], field: &str) -> Value {
    orders.iter().fold(json!(0.0), |sum, order| match (&sum, &order[field]) {
        (_, Value::Null) => sum,
        (Value::Number(sum), Value::Number(amount)) => json!(sum.as_f64().unwrap() + amount.as_f64().unwrap()),
        (sum, amount) => json!(format!("{}{}", shown(sum), shown(amount))),
    })
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The body of the dialog for a new order, which has neither a status nor dates.
fn dialog(number: &str) -> Value {
    json!({
        "roNumber": number, "shopName": "Acme Aviation", "partNumber": "65-1234-5", "serialNumber": "S1",
        "partDescription": "Landing gear actuator", "requiredWork": "Overhaul", "estimatedCost": 2500, "terms": "NET 30",
        "shopReferenceNumber": "",
    })
}

#[tokio::test]
async fn the_pages_of_the_inventory_work() {
    let system = System::start(true).await;
    let part = system.stock.put("stock_room", "MS20470AD4-6", 2).await;
    system.stock.put_unindexed("bins_inventory", "AN3-5A", 7).await;

    let health = system.call(Method::GET, "/.netlify/functions/health", &Value::Null).await;
    assert!(health.status.is_success(), "the whole inventory falls back to Excel");

    let found = system.read("/inventory/search?partNumber=ms20470ad4-6").await.expect(200);
    let [row] = items(&found).as_slice() else { panic!("{found}") };
    let expected = json!({
        "indexId": part.index_id.to_string(), "partNumber": "MS20470AD4-6", "tableName": "stock_room", "rowId": part.row_id,
        "serialNumber": "SN-001", "qty": 2, "condition": "SV", "location": "A-12",
        "description": "Part MS20470AD4-6 of stock_room", "lastSeen": row["lastSeen"],
    });
    assert_eq!(row, &expected);
    let unindexed = system.read("/inventory/search?partNumber=an3").await.expect(200);
    assert_eq!((items(&unindexed).len(), &unindexed[0]["indexId"]), (1, &Value::Null));
    for nothing in ["nothing", "", "%20", &"9".repeat(101)] {
        let found = system.read(&format!("/inventory/search?partNumber={nothing}")).await.expect(200);
        assert_eq!(found, json!([]), "{nothing}");
    }
    assert_eq!(system.read("/inventory/search").await.expect(200), json!([]));

    let body = json!({ "indexId": row["indexId"], "partNumber": row["partNumber"], "roNumber": "RO1", "notes": "" });
    let taken = system.post("/inventory/decrement", &body).await.expect(200);
    assert_eq!((&taken["success"], &taken["newQty"], &taken["isLowStock"]), (&json!(true), &json!(1), &json!(true)));
    assert_eq!(taken["message"], "1 piece of MS20470AD4-6 taken; 1 is left.");

    let low = system.read("/inventory/low-stock?threshold=5").await.expect(200);
    let [item] = items(&low["items"]).as_slice() else { panic!("{low}") };
    assert_eq!(
        (&item["currentQty"], &item["transactionCount90Days"], &item["lastRONumber"]),
        (&json!(1), &json!(1), &json!("RO1"))
    );
    let stats = system.read("/inventory/stats").await.expect(200);
    for (figure, value) in [("totalItems", 1), ("totalQuantity", 1), ("lowStockCount", 1), ("recentTransactions", 1)] {
        assert_eq!(stats[figure], value, "{figure}");
    }

    // The last piece, and then none: the person must see that nothing was taken.
    system.post("/inventory/decrement", &body).await.expect(200);
    let message = system.post("/inventory/decrement", &body).await.expect_error(409);
    assert!(message.contains("Insufficient quantity"), "{message}");
}

#[tokio::test]
async fn the_pages_of_the_orders_work() {
    let system = System::start(true).await;
    system.import("RO OLD").await;
    assert_eq!(system.list("ACTIVE").await[0]["estimatedCost"], json!(100.1));
    assert_eq!(system.figures().await["dueToday"], 1);

    // The dialog for a new order, late in the evening.
    let order = system.post("/ros", &dialog("RO1")).await.expect(201);
    for (field, value) in [
        ("currentStatus", "TO SEND"),
        ("dateMade", "2024-11-15T00:00:00.000Z"),
        ("currentStatusDate", "2024-11-15T00:00:00.000Z"),
        ("nextDateToUpdate", "2024-11-18T00:00:00.000Z"),
    ] {
        assert_eq!(order[field], value, "{field}");
    }
    assert_eq!(order["estimatedCost"], json!(2500.0));

    // The list and the sums over it.
    let orders = system.list("ACTIVE").await;
    let numbers: Vec<&Value> = orders.iter().map(|order| &order["roNumber"]).collect();
    assert_eq!(numbers, ["RO OLD", "RO1"]);
    assert_eq!(sum(&orders, "estimatedCost"), json!(2600.1));
    assert_eq!(sum(&orders, "finalCost"), json!(0.0));
    assert_eq!(orders[1], order);

    // The figures of the dashboard.
    let figures = system.figures().await;
    let figures = figures.as_object().unwrap();
    assert_eq!(figures.len(), 18);
    assert!(figures.values().all(Value::is_number), "{figures:?}");
    assert_eq!(figures["totalActive"], 2);
    assert_eq!(figures["totalEstimatedValue"], json!(2600.1));

    // The dialog for the status, which promises that the date of the next follow-up is set.
    let change = json!({
        "status": "APPROVED", "notes": "by phone", "cost": 2400.5, "deliveryDate": "2024-12-01T05:00:00.000Z",
    });
    let order = system.patch("/ros/by-number/RO1/status", &change).await.expect(200);
    assert_eq!(order["nextDateToUpdate"], "2024-11-29T00:00:00.000Z");
    assert_eq!(order["currentStatusDate"], "2024-11-15T00:00:00.000Z");
    assert_eq!(order["estimatedDeliveryDate"], "2024-12-01T00:00:00.000Z");
    assert_eq!((&order["notes"], &order["estimatedCost"]), (&json!("by phone"), &json!(2400.5)));
    let blank = json!({ "status": "CURRENTLY BEING SHIPPED", "notes": "", "cost": "", "deliveryDate": "" });
    let order = system.patch("/ros/by-number/RO1/status", &blank).await.expect(200);
    assert_eq!(order["nextDateToUpdate"], "2024-11-20T00:00:00.000Z");
    assert_eq!(
        (&order["estimatedDeliveryDate"], &order["finalCost"]),
        (&json!("2024-12-01T00:00:00.000Z"), &Value::Null)
    );
    assert_eq!(system.figures().await["shipping"], 1);

    // The whole order is sent back, with a day of the calendar, "today" as the present time, and "" for nothing.
    let mut edited = system.list("ACTIVE").await.remove(0);
    for (field, value) in [
        ("shopName", ""),
        ("estimatedCost", ""),
        ("finalCost", " "),
        ("dateDroppedOff", ""),
        ("estimatedDeliveryDate", ""),
        ("dateMade", "2024-11-04T05:00:00.000Z"),
        ("currentStatusDate", NOW),
        ("nextDateToUpdate", ""),
        ("lastDateUpdated", NOW),
        ("notes", "called"),
    ] {
        edited[field] = json!(value);
    }
    let order = system.patch("/ros/by-number/RO%20OLD", &edited).await.expect(200);
    for (field, value) in [
        ("shopName", Value::Null),
        ("estimatedCost", Value::Null),
        ("finalCost", Value::Null),
        ("dateMade", json!("2024-11-04T00:00:00.000Z")),
        ("currentStatusDate", json!("2024-11-15T00:00:00.000Z")),
        ("nextDateToUpdate", Value::Null),
        ("lastDateUpdated", json!("2024-11-15T00:00:00.000Z")),
        ("notes", json!("called")),
    ] {
        assert_eq!(order[field], value, "{field}");
    }
    assert_eq!(system.patch("/ros/by-number/RO%20OLD", &order).await.expect(200), order, "unchanged");
    let priced = system.patch("/ros/by-number/RO1", &json!({ "finalCost": "2399.99" })).await.expect(200);
    assert_eq!(priced["finalCost"], json!(2399.99));

    // Two people archive the order: it is where both want it.
    let target = json!({ "archiveStatus": "PAID" });
    let archived = system.post("/ros/by-number/RO1/archive", &target).await.expect(200);
    assert_eq!((&archived["archiveStatus"], &archived["finalCost"]), (&json!("PAID"), &json!(2399.99)));
    assert_eq!(system.post("/ros/by-number/RO1/archive", &target).await.expect(200), archived);
    assert_eq!(sum(&system.list("PAID").await, "finalCost"), json!(2399.99));
    let figures = system.figures().await;
    assert_eq!((&figures["approvedPaid"], &figures["totalFinalValue"]), (&json!(1), &json!(2399.99)));

    let deleted = system.call(Method::DELETE, &format!("{NETLIFY}/ros/by-number/RO%20OLD"), &Value::Null).await;
    let deleted = deleted.expect(200);
    assert_eq!((&deleted["success"], deleted["message"].is_string()), (&json!(true), true));
    assert_eq!(system.list("ACTIVE").await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_new_order_keeps_the_dates_that_the_dashboard_sends() {
    let system = System::start(true).await;
    let fields = ["currentStatus", "dateMade", "currentStatusDate", "nextDateToUpdate", "estimatedCost"];
    let (made, next) = ("2024-11-01T00:00:00.000Z", "2024-12-24T00:00:00.000Z");
    let (today, in_a_week) = ("2024-11-15T00:00:00.000Z", "2024-11-22T00:00:00.000Z");
    for (number, sent, stored) in [
        ("RO1", json!(["", "", "", "", ""]), json!(["TO SEND", today, today, "2024-11-18T00:00:00.000Z", null])),
        (
            "RO2",
            json!([null, null, null, null, null]),
            json!(["TO SEND", today, today, "2024-11-18T00:00:00.000Z", null]),
        ),
        ("RO3", json!(["WAITING QUOTE", NOW, NOW, "", "1.5"]), json!(["WAITING QUOTE", today, today, in_a_week, 1.5])),
        ("RO4", json!(["PAYMENT SENT", made, made, null, 0]), json!(["PAYMENT SENT", made, made, null, 0.0])),
        ("RO5", json!(["BER", made, "", next, ""]), json!(["BER", made, today, next, null])),
    ] {
        let mut order = dialog(number);
        for (field, value) in fields.iter().zip(items(&sent)) {
            order[*field] = value.clone();
        }
        let created = system.post("/ros", &order).await.expect(201);
        assert_eq!(json!(fields.map(|field| &created[field])), stored, "{sent}");
    }
}

#[tokio::test]
async fn the_assistant_answers() {
    let stand_in = FakeAnthropic::start(Ipv4Addr::LOCALHOST).await.unwrap();
    let dynamodb = emulator().await;
    let limiter = limiter_config(&dynamodb.endpoint, RequestLimit { limit: 3, window_seconds: 60 });
    let app = assistant::app(&stand_in.url, &limiter, &Options::default()).await;
    let tool =
        json!({ "name": "updateOrder", "description": "Changes an order", "input_schema": { "type": "object" } });
    let chat = json!({
        "messages": [{ "role": "user", "content": "What is overdue?" }], "model": "claude-sonnet-4-20250514",
        "maxTokens": 4096, "temperature": 0.2, "tools": [tool], "systemPrompt": "You help with repair orders.",
        "userId": "ann@example.com",
    });
    let headers = [("x-user-id", "ann@example.com")];
    let answer = app.send_with(Method::POST, &format!("{NETLIFY}/ai/chat"), &headers, Some(&chat)).await.expect(200);
    assert_eq!((&answer["success"], &answer["response"]["stop_reason"]), (&json!(true), &json!("end_turn")));
    assert_eq!(items(&answer["response"]["content"])[0]["type"], "text");
}

#[tokio::test]
async fn without_the_variable_the_pages_meet_the_specification() {
    let system = System::start(false).await;
    system.import("RO OLD").await;
    let part = system.stock.put("stock_room", "A1", 2).await;
    assert!(system.read("/inventory/search?partNumber=A1").await.expect(200).is_object());
    system.read("/inventory/search?partNumber=nothing").await.expect_error(404);
    let missing = system.post("/ros", &dialog("RO1")).await.expect(400);
    assert_eq!(missing["details"]["fields"]["currentStatus"], "is required");
    let cleared = system.patch("/ros/by-number/RO%20OLD", &json!({ "estimatedCost": "" })).await.expect(400);
    assert!(cleared["details"]["fields"]["estimatedCost"].is_string());
    assert_eq!(sum(&system.list("ACTIVE").await, "estimatedCost"), "0.0100.10");
    assert_eq!(system.figures().await["totalValue"], "100.10");
    assert_eq!(system.post("/inventory/decrement", &part.change(&json!({}))).await.expect(200)["newQty"], 1);
    let target = json!({ "archiveStatus": "PAID" });
    system.post("/ros/by-number/RO%20OLD/archive", &target).await.expect(200);
    system.post("/ros/by-number/RO%20OLD/archive", &target).await.expect_error(409);
}

/// Sends requests of every kind to a new system and returns the statuses and bodies of the responses.
async fn responses(is_legacy_dashboard: bool, prefix: &str) -> Vec<(String, u16, Value)> {
    let system = System::start(is_legacy_dashboard).await;
    system.import("RO OLD").await;
    let part = system.stock.put("stock_room", "A1", 2).await;
    let change = part.change(&json!({}));
    let complete = json!({ "currentStatus": "APPROVED", "estimatedCost": 12.5, "nextDateToUpdate": "2024-11-01" });
    let mut order = dialog("RO1");
    order.as_object_mut().unwrap().extend(complete.as_object().unwrap().clone());
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let none = Value::Null;
    let mut all = Vec::new();
    for (method, path, body) in [
        (&get, "/inventory/search?partNumber=a1", &none),
        (&get, "/inventory/search?partNumber=nothing", &none),
        (&get, "/inventory/search?partNumber=", &none),
        (&get, "/inventory/low-stock", &none),
        (&get, "/inventory/stats", &none),
        (&get, "/inventory/tables", &none),
        (&get, "/inventory/nothing", &none),
        (&post, "/inventory/decrement", &change),
        (&post, "/inventory/decrement", &json!({})),
        (&post, "/ros", &dialog("RO2")),
        (&post, "/ros", &order),
        (&post, "/ros", &order),
        (&post, "/ros", &json!([])),
        (&get, "/ros", &none),
        (&get, "/ros?limit=x", &none),
        (&get, "/ros/stats/dashboard", &none),
        (&get, "/ros/follow-ups", &none),
        (&get, "/ros/by-number/RO1", &none),
        (&patch, "/ros/by-number/RO1/status", &json!({ "status": "SHIPPING", "cost": "" })),
        (&patch, "/ros/by-number/RO1/status", &json!({ "status": "SHIPPING", "cost": "7.10" })),
        (&patch, "/ros/by-number/RO1", &json!({ "dateMade": "" })),
        (&patch, "/ros/by-number/RO1", &json!({ "dateMade": null, "finalCost": 9 })),
        (&post, "/ros/by-number/RO1/archive", &json!({ "archiveStatus": "NET" })),
        (&post, "/ros/by-number/RO1/archive", &json!({ "archiveStatus": "NET" })),
        (&get, "/ros/by-number/RO1", &none),
        (&delete, "/ros/by-number/RO1", &none),
        (&delete, "/ros/by-number/RO1", &none),
        (&Method::PUT, "/ros", &order),
    ] {
        let response = system.call(method.clone(), &format!("{prefix}{path}"), body).await;
        all.push((format!("{method} {path}"), response.status.as_u16(), response.json()));
    }
    all
}

#[tokio::test]
async fn only_the_prefix_of_the_dashboard_differs_and_only_with_the_variable() {
    let specified = responses(false, API).await;
    assert_eq!(responses(false, NETLIFY).await, specified, "without the variable both prefixes answer alike");
    assert_eq!(responses(true, API).await, specified, "with the variable /api answers as without it");
    let legacy = responses(true, NETLIFY).await;
    let differing: Vec<&str> = specified
        .iter()
        .zip(&legacy)
        .filter(|((_, one, _), (_, other, _))| one != other)
        .map(|((request, ..), _)| request.as_str())
        .collect();
    assert_eq!(
        differing,
        [
            "GET /inventory/search?partNumber=nothing",
            "GET /inventory/search?partNumber=",
            "POST /ros",
            "PATCH /ros/by-number/RO1/status",
            "PATCH /ros/by-number/RO1",
            "POST /ros/by-number/RO1/archive",
        ]
    );
}

#[tokio::test]
async fn every_operation_has_a_route_for_the_dashboard() {
    let system = System::start(true).await;
    let document: Value = serde_json::from_str(&openapi::document().unwrap()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api").unwrap_or(path);
        if !path.starts_with("/ros") && !path.starts_with("/inventory") {
            continue;
        }
        let url = path.replace("{id}", "1").replace("{roNumber}", "RO1").replace("{tableName}", "stock_room");
        for method in ["get", "post", "patch", "delete"] {
            let name = method.to_uppercase().parse().unwrap();
            let response = system.call(name, &format!("{NETLIFY}{url}"), &Value::Null).await;
            let body = String::from_utf8_lossy(&response.bytes);
            let is_route = response.status != 405 && !body.contains("There is nothing at this path.");
            assert_eq!(is_route, operations.get(method).is_some(), "{method} {path}: {body}");
        }
    }
}

#[tokio::test]
async fn tags_and_idempotency_keys_work_for_the_dashboard() {
    let system = System::start(true).await;
    let app = &system.orders;
    let path = format!("{NETLIFY}/ros");
    let key = [("idempotency-key", "one")];
    let first = app.send_with(Method::POST, &path, &key, Some(&dialog("RO1"))).await;
    let tag = first.header("etag").unwrap().to_owned();
    let created = first.expect(201);
    // Sent again after midnight, the order is the one that was made.
    app.clock.set("2024-11-16T05:30:00Z".parse().unwrap());
    let again = app.send_with(Method::POST, &path, &key, Some(&dialog("RO1"))).await;
    assert_eq!((again.header("idempotency-replayed"), again.header("etag")), (Some("true"), Some(tag.as_str())));
    assert_eq!(again.expect(201), created);
    assert_eq!(app.rows().await.len(), 1);

    let order = format!("{path}/by-number/RO1");
    let unchanged = app.send_with(Method::GET, &order, &[("if-none-match", &tag)], None).await;
    assert_eq!((unchanged.status.as_u16(), unchanged.header("etag")), (304, Some(tag.as_str())));
    assert!(unchanged.bytes.is_empty());
    let notes = json!({ "notes": "called", "finalCost": "" });
    let changed = app.send_with(Method::PATCH, &order, &[("if-match", &tag)], Some(&notes)).await;
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    assert_eq!(changed.expect(200)["notes"], "called");
    app.send_with(Method::PATCH, &order, &[("if-match", &tag)], Some(&notes)).await.expect_error(412);
    let figures = app.get(&format!("{path}/stats/dashboard")).await;
    let known = [("if-none-match", figures.header("etag").unwrap())];
    assert_eq!(app.send_with(Method::GET, &format!("{path}/stats/dashboard"), &known, None).await.status, 304);
}

#[tokio::test]
async fn lists_for_the_dashboard_are_streamed_and_counted() {
    let system = System::start(true).await;
    let app = &system.orders;
    rotracker_tests::database::fill(&app.database, 300).await;
    let request = http::Request::get(format!("{NETLIFY}/ros?limit=200")).body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(app.router.clone(), request).await.unwrap();
    assert_eq!(response.headers()["x-total-count"], "300");
    assert!(response.headers()["link"].to_str().unwrap().contains("rel=\"next\""));
    let mut parts = response.into_body().into_data_stream();
    let (mut list, mut count) = (Vec::new(), 0);
    while let Some(part) = futures_util::StreamExt::next(&mut parts).await {
        list.extend_from_slice(&part.unwrap());
        count += 1;
    }
    assert!(count > 2, "{count} parts");
    let list: Vec<Value> = serde_json::from_slice(&list).unwrap();
    assert_eq!(list.len(), 200);
    assert!(list.iter().all(|order| order["estimatedCost"].is_number() || order["estimatedCost"].is_null()));
    let due = app.get(&format!("{NETLIFY}/ros/follow-ups?until=2999-01-01")).await.expect(200);
    let plain = app.get("/api/ros/follow-ups?until=2999-01-01").await.expect(200);
    assert_eq!(due["total"], plain["total"]);
    let amounts = |groups: &Value| -> Vec<String> {
        let orders = items(&groups["groups"]).iter().flat_map(|group| items(&group["orders"]).clone());
        orders
            .map(|order| order["estimatedCost"].clone())
            .filter(|cost| !cost.is_null())
            .map(|cost| {
                if cost.is_number() {
                    format!("{:.2}", cost.as_f64().unwrap())
                } else {
                    format!("text {}", shown(&cost))
                }
            })
            .collect()
    };
    let texts: Vec<String> = amounts(&due).into_iter().map(|amount| format!("text {amount}")).collect();
    assert_eq!(texts, amounts(&plain));
}

#[tokio::test]
async fn refusals_stay_refusals() {
    let system = System::start(true).await;
    system.post("/ros", &dialog("RO1")).await.expect(201);
    system.post("/ros", &dialog("ro1")).await.expect_error(409);
    let blank = system.post("/ros", &dialog(" ")).await.expect(400);
    assert_eq!(blank["details"]["fields"]["roNumber"], "must not be empty");
    for amount in [json!(-1), json!(1.005), json!("much")] {
        let refused = system.patch("/ros/by-number/RO1", &json!({ "estimatedCost": amount })).await.expect(400);
        assert!(refused["details"]["fields"]["estimatedCost"].is_string(), "{refused}");
    }
    let gone = format!("/ros/by-number/{}", encoded("RO 99"));
    system.patch(&gone, &json!({ "notes": "x" })).await.expect_error(404);
    system.patch(&format!("{gone}/status"), &json!({ "status": "PAID" })).await.expect_error(404);
    system.post(&format!("{gone}/archive"), &json!({ "archiveStatus": "PAID" })).await.expect_error(404);
    system.post("/ros/by-number/RO1/archive", &json!({})).await.expect_error(400);
    assert_eq!(system.orders.rows().await.len(), 1);

    let (part, other) = (system.stock.put("stock_room", "A1", 0).await, system.stock.put("stock_room", "B1", 3).await);
    let decrement = |part_number, index_id| json!({ "indexId": index_id, "partNumber": part_number, "notes": "" });
    let none_left = decrement("A1", json!(part.index_id.to_string()));
    system.post("/inventory/decrement", &none_left).await.expect_error(409);
    let unknown = format!("UPDATE inventoryindex SET Qty = NULL WHERE IndexId = {}", part.index_id);
    execute(&mut system.stock.database.connect().await, &unknown).await;
    system.post("/inventory/decrement", &none_left).await.expect_error(409);
    let renumbered = decrement("A1", json!(other.index_id.to_string()));
    system.post("/inventory/decrement", &renumbered).await.expect_error(404);
    // A part that only its table has.
    system.post("/inventory/decrement", &decrement("C1", Value::Null)).await.expect_error(400);
    assert_eq!(system.stock.quantities(&other).await.indexed, Some(3));
}
