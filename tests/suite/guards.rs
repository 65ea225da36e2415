//! What guards every path.

use axum::body::Body;
use http::{Method, Request};
use rotracker_tests::{
    App,
    anthropic::StandIn,
    app::new_order,
    assistant::{Assistant, chat},
};
use serde_json::{Value, json};

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let app = App::start().await;
    app.create("RO1").await;
    for (status, path) in [
        (200, "/health"),
        (200, "/api/ros"),
        (200, "/api/ros/by-number/RO1"),
        (404, "/nothing"),
        (404, "/api/ros/999"),
        (400, "/api/ros?limit=x"),
        (414, &format!("/{}", "x".repeat(9000))),
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, status);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let caching = if answer.header("etag").is_some() { "private, no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), Some(caching), "{path}");
        // Only over HTTPS, which nothing here speaks.
        assert_eq!(answer.header("strict-transport-security"), None);
        assert_eq!(answer.header("server"), None);
    }
}

#[tokio::test]
async fn a_path_or_headers_that_are_too_long_are_refused() {
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
async fn json_that_is_nested_too_deeply_is_400_wherever_it_is() {
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

    let assistant = Assistant::start(StandIn::start([]).await).await;
    for field in ["messages", "tools", "unknown"] {
        let body = chat(&json!({ field: 0 }))
            .to_string()
            .replace(&format!("\"{field}\":0"), &format!("\"{field}\":{}", nested(100_000)));
        let answer = assistant.app.send_text(Method::POST, "/api/ai/chat", body).await;
        assert_eq!(answer.expect_error(400), "The body must not be nested more than 64 levels deep.", "{field}");
    }
    assert!(assistant.anthropic.questions().is_empty());
    let _: Value = assistant.ask(&chat(&json!({}))).await.expect(200);
}
