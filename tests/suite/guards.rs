//! Security headers and limits on every path.

use app_core::{http::with_layers, lambda::Delivery};
use axum::{Router, body::Body, routing::get};
use chrono::TimeDelta;
use http::{Method, Request};
use rotracker_tests::{
    App, TestResponse,
    anthropic::FakeAnthropic,
    app::{bearer, http_config, new_order},
    assistant::{Assistant, Options, chat},
    issuer::Issuer,
};
use serde_json::{Value, json};
use tower::ServiceExt;

#[track_caller]
fn assert_guarded(response: &TestResponse, case: &str) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("x-frame-options", "DENY"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(response.header(name), Some(value), "{case}");
    }
    let caching = if response.header("etag").is_some() { "private, no-cache" } else { "no-store" };
    assert_eq!(response.header("cache-control"), Some(caching), "{case}");
    // The header is only valid over HTTPS, which these tests do not use.
    assert_eq!(response.header("strict-transport-security"), None);
    assert_eq!(response.header("server"), None);
    assert!(response.header("x-request-id").is_some(), "{case}");
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let issuer = Issuer::start().await;
    let app = App::start_for(&issuer).await;
    let ann = bearer(&issuer.token("ann"));
    let ann = ann.as_str();
    let order = "/api/ros/by-number/RO1";
    let authorized = [("authorization", ann)];
    let created =
        app.send_with(Method::POST, "/api/ros", &authorized, Some(&new_order(json!({ "roNumber": "RO1" })))).await;
    let tag = created.header("etag").unwrap().to_owned();
    let preflight = [("origin", "https://repairs.example"), ("access-control-request-method", "PATCH")];
    let long = "x".repeat(20_000);
    for (status, method, path, headers) in [
        (200, "GET", "/health", vec![]),
        (200, "GET", "/api/ros", vec![("authorization", ann)]),
        (200, "GET", order, vec![("authorization", ann)]),
        (200, "GET", order, vec![("authorization", ann), ("origin", "https://repairs.example")]),
        (200, "OPTIONS", order, preflight.to_vec()),
        (304, "GET", order, vec![("authorization", ann), ("if-none-match", &tag)]),
        (400, "GET", "/api/ros?limit=x", vec![("authorization", ann)]),
        (401, "GET", order, vec![]),
        (401, "GET", "/nothing", vec![]),
        (404, "GET", "/nothing", vec![("authorization", ann)]),
        (404, "GET", "/api/ros/999", vec![("authorization", ann)]),
        (405, "POST", "/health", vec![]),
        (405, "PUT", order, vec![("authorization", ann)]),
        (412, "DELETE", order, vec![("authorization", ann), ("if-match", "\"other\"")]),
        (414, "GET", &format!("/{}", "x".repeat(9000)), vec![]),
        (431, "GET", order, vec![("x-long", &long)]),
    ] {
        let response = app.send_with(method.parse().unwrap(), path, &headers, None).await;
        assert_eq!(response.status, status, "{method} {path}");
        assert_guarded(&response, &format!("{method} {path}"));
    }
    let too_long = format!("{{\"notes\":\"{}\"}}", "x".repeat(6 * 1024 * 1024));
    let request = Request::post("/api/ros").header("authorization", ann).header("content-type", "application/json");
    let response = app.send(request.body(Body::from(too_long)).unwrap()).await;
    assert_eq!(response.status, 413);
    assert_guarded(&response, "a long body");
    issuer.set_down(true);
    app.clock.set(app.clock.now() + TimeDelta::days(2));
    let response = app.get_as(&issuer.token("ann"), order).await;
    assert_eq!(response.status, 503);
    assert_guarded(&response, "an issuer that is down");

    let app = App::inventory_for(&issuer).await;
    issuer.set_down(false);
    let adjust = "/api/inventory/adjust";
    let response = app.send_with(Method::POST, adjust, &authorized, Some(&json!({}))).await;
    assert_eq!(response.status, 403);
    assert_guarded(&response, adjust);

    let assistant = Assistant::with(FakeAnthropic::start([]).await, Options { limit: 2, ..Options::default() }).await;
    for (stream, status) in [(true, 200), (false, 200), (true, 429)] {
        let response = assistant.ask(&chat(&json!({ "stream": stream }))).await;
        assert_eq!(response.status, status);
        assert_guarded(&response, "a chat");
    }

    let panics = Router::new().route("/", get(async || -> &'static str { panic!("on purpose") }));
    let response = with_layers(panics, &http_config(), Delivery::Streaming);
    let response = response.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 500);
    assert_guarded(
        &TestResponse { status: response.status(), headers: response.headers().clone(), bytes: vec![] },
        "a panic",
    );
}

#[tokio::test]
async fn long_paths_and_headers_are_rejected() {
    let app = App::start().await;
    let path = format!("/api/ros?archiveStatus={}", "x".repeat(9_000));
    assert_eq!(app.get(&path).await.expect(414)["error"], "URI too long");
    assert_eq!(app.get(&format!("/api/ros?x={}", "x".repeat(8_000))).await.status, 200);
    let with = |count: usize, length: usize| {
        let mut request = Request::get("/api/ros");
        for index in 0..count {
            request = request.header(format!("x-{index}"), "x".repeat(length));
        }
        request.body(Body::empty()).unwrap()
    };
    for (count, length, status) in [(64, 1, 200), (65, 1, 431), (4, 4_000, 200), (4, 5_000, 431)] {
        assert_eq!(app.send(with(count, length)).await.status, status, "{count} headers of {length} bytes");
    }
    assert_eq!(app.send(with(65, 1)).await.expect(431)["error"], "Request header fields too large");
}

#[tokio::test]
async fn a_body_that_is_announced_as_too_large_is_not_read() {
    let app = App::start().await;
    let unread = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = Request::post("/api/ros").header("content-type", "application/json");
    let request = request.header("content-length", (6 * 1024 * 1024 + 1).to_string()).body(unread).unwrap();
    app.send(request).await.expect_error(413);
}

#[tokio::test]
async fn deeply_nested_json_is_400() {
    let app = App::start().await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let order = |extra: &str| {
        new_order(json!({ "extra": 0 })).to_string().replace("\"extra\":0", &format!("\"extra\":{extra}"))
    };
    for deep in [nested(64), nested(100_000), "[".repeat(1_000_000), "{\"a\":".repeat(1_000_000)] {
        let message = app.send_text(Method::POST, "/api/ros", order(&deep)).await.expect_error(400);
        assert_eq!(message, "The body must not be nested more than 64 levels deep.");
    }
    assert!(app.rows().await.is_empty());
    app.send_text(Method::POST, "/api/ros", order(&nested(63))).await.expect(201);

    let assistant = Assistant::start(FakeAnthropic::start([]).await).await;
    for field in ["messages", "tools", "unknown"] {
        let body = chat(&json!({ field: 0 }))
            .to_string()
            .replace(&format!("\"{field}\":0"), &format!("\"{field}\":{}", nested(100_000)));
        let response = assistant.app.send_text(Method::POST, "/api/ai/chat", body).await;
        assert_eq!(response.expect_error(400), "The body must not be nested more than 64 levels deep.", "{field}");
    }
    assert!(assistant.anthropic.requests().is_empty());
    let _: Value = assistant.ask(&chat(&json!({}))).await.expect(200);
}
