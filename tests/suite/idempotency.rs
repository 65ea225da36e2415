//! `Idempotency-Key`: a request that is repeated has one effect and one response.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use http::{Method, StatusCode};
use rotracker_cli::local_client::local_client;
use rotracker_tests::{
    App, TestDatabase, TestResponse,
    app::{bearer, new_order, path_by_number},
    database::execute,
    emulator::Emulator,
    issuer::Issuer,
    proxy::{Cut, Proxy},
};
use serde_json::{Value, json};
use tokio::sync::watch;

const REPLAYED: &str = "idempotency-replayed";

/// Asserts that `second` is the saved response `first` and is marked as a repeat.
#[track_caller]
fn assert_replayed(first: &TestResponse, second: &TestResponse) {
    assert_eq!((first.status, &first.bytes), (second.status, &second.bytes), "{second:?}");
    assert_eq!(first.header("etag"), second.header("etag"));
    assert_eq!((first.header(REPLAYED), second.header(REPLAYED)), (None, Some("true")));
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
}

#[tokio::test]
async fn an_order_is_created_and_archived_once() {
    let app = App::start().await;
    let body = new_order(json!({ "roNumber": "RO1" }));
    let first = app.post_once("k 1", "/api/ros", &body).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_replayed(&first, &app.post_once("k 1", "/api/ros", &body).await);
    let archive = format!("{}/archive", path_by_number("RO1"));
    let paid = json!({ "archiveStatus": "PAID" });
    let archived = app.post_once("k 2", &archive, &paid).await;
    assert_eq!(archived.status, StatusCode::OK);
    // Later changes of the order do not affect the saved response.
    app.patch(&path_by_number("RO1"), &json!({ "archiveStatus": "NET" })).await.expect(200);
    assert_replayed(&archived, &app.post_once("k 2", &archive, &paid).await);
    assert_replayed(&first, &app.post_once("k 1", "/api/ros", &body).await);
    assert_eq!(app.rows().await, [("net".to_owned(), 1, "RO1".to_owned())]);
    assert_eq!(app.get("/api/ros/1/history").await.expect(200)["total"], 3);
    // Without the key or with another key, it is a new request.
    app.post("/api/ros", &body).await.expect_error(409);
    app.post_once("K 1", "/api/ros", &body).await.expect_error(409);
}

#[tokio::test]
async fn every_change_of_an_order_takes_effect_once() {
    let app = App::start().await;
    let order = app.create_with(json!({ "roNumber": "RO1", "notes": "first" })).await;
    let (by_id, by_number) = (format!("/api/ros/{}", order["id"].as_str().unwrap()), path_by_number("RO1"));
    let once = async |method: Method, path: &str, body: Value| {
        let key = format!("{method} {path}");
        let headers = [("idempotency-key", key.as_str())];
        let body = Some(&body).filter(|body| !body.is_null());
        let first = app.send_with(method.clone(), path, &headers, body).await;
        assert_eq!(first.status, StatusCode::OK, "{first:?}");
        // Later changes do not affect the saved response, and the prefix makes no difference.
        app.patch(&by_id, &json!({ "terms": key })).await;
        assert_replayed(&first, &app.send_with(method.clone(), path, &headers, body).await);
        let netlify = format!("/.netlify/functions{path}");
        assert_replayed(&first, &app.send_with(method, &netlify, &headers, body).await);
        first.json()
    };
    let status = json!({ "status": "APPROVED", "notes": "second", "cost": 10 });
    assert_eq!(once(Method::PATCH, &format!("{by_number}/status"), status).await["notes"], "first\nsecond");
    let order = app.get(&by_id).await.expect(200);
    assert_eq!((&order["notes"], order["statusHistory"].as_array().unwrap().len()), (&json!("first\nsecond"), 2));
    once(Method::PATCH, &by_id, json!({ "serialNumber": "1" })).await;
    once(Method::PATCH, &by_number, json!({ "serialNumber": "2", "archiveStatus": "NET" })).await;
    once(Method::POST, &format!("{by_number}/archive"), json!({ "archiveStatus": "PAID" })).await;
    let history = app.get(&format!("{by_id}/history")).await.expect(200)["history"].clone();
    let actions: Vec<_> = history.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let expected = ["UPDATED", "MOVED", "UPDATED", "MOVED", "UPDATED", "UPDATED", "UPDATED", "STATUS", "CREATED"];
    assert_eq!(actions, expected);
    once(Method::DELETE, &by_id, Value::Null).await;
    app.create("RO1").await;
    let headers = [("idempotency-key", "k")];
    let deleted = app.send_with(Method::DELETE, &by_number, &headers, None).await;
    app.create("RO1").await;
    assert_replayed(&deleted, &app.send_with(Method::DELETE, &by_number, &headers, None).await);
    app.get(&by_number).await.expect(200);
    app.send_with(Method::DELETE, &path_by_number("RO2"), &headers, None).await.expect_error(422);
}

#[tokio::test]
async fn keys_belong_to_their_caller() {
    let issuer = Issuer::start().await;
    let app = App::inventory_for(&issuer).await;
    let part = app.put("stock_room", "A-1", 10).await;
    let (ann, bob) = (bearer(&issuer.token("ann")), bearer(&issuer.token("bob")));
    let take = async |authorization: &str| {
        let headers = [("authorization", authorization), ("idempotency-key", "k")];
        app.send_with(Method::POST, "/api/inventory/decrement", &headers, Some(&part.change(&json!({})))).await
    };
    let first = take(&ann).await;
    assert_eq!(take(&bob).await.expect(200)["newQty"], 8);
    // A different token of the same user makes no difference.
    assert_replayed(&first, &take(&bearer(&issuer.token_with("ann", json!({ "jti": "2" })))).await);
    assert_eq!(first.expect(200)["newQty"], 9);
    assert_eq!(app.transactions(&part).await.len(), 2);
}

#[tokio::test]
async fn stock_is_changed_once() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A-1", 10).await;
    for (path, fields) in [
        ("decrement", json!({ "quantity": 3 })),
        ("increment", json!({ "quantity": 2 })),
        ("adjust", json!({ "newQty": 5, "notes": "counted" })),
    ] {
        let (path, body) = (format!("/api/inventory/{path}"), part.change(&fields));
        let first = app.post_once(&path, &path, &body).await;
        assert_eq!(first.status, StatusCode::OK);
        assert_replayed(&first, &app.post_once(&path, &path, &body).await);
    }
    let entries: Vec<i64> = app.transactions(&part).await.into_iter().map(|(_, delta, ..)| delta).collect();
    assert_eq!(entries, [-3, 2, -4]);
}

#[tokio::test]
async fn a_log_entry_is_created_once() {
    let app = App::ai_logs().await;
    let body = json!({
        "conversationId": "c", "user": "u", "userMessage": "q", "aiResponse": "a", "success": true,
    });
    let first = app.post_once("k", "/api/ai-logs", &body).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_replayed(&first, &app.post_once("k", "/api/ai-logs", &body).await);
    assert_eq!(app.get("/api/ai-logs").await.expect(200)["total"], 1);
    // The path with the Netlify prefix is the same path.
    assert_replayed(&first, &app.post_once("k", "/.netlify/functions/api/ai-logs", &body).await);
}

#[tokio::test]
async fn a_key_reused_for_another_request_is_422() {
    let app = App::start().await;
    let body = |number: &str| new_order(json!({ "roNumber": number }));
    app.post_once("k", "/api/ros", &body("RO1")).await.expect(201);
    app.post_once("l", "/api/ros", &body("RO2")).await.expect(201);
    let other = app.post_once("k", "/api/ros", &body("RO3")).await.expect(422);
    assert_eq!(other["error"], "Idempotency key reused");
    let archive = json!({ "archiveStatus": "PAID" });
    let archive_of = |number: &str| format!("{}/archive", path_by_number(number));
    app.post_once("k", &archive_of("RO1"), &archive).await.expect_error(422);
    app.post_once("m", &archive_of("RO1"), &archive).await.expect(200);
    app.post_once("m", &archive_of("RO2"), &archive).await.expect_error(422);
    app.clock.set("2024-11-16T11:59:59.999Z".parse().unwrap());
    app.post_once("k", "/api/ros", &body("RO3")).await.expect_error(422);
    app.clock.set("2024-11-16T12:00:00Z".parse().unwrap());
    let renewed = app.post_once("k", "/api/ros", &body("RO3")).await;
    assert_eq!(renewed.status, StatusCode::CREATED);
    assert_replayed(&renewed, &app.post_once("k", "/api/ros", &body("RO3")).await);
    assert_eq!(app.rows().await.len(), 3);
}

#[tokio::test]
async fn invalid_keys_are_400_and_invalid_requests_not_saved() {
    let app = App::start().await;
    let body = new_order(json!({ "roNumber": "RO1" }));
    for key in ["", &"k".repeat(256), "a\tb"] {
        app.post_once(key, "/api/ros", &body).await.expect_error(400);
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "a")];
    app.send_with(Method::POST, "/api/ros", &twice, Some(&body)).await.expect_error(400);
    assert!(app.rows().await.is_empty());
    app.post_once("k", "/api/ros", &json!({})).await.expect(400);
    // After the repair, the same key works.
    app.post_once("k", "/api/ros", &body).await.expect(201);
}

#[tokio::test]
async fn saved_refusals_are_replayed() {
    let app = App::start().await;
    let body = new_order(json!({ "roNumber": "RO1" }));
    app.create("RO1").await;
    let taken = app.post_once("k", "/api/ros", &body).await;
    let archive = format!("{}/archive", path_by_number("RO1"));
    let already = app.post_once("l", &archive, &json!({ "archiveStatus": "ACTIVE" })).await;
    let paid = json!({ "archiveStatus": "PAID" });
    let missing = app.post_once("m", "/api/ros/by-number/RO2/archive", &paid).await;
    let keyed = [("idempotency-key", "n"), ("if-match", "\"other\"")];
    let outdated = app.send_with(Method::POST, &archive, &keyed, Some(&paid)).await;
    for (refused, status) in [(&taken, 409), (&already, 409), (&missing, 404), (&outdated, 412)] {
        assert_eq!(refused.status, status);
        assert!(refused.json()["message"].is_string() && refused.header(REPLAYED).is_none(), "{refused:?}");
    }
    // Both requests could now succeed, but their refusals are saved; only a new key makes a new attempt.
    app.patch(&path_by_number("RO1"), &json!({ "roNumber": "RO2", "archiveStatus": "NET" })).await.expect(200);
    assert_replayed(&taken, &app.post_once("k", "/api/ros", &body).await);
    app.create("RO1").await;
    app.patch(&path_by_number("RO1"), &paid).await.expect(200);
    assert_replayed(&already, &app.post_once("l", &archive, &json!({ "archiveStatus": "ACTIVE" })).await);
    assert_replayed(&missing, &app.post_once("m", "/api/ros/by-number/RO2/archive", &paid).await);
    assert_replayed(&outdated, &app.post_once("n", &archive, &paid).await);
    let tables: Vec<_> = app.rows().await.into_iter().map(|(table, _, number)| format!("{table} {number}")).collect();
    assert_eq!(tables, ["net RO2", "paid RO1"]);

    let app = App::inventory().await;
    let part = app.put("stock_room", "A-1", 2).await;
    let take = part.change(&json!({ "quantity": 3 }));
    let refused = app.post_once("k", "/api/inventory/decrement", &take).await;
    app.post("/api/inventory/increment", &take).await.expect(200);
    assert_replayed(&refused, &app.post_once("k", "/api/inventory/decrement", &take).await);
    assert_eq!(refused.expect_error(409), "Insufficient quantity: 3 wanted, 2 there.");
    app.post_once("l", "/api/inventory/decrement", &take).await.expect(200);
    assert_eq!(app.transactions(&part).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simultaneous_repeats_get_the_saved_response() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A-1", 10).await;
    let change = part.change(&json!({}));
    let first = app.post_once("k", "/api/inventory/decrement", &change).await;
    for _ in 0..5 {
        let repeats = (0..50).map(|_| app.post_once("k", "/api/inventory/decrement", &change));
        join_all(repeats).await.iter().for_each(|repeat| assert_replayed(&first, repeat));
    }
    assert_eq!(app.transactions(&part).await.len(), 1);
}

#[tokio::test]
async fn expired_keys_are_deleted() {
    let app = App::start().await;
    let old = "INSERT INTO idempotency_keys (digest, request, created_at, status) SELECT \
               UNHEX(LPAD(n, 32, '0')), UNHEX(LPAD(n, 32, '0')), '2024-11-14 11:59:59', 200 FROM \
               (SELECT 1 n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5) numbers";
    execute(&mut app.database.connect().await, old).await;
    for number in 0..200 {
        let body = new_order(json!({ "roNumber": format!("RO{number}") }));
        app.post_once(&format!("key {number}"), "/api/ros", &body).await.expect(201);
    }
    let keys: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM idempotency_keys")
        .fetch_one(&mut *app.connection().await)
        .await
        .unwrap();
    assert_eq!(keys, 200, "today's alone are there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_use_is_409() {
    let app = Arc::new(App::start().await);
    app.create("RO1").await;
    let archive = format!("{}/archive", path_by_number("RO1"));
    let paid = json!({ "archiveStatus": "PAID" });
    let mut other = app.database.connect().await;
    execute(&mut other, "START TRANSACTION; SELECT * FROM ro_registry FOR UPDATE").await;
    let first = {
        let (app, archive, paid) = (app.clone(), archive.clone(), paid.clone());
        tokio::spawn(async move { app.post_once("k", &archive, &paid).await })
    };
    // The first request has inserted its key but not committed.
    let mut reader = app.database.connect().await;
    execute(&mut reader, "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED").await;
    while sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM idempotency_keys").fetch_one(&mut reader).await.unwrap()
        == 0
    {
        assert!(!first.is_finished(), "it did not wait for their lock");
    }
    let second = app.post_once("k", &archive, &paid).await;
    assert_eq!(second.header("retry-after"), Some("1"));
    assert!(second.expect_error(409).contains("has not been answered yet"));
    assert!(!first.is_finished(), "the second did not wait for the first");
    execute(&mut other, "COMMIT").await;
    let first = first.await.unwrap();
    assert_eq!(first.status, StatusCode::OK);
    assert_replayed(&first, &app.post_once("k", &archive, &paid).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_lost_connection_the_key_tells_the_outcome() {
    let proxy = Proxy::start().await;
    let database = TestDatabase::migrated().await;
    let pool = proxy.pool(&database, 1);
    let app = App::on(database, pool);
    // The statements are BEGIN, two for the key, INSERT, history, saving the response, COMMIT.
    for (cut, statement) in [Cut::Before, Cut::After].into_iter().flat_map(|cut| (1..=7).map(move |at| (cut, at))) {
        app.get("/health").await.expect(200);
        let number = format!("RO-{cut:?}-{statement}");
        let body = new_order(json!({ "roNumber": number }));
        proxy.cut_at(statement, cut);
        let first = app.post_once(&number, "/api/ros", &body).await;
        assert!(proxy.has_cut(), "{number}: the statement was never reached");
        assert_eq!(first.status == StatusCode::SERVICE_UNAVAILABLE, statement == 7, "{number}: {first:?}");
        let second = loop {
            let second = app.post_once(&number, "/api/ros", &body).await;
            // Retry until the server has noticed that the first connection is closed.
            if second.header("retry-after").is_none() {
                break second;
            }
        };
        assert_eq!(second.status, StatusCode::CREATED, "{number}");
        if statement != 7 {
            assert_replayed(&first, &second);
        }
        assert_eq!(app.rows().await.iter().filter(|(.., ro)| *ro == number).count(), 1);
    }
}

/// Repeats the request until it gets its result, even if functions are killed meanwhile.
async fn send_until_result(url: &str, body: &Value, refused: &watch::Sender<usize>) -> (u16, String, bool) {
    let client = local_client().timeout(Duration::from_secs(10)).build().unwrap();
    loop {
        let request = client.post(format!("{url}/decrement")).header("idempotency-key", "the key").json(body);
        let Ok(response) = request.send().await else { continue };
        let (status, is_replayed) = (response.status().as_u16(), response.headers().contains_key(REPLAYED));
        let Ok(text) = response.text().await else { continue };
        match status {
            409 if text.contains("has not been answered yet") => refused.send_modify(|count| *count += 1),
            // The emulator returns 5xx for a killed function, and the service does so for an unknown outcome.
            500..=599 => {}
            _ => return (status, text, is_replayed),
        }
    }
}

async fn quantity(app: &App) -> i64 {
    sqlx::query_scalar("SELECT Qty FROM inventoryindex").fetch_one(&mut *app.connection().await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_50_repeats_one_takes_effect_despite_kills() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A-1", 40).await;
    let emulator = Emulator::start().await;
    let instances = join_all([(); 3].map(|()| emulator.inventory(&app.database))).await;
    let url = Arc::new(format!("{}/lambda-url/inventory/api/inventory", emulator.url));
    let body = Arc::new(part.change(&json!({ "quantity": 3 })));
    // The first request waits for this lock inside its transaction.
    let mut other = app.database.connect().await;
    execute(&mut other, "START TRANSACTION; SELECT * FROM inventoryindex FOR UPDATE").await;
    let (refused, mut seen) = watch::channel(0);
    let refused = Arc::new(refused);
    let repeats = (0..50).map(|_| {
        let (url, body, refused) = (url.clone(), body.clone(), refused.clone());
        tokio::spawn(async move { send_until_result(&url, &body, &refused).await })
    });
    let repeats: Vec<_> = repeats.collect();
    // One request is running and others were refused; now kill all functions at once.
    seen.wait_for(|count| *count >= 5).await.unwrap();
    join_all(instances.into_iter().map(|instance| instance.stop())).await;
    let _instances = join_all([(); 3].map(|()| emulator.inventory(&app.database))).await;
    execute(&mut other, "ROLLBACK").await;
    let responses: Vec<_> = join_all(repeats).await.into_iter().map(Result::unwrap).collect();
    let (_, text, _) = &responses[0];
    assert!(text.contains("\"newQty\":37"), "{text}");
    for (status, body, _) in &responses {
        assert_eq!((*status, body), (200, text));
    }
    // At most one client received the original response, which may also have been lost.
    assert!(responses.iter().filter(|(.., is_replayed)| !is_replayed).count() <= 1);
    assert_eq!(app.transactions(&part).await.len(), 1);
    assert_eq!(quantity(&app).await, 37);
}
