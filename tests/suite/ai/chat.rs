//! `POST /api/ai/chat` without streaming; see `streaming` for the rest.

use axum::body::Body;
use chrono::TimeDelta;
use http::{Method, Request, header};
use rotracker_tests::{
    anthropic::{FakeAnthropic, Script, message},
    app::{bearer, clock},
    assistant::{Assistant, CANARY_KEY, Options, chat},
    issuer::Issuer,
};
use serde_json::{Value, json};

#[tokio::test]
async fn the_response_is_anthropics_and_is_logged() {
    let assistant = Assistant::start(FakeAnthropic::start([Script::message("Here they are")]).await).await;
    let response = assistant.ask(&chat(&json!({ "systemPrompt": "Be brief.", "maxTokens": 100 }))).await.expect(200);
    assert_eq!((&response["success"], &response["response"]), (&json!(true), &message("Here they are")));
    assert_eq!(response["metadata"]["model"], "claude-sonnet-4-20250514");
    assert_eq!(response["metadata"]["cached"], true);
    assert!(response["metadata"]["durationMs"].is_u64());

    let requests = assistant.anthropic.requests();
    assert_eq!(requests.len(), 1);
    let sent: Value = serde_json::from_slice(&requests[0].body).unwrap();
    let expected = json!({
        "model": "claude-sonnet-4-20250514", "max_tokens": 100, "system": "Be brief.", "temperature": 0.2, "stream": false,
        "messages": [{ "role": "user", "content": "Show me overdue ROs" }],
    });
    assert_eq!(sent, expected);
    let headers = &requests[0].headers;
    assert_eq!(headers["x-api-key"], CANARY_KEY);
    assert_eq!(headers["anthropic-version"], "2023-06-01");
    assert_eq!(headers["content-type"], "application/json");
}

#[tokio::test]
async fn a_response_without_cached_tokens_is_not_marked_cached() {
    let mut plain = message("x");
    plain["usage"] = json!({ "input_tokens": 1, "output_tokens": 1 });
    let assistant = Assistant::start(FakeAnthropic::start([Script::new(200, plain.to_string())]).await).await;
    assert_eq!(assistant.ask(&chat(&json!({}))).await.expect(200)["metadata"]["cached"], false);
}

#[tokio::test]
async fn the_fourth_request_in_a_minute_is_429_with_retry_after() {
    let assistant = Assistant::with(FakeAnthropic::start([]).await, Options { limit: 3, ..Options::default() }).await;
    let clock = assistant.app.clock.clone();
    for remaining in [2, 1, 0] {
        let response = assistant.ask(&chat(&json!({}))).await;
        assert_eq!((response.header("x-ratelimit-limit"), response.status.as_u16()), (Some("3"), 200));
        assert_eq!(response.header("x-ratelimit-remaining"), Some(remaining.to_string().as_str()));
        assert!(response.header("x-ratelimit-reset").is_some() && response.header("retry-after").is_none());
        clock.set(clock.now() + TimeDelta::seconds(5));
    }
    let refused = assistant.ask(&chat(&json!({}))).await;
    assert_eq!((refused.header("retry-after"), refused.header("x-ratelimit-remaining")), (Some("45"), Some("0")));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"default\";q=3;w=60"));
    assert_eq!(refused.header("ratelimit"), Some("\"default\";r=0;t=45"));
    let body = refused.expect(429);
    assert_eq!((&body["error"], &body["retryAfter"]), (&json!("Rate limit exceeded"), &json!(45)));
    assert!(body["message"].is_string());
    assert_eq!(assistant.anthropic.requests().len(), 3);
    clock.set(clock.now() + TimeDelta::seconds(44));
    assert_eq!(assistant.ask(&chat(&json!({}))).await.expect(429)["retryAfter"], 1);
    clock.set(clock.now() + TimeDelta::seconds(1));
    assistant.ask(&chat(&json!({}))).await.expect(200);
}

#[tokio::test]
async fn the_user_comes_from_body_header_or_is_anonymous() {
    let assistant = Assistant::with(FakeAnthropic::start([]).await, Options { limit: 1, ..Options::default() }).await;
    let ask = async |header: Option<&str>, body: Value| {
        let mut request = Request::builder().method(Method::POST).uri("/api/ai/chat");
        if let Some(user) = header {
            request = request.header("x-user-id", user);
        }
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()));
        assistant.app.send(request.unwrap()).await.status.as_u16()
    };
    assert_eq!(ask(Some("h"), chat(&json!({ "userId": "b" }))).await, 200);
    assert_eq!(ask(None, chat(&json!({ "userId": " b " }))).await, 429, "the body's is the user");
    assert_eq!(ask(Some("h"), chat(&json!({}))).await, 200, "the header's was not");
    assert_eq!(ask(Some("h"), chat(&json!({ "userId": null }))).await, 429);
    assert_eq!(ask(None, chat(&json!({}))).await, 200);
    assert_eq!(ask(Some(" "), chat(&json!({}))).await, 429);
    assert_eq!(ask(Some("jos\u{e9}"), chat(&json!({}))).await, 200, "a header may be UTF-8");
    assert_eq!(ask(None, chat(&json!({ "userId": "anonymous" }))).await, 429);
}

#[tokio::test]
async fn a_user_counts_as_one_in_all_spellings() {
    let assistant = Assistant::with(FakeAnthropic::start([]).await, Options { limit: 1, ..Options::default() }).await;
    let ask = async |user: &str| {
        let chat = chat(&json!({ "userId": user, "conversationId": "c" }));
        assistant.ask(&chat).await.status.as_u16()
    };
    assert_eq!((ask("tech@example.com").await, ask(" Tech@example.com").await), (200, 429));
    let header = Request::post("/api/ai/chat").header("x-user-id", "TECH@EXAMPLE.com");
    let header = header.header(header::CONTENT_TYPE, "application/json").body(Body::from(chat(&json!({})).to_string()));
    assert_eq!(assistant.app.send(header.unwrap()).await.status, 429);
    assert_eq!((ask("JOS\u{c9}").await, ask("jose\u{301}").await, ask("jose").await), (200, 429, 200));
    let clear = json!({ "userId": "TECH@example.com" });
    assistant.app.post("/api/ai/clear-rate-limit", &clear).await.expect(200);
    assert_eq!(ask("Tech@Example.com").await, 200);
    let users: Vec<String> = assistant.log().await.into_iter().map(|entry| entry.user).collect();
    assert_eq!(users, ["tech@example.com", "jos\u{e9}", "jose", "tech@example.com"]);
    let long = assistant.ask(&chat(&json!({ "userId": "\u{130}".repeat(128) }))).await.expect(400);
    assert_eq!(long["details"]["fields"]["userId"], "must be at most 255 characters long");
}

#[tokio::test]
async fn browsers_may_read_the_rate_limit_headers() {
    let assistant = Assistant::start(FakeAnthropic::start([]).await).await;
    let preflight = Request::options("/api/ai/chat")
        .header("origin", "https://repairs.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,x-user-id")
        .body(Body::empty())
        .unwrap();
    let response = assistant.app.send(preflight).await;
    assert!(response.header("access-control-allow-headers").unwrap().contains("x-user-id"));
    let chat = Request::post("/api/ai/chat")
        .header("origin", "https://repairs.example")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(chat(&json!({})).to_string()))
        .unwrap();
    let response = assistant.app.send(chat).await;
    let exposed = response.header("access-control-expose-headers").unwrap();
    for name in response.headers.keys().map(http::HeaderName::as_str).filter(|name| name.contains("ratelimit")) {
        assert!(exposed.split(',').any(|exposed| exposed == name), "{name} is not in {exposed}");
    }
}

#[tokio::test]
async fn checks_run_in_order_key_rate_limit_body() {
    let wrong = json!({ "messages": [], "temperature": 7 });
    let options = Options { has_key: false, ..Options::default() };
    let without_key = Assistant::with(FakeAnthropic::start([]).await, options).await;
    let message = without_key.ask(&wrong).await.expect_error(503);
    assert!(message.contains("API key"), "{message}");

    let assistant = Assistant::with(FakeAnthropic::start([]).await, Options { limit: 1, ..Options::default() }).await;
    let first = assistant.ask(&wrong).await;
    assert_eq!(first.header("x-ratelimit-remaining"), Some("0"));
    let fields = first.expect(400)["details"]["fields"].clone();
    assert!(fields["messages"].is_string() && fields["temperature"].is_string(), "{fields}");
    assistant.ask(&wrong).await.expect_error(429);
    assert!(assistant.anthropic.requests().is_empty());
}

#[tokio::test]
async fn invalid_json_counts_for_token_users_only() {
    let issuer = Issuer::start().await;
    let options = Options { limit: 1, http: issuer.config(clock()), ..Options::default() };
    let assistant = Assistant::with(FakeAnthropic::start([]).await, options).await;
    let ann = issuer.token("ann");
    let ask = |body: &'static str| {
        let chat = Request::post("/api/ai/chat").header(header::CONTENT_TYPE, "application/json");
        assistant.app.send(chat.header(header::AUTHORIZATION, bearer(&ann)).body(Body::from(body)).unwrap())
    };
    assert_eq!(ask("{").await.status, 400);
    assert_eq!(ask("{").await.status, 429);

    let assistant = Assistant::with(FakeAnthropic::start([]).await, Options { limit: 1, ..Options::default() }).await;
    for (body, status) in [("{", 400), ("[]", 400), ("", 400)] {
        let response = assistant.app.send_text(Method::POST, "/api/ai/chat", body).await;
        response.expect_error(status);
    }
    let plain = Request::post("/api/ai/chat").body(Body::from("{}")).unwrap();
    assistant.app.send(plain).await.expect_error(415);
    assistant.app.get("/api/ai/chat").await.expect_error(405);
    assistant.ask(&chat(&json!({}))).await.expect(200);
}

#[tokio::test]
async fn a_response_that_is_not_json_is_502() {
    let assistant = Assistant::start(FakeAnthropic::start([Script::new(200, "<html>")]).await).await;
    assistant.ask(&chat(&json!({}))).await.expect_error(502);
}
