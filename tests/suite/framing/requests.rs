//! How functions read the events of each gateway.

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rotracker_tests::{
    App, TestDatabase,
    anthropic::FakeAnthropic,
    app::new_order,
    assistant::chat,
    dynamodb,
    emulator::assistant_variables,
    gateway::{Call, Gateway},
    runtime_api::{Framed, Outcome},
};
use serde_json::{Value, json};

use super::Function;

/// Removes the header that differs from response to response.
fn comparable(mut response: Framed) -> Framed {
    let id = response.prelude["headers"].as_object_mut().unwrap().remove("x-request-id");
    assert!(id.is_some_and(|id| id.is_string()));
    response
}

/// Sends `call` through every gateway, asserts that the responses are equal, and returns the response.
async fn same_response(function: &Function, call: &Call) -> Framed {
    let [first, second, third] = Gateway::ALL;
    let response = comparable(function.lambda.call(first, call).await);
    for other in [second, third] {
        assert_eq!(comparable(function.lambda.call(other, call).await), response, "{other:?} {call:?}");
    }
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_work_through_every_gateway() {
    let app = App::start().await;
    app.create("RO1").await;
    let ros = Function::start("ros", &app.database, &[]).await;
    let origin = ("origin", "https://repairs.example");
    let list = same_response(&ros, &Call::get("/api/ros").header(origin.0, origin.1)).await;
    assert_eq!(list.header("access-control-allow-origin"), Some(origin.1));
    assert_eq!(list.expect(200)[0]["roNumber"], "RO1");
    let other_prefix = same_response(&ros, &Call::get("/.netlify/functions/api/ros/?limit=1&offset=0")).await;
    assert_eq!(other_prefix.expect(200).as_array().unwrap().len(), 1);
    let number = same_response(&ros, &Call::get("/api/ros/by-number/ro1")).await;
    assert_eq!(number.expect(200)["roNumber"], "RO1");
    let patch = Call::new(Method::PATCH, "/api/ros/by-number/RO1").header("content-type", "application/json");
    let patched = same_response(&ros, &patch.text(r#"{"notes":"部品 \"x\""}"#)).await;
    assert_eq!(patched.expect(200)["notes"], "部品 \"x\"");
    let preflight = Call::new(Method::OPTIONS, "/api/ros").header(origin.0, origin.1);
    let preflight = same_response(&ros, &preflight.header("access-control-request-method", "PATCH")).await;
    assert_eq!((preflight.status(), preflight.body.len()), (200, 0));
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("PATCH"));

    for (call, status) in [
        (Call::get("/api/ros/by-number/RO2"), 404),
        (Call::get("/prod/api/ros"), 404),
        (Call::get("/api/ros?limit=many"), 400),
        (Call::get("/api/ros?limit=1&limit=2"), 400),
        (Call::new(Method::PUT, "/api/ros"), 405),
        (Call::new(Method::POST, "/api/ros").text("{}"), 415),
        (Call::post("/api/ros", &new_order(json!({ "roNumber": "RO1" }))), 409),
        (Call::post("/api/ros", &json!({})), 400),
    ] {
        let response = same_response(&ros, &call).await.expect(status);
        assert!(response["error"].is_string() && response["message"].is_string(), "{response}");
    }
    let deleted = ros.lambda.call(Gateway::RestApi, &Call::new(Method::DELETE, "/api/ros/by-number/RO1")).await;
    deleted.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inventory_works_through_every_gateway() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A&B+1 100%", 40).await;
    let inventory = Function::start("inventory", &app.database, &[]).await;
    let found = same_response(&inventory, &Call::get("/api/inventory/search?partNumber=a%26b%2B1%20100%25")).await;
    assert_eq!(found.expect(200)["results"][0]["partNumber"], part.number);
    let rows = same_response(&inventory, &Call::get("/api/inventory/stock-room?search=%2B1&location=A-12")).await;
    assert_eq!(rows.expect(200)["count"], 1);
    let table = same_response(&inventory, &Call::get("/api/inventory/table/stock_room")).await;
    assert_eq!(table.expect(200)["count"], 1);
    same_response(&inventory, &Call::get("/api/inventory/search")).await.expect(400);
    for (gateway, previous) in Gateway::ALL.into_iter().zip([40, 39, 38]) {
        let body = part.change(&json!({}));
        let response = inventory.lambda.call(gateway, &Call::post("/api/inventory/decrement", &body)).await;
        assert_eq!(response.expect(200)["previousQty"], previous);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_assistant_works_through_every_gateway() {
    let database = TestDatabase::migrated().await;
    let (anthropic, dynamodb) = (FakeAnthropic::start([]).await, dynamodb::emulator().await);
    let ai = Function::start("ai", &database, &assistant_variables(&anthropic.url, &dynamodb.endpoint)).await;
    let health = same_response(&ai, &Call::get("/api/ai/health")).await;
    assert_eq!(health.expect(200)["apiKeyConfigured"], true);
    for gateway in Gateway::ALL {
        let nothing = Call::post("/api/ai/chat", &json!({ "messages": [] }));
        assert_eq!(ai.lambda.call(gateway, &nothing).await.expect(400)["error"], "Validation error");
        let user = format!("{gateway:?} 部品@example.com");
        let body = chat(&json!({ "userId": user, "conversationId": "c/1 2", "stream": true }));
        let response = ai.lambda.call(gateway, &Call::post("/api/ai/chat", &body)).await;
        assert_eq!((response.status(), response.header("content-type")), (200, Some("text/event-stream")));
        assert!(response.body.ends_with(b"data: [DONE]\n\n"));
    }

    let logs = Function::start("ai-logs", &database, &[]).await;
    let page = same_response(&logs, &Call::get("/api/ai-logs?user=RestApi%20%E9%83%A8%E5%93%81%40example.com")).await;
    assert_eq!(page.expect(200)["total"], 1);
    for gateway in [Gateway::RestApi, Gateway::FunctionUrl] {
        let conversation = logs.lambda.call(gateway, &Call::get("/api/ai-logs/conversation/c%2F1%202")).await;
        assert_eq!(conversation.expect(200)["logs"].as_array().unwrap().len(), 3);
    }
    same_response(&logs, &Call::get("/api/ai-logs/conversation/nothing")).await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_any_characters_work_in_paths() {
    let app = App::start().await;
    let ros = Function::start("ros", &app.database, &[]).await;
    for (number, through_http_api) in [
        ("RO 1", true),
        ("RO+1", true),
        ("部品 É 1", true),
        ("100% [a]{b}|^~`\"<>", true),
        ("a&b=c;d:e@f,g$h!i'j(k)l*", true),
        ("RO#1", true),
        ("RO?1", true),
        ("RO\\1", true),
        // An HTTP API decodes the path, and the original encoding cannot be restored.
        ("RO/1", false),
        ("RO%2F2", false),
    ] {
        app.create(number).await;
        let path = format!("/api/ros/by-number/{}", utf8_percent_encode(number, NON_ALPHANUMERIC));
        for gateway in Gateway::ALL.into_iter().filter(|gateway| through_http_api || *gateway != Gateway::HttpApi) {
            let response = ros.lambda.call(gateway, &Call::get(&path)).await;
            assert_eq!(response.expect(200)["roNumber"], number, "{gateway:?}");
        }
    }
    // Characters that need no encoding may arrive unencoded.
    for (path, number) in [("a&b=c;d:e@f,g$h!i'j(k)l*", "a&b=c;d:e@f,g$h!i'j(k)l*"), ("RO+1", "RO+1")] {
        for gateway in Gateway::ALL {
            let response = ros.lambda.call(gateway, &Call::get(&format!("/api/ros/by-number/{path}"))).await;
            assert_eq!(response.expect(200)["roNumber"], number, "{gateway:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_base_path_of_a_custom_domain_is_stripped() {
    let app = App::start().await;
    app.create("RO1").await;
    app.create("RO#1").await;
    let ros = Function::start("ros", &app.database, &[("BASE_PATH", "/ro".to_owned())]).await;
    let mut event: Value = serde_json::from_str(include_str!("../../events/rest-api-v1-base-path.json")).unwrap();
    let Outcome::Response(response) = ros.lambda.invoke(&event).await else { panic!("an error") };
    assert_eq!(response.read().await.expect(200)["roNumber"], "RO1");
    // The gateway's own domain has no base path.
    event["path"] = json!("/api/ros/by-number/RO1");
    let Outcome::Response(response) = ros.lambda.invoke(&event).await else { panic!("an error") };
    assert_eq!(response.read().await.expect(200)["roNumber"], "RO1");
    for gateway in Gateway::ALL {
        let response = ros.lambda.call(gateway, &Call::get("/ro/api/ros/by-number/RO%231?x=%2F")).await;
        assert_eq!(response.expect(200)["roNumber"], "RO#1", "{gateway:?}");
        ros.lambda.call(gateway, &Call::get("/ros/api/ros")).await.expect(404);
    }
    let routes: Vec<Value> = ros.requests().into_iter().map(|line| line["http.route"].clone()).collect();
    assert_eq!(routes[0], "/api/ros/by-number/{ro_number}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decoded_paths_never_match_another_number() {
    let app = App::start().await;
    app.create("RO").await;
    let ros = Function::start("ros", &app.database, &[]).await;
    for path in ["/api/ros/by-number/RO%231", "/api/ros/by-number/RO%23?limit=1", "/api/ros/by-number/RO%3F1"] {
        let response = ros.lambda.call(Gateway::HttpApi, &Call::new(Method::DELETE, path)).await;
        response.expect(404);
    }
    assert_eq!(app.rows().await.len(), 1);
    let page = ros.lambda.call(Gateway::HttpApi, &Call::get("/api/%23?limit=1&a=%26%20b")).await;
    assert_eq!(page.expect(404)["message"], "There is nothing at this path.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_may_be_text_base64_empty_or_missing() {
    let app = App::start().await;
    let ros = Function::start("ros", &app.database, &[]).await;
    let create = |number: &str| Call::post("/api/ros", &new_order(json!({ "roNumber": number })));
    for gateway in Gateway::ALL {
        // {"roNumber":"部品 1","shopName":"é","partDescription":"b","currentStatus":"c"}
        let base64 = "eyJyb051bWJlciI6IumDqOWTgSAxIiwic2hvcE5hbWUiOiLDqSIsInBhcnREZXNjcmlwdGlvbiI6ImIiLCJjdXJyZW50U3RhdHVzIjoiYyJ9";
        let created = ros.lambda.call(gateway, &create("").base64(base64)).await.expect(201);
        assert_eq!((&created["roNumber"], &created["shopName"]), (&json!("部品 1"), &json!("é")));
        let delete = Call::new(Method::DELETE, &format!("/api/ros/{}", created["id"].as_str().unwrap()));
        // An unexpected body is ignored.
        ros.lambda.call(gateway, &delete.text("")).await.expect(200);
        let plain = ros.lambda.call(gateway, &create(&format!("{gateway:?}"))).await;
        plain.expect(201);
        let missing = Call::new(Method::POST, "/api/ros").header("content-type", "application/json");
        for nothing in [missing.clone(), missing.clone().text(""), missing.base64("")] {
            let message = ros.lambda.call(gateway, &nothing).await.expect(400)["message"].to_string();
            assert!(message.contains("not valid JSON"), "{message}");
        }
    }
    assert_eq!(app.rows().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_event_is_an_error() {
    let app = App::start().await;
    let ros = Function::start("ros", &app.database, &[]).await;
    let mut bad_body = Gateway::RestApi.event(&Call::new(Method::POST, "/api/ros").base64("%%%"));
    let mut no_method = bad_body.clone();
    no_method["httpMethod"] = Value::Null;
    bad_body["body"] = json!("no base64 at all");
    for event in [json!({ "Records": [] }), json!("text"), no_method, bad_body] {
        // The second event shows that the instance survived the first.
        for _ in 0..2 {
            let Outcome::Error(error) = ros.lambda.invoke(&event).await else { panic!("{event} was answered") };
            assert!(error["errorMessage"].is_string(), "{error}");
        }
        let response = ros.lambda.call(Gateway::RestApi, &Call::get("/api/ros")).await;
        assert_eq!(response.expect(200), json!([]));
    }
}
