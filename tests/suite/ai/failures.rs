//! Failures of Anthropic and of the rate limit table: each gets a clear response with the right status, and never
//! reveals the API key.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ai::{
    anthropic::Timeouts,
    limiter::{LimiterConfig, OnFailure, RequestLimit},
};
use rotracker_tests::{
    anthropic::{FakeAnthropic, Part, Script},
    assistant::{Assistant, CANARY_KEY, LEAK, Options, app, chat, short},
    dynamodb::limiter_config,
};
use serde_json::json;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket, TcpStream},
};

#[tokio::test]
async fn each_failure_has_its_status_and_transient_ones_are_retried() {
    let error = |status| Script::error(status, LEAK);
    let again = |status| error(status).header("retry-after", "0");
    let far = |status| error(status).header("retry-after", "3600");
    let by_date = |status| {
        let dated = error(status).header("retry-after", "Fri, 15 Nov 2024 13:00:00 GMT");
        dated.header("date", "Fri, 15 Nov 2024 12:00:00 GMT")
    };
    // A response of 200 whose body is an error, and a stream whose first event is one.
    let body = |kind: &str| json!({ "type": "error", "error": { "type": kind, "message": LEAK } });
    let in_200 = |kind: &str| Script::new(200, body(kind).to_string()).header("content-type", "application/json");
    let event = |kind: &str| Script::stream(&[body(kind)]);
    let cases = [
        ("400", vec![error(400)], 400, 1, None),
        ("413", vec![error(413)], 413, 1, None),
        ("401", vec![error(401)], 503, 1, Some("300")),
        ("402", vec![error(402)], 503, 1, Some("300")),
        ("403", vec![error(403)], 503, 1, Some("300")),
        ("404", vec![error(404)], 503, 1, Some("300")),
        ("429 without an end", vec![error(429)], 503, 1, Some("60")),
        ("429 with an end, once", vec![again(429)], 200, 2, None),
        ("429 with an end, always", vec![again(429), again(429), again(429)], 503, 3, Some("0")),
        ("429 with a far end", vec![far(429)], 503, 1, Some("3600")),
        ("429 with a date", vec![by_date(429)], 503, 1, Some("3600")),
        ("500, twice", vec![error(500), error(500)], 200, 3, None),
        ("500, always", vec![error(500), error(502), error(503)], 502, 3, None),
        ("504, always", vec![error(504), error(504), error(504)], 504, 3, None),
        ("529, always", vec![error(529), error(529), error(529)], 503, 3, Some("5")),
        ("529, always, with an end", vec![error(529), error(529), again(529)], 503, 3, Some("0")),
        ("invalid request in a 200", vec![in_200("invalid_request_error")], 400, 1, None),
        ("too large in a 200", vec![in_200("request_too_large")], 413, 1, None),
        ("wrong key in a 200", vec![in_200("authentication_error")], 503, 1, Some("300")),
        ("rate limit in a 200", vec![in_200("rate_limit_error")], 503, 1, Some("60")),
        ("overload in a 200, twice", vec![in_200("overloaded_error"), in_200("overloaded_error")], 200, 3, None),
        ("overload in a 200, always", vec![in_200("overloaded_error"); 3], 503, 3, Some("5")),
        ("invalid request as an event", vec![event("invalid_request_error")], 400, 1, None),
        ("missing model as an event", vec![event("not_found_error")], 503, 1, Some("300")),
        ("overload as an event, twice", vec![event("overloaded_error"), event("overloaded_error")], 200, 3, None),
        ("overload as an event, always", vec![event("overloaded_error"); 3], 503, 3, Some("5")),
        (
            "a response that breaks off, once",
            vec![Script::parts(vec![Part::Bytes(b"{".to_vec()), Part::Break])],
            200,
            2,
            None,
        ),
        ("a stream without an event, once", vec![Script::parts(Vec::new())], 200, 2, None),
        ("a stream that breaks at once, always", vec![Script::parts(vec![Part::Break]); 3], 502, 3, None),
        ("a stream that is silent", vec![Script::parts(vec![Part::Silence])], 504, 1, None),
        ("no response, once", vec![Script::breaks_at_once()], 200, 2, None),
        ("no response, silence", vec![Script::silent()], 504, 1, None),
    ];
    // Only a silent upstream needs short timeouts.
    let [patient, hasty] = [Timeouts::default(), short()].map(|timeouts| Options { timeouts, ..Options::default() });
    let patient = Assistant::with(FakeAnthropic::start([]).await, patient).await;
    let hasty = Assistant::with(FakeAnthropic::start([]).await, hasty).await;
    for (case, scripts, status, tries, retry_after) in cases {
        let assistant = if case.contains("silen") { &hasty } else { &patient };
        // The scripts with events are no responses to a request without streaming.
        let is_stream = case.contains("event") || case.contains("stream");
        for stream in [false, true].into_iter().filter(|stream| *stream || !is_stream) {
            scripts.iter().for_each(|script| assistant.anthropic.respond_with(script.clone()));
            let earlier = assistant.anthropic.requests().len();
            // A user of its own, because of the rate limit.
            let response = assistant.ask(&chat(&json!({ "stream": stream, "userId": case }))).await;
            assert_eq!(response.status, status, "{case}: {response:?}");
            assert_eq!(response.header("retry-after"), retry_after, "{case}");
            assert_eq!(assistant.anthropic.requests().len() - earlier, tries, "{case}: tries");
            let shown = format!("{:?} {}", response.headers, String::from_utf8_lossy(&response.bytes));
            assert!(!shown.contains("canary"), "{case}: {shown}");
            if status != 200 {
                response.expect_error(status);
            }
        }
    }
}

#[tokio::test]
async fn a_whole_message_is_no_stream() {
    let assistant = Assistant::start(FakeAnthropic::start([Script::message("Hello.")]).await).await;
    assistant.ask(&chat(&json!({ "stream": true }))).await.expect_error(502);
}

#[tokio::test]
async fn without_a_key_clients_are_told_when_to_ask_again() {
    let options = Options { has_key: false, ..Options::default() };
    let assistant = Assistant::with(FakeAnthropic::start([]).await, options).await;
    let response = assistant.ask(&chat(&json!({}))).await;
    assert_eq!(response.header("retry-after"), Some("300"));
    assert_eq!(response.expect(503)["retryAfter"], 300);
}

#[tokio::test]
async fn a_refused_connection_is_502() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let dynamodb = rotracker_tests::dynamodb::emulator().await;
    let limiter = limiter_config(&dynamodb.endpoint, RequestLimit { limit: 3, window_seconds: 60 });
    let app = app(&closed, &limiter, &Options::default()).await;
    let message = app.post("/api/ai/chat", &chat(&json!({}))).await.expect_error(502);
    assert!(!message.contains("127.0.0.1"), "{message}");
}

/// A DynamoDB endpoint that accepts connections and never responds.
async fn silent_store() -> (TcpListener, LimiterConfig) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, limiter_config(&endpoint, RequestLimit { limit: 3, window_seconds: 60 }))
}

#[tokio::test]
async fn an_unavailable_store_is_503_and_anthropic_is_not_called() {
    let anthropic = FakeAnthropic::start([]).await;
    let (_listener, limiter) = silent_store().await;
    let app = app(&anthropic.url, &limiter, &Options::default()).await;
    let response = app.post("/api/ai/chat", &chat(&json!({}))).await;
    assert!(response.header("retry-after").is_some());
    assert_eq!(response.expect(503)["error"], "Rate limiter unavailable");
    let cleared = app.post("/api/ai/clear-rate-limit", &json!({ "userId": "a" })).await;
    assert_eq!(cleared.expect(503)["error"], "Rate limiter unavailable");
    assert!(anthropic.requests().is_empty());
}

#[tokio::test]
async fn an_unavailable_store_admits_if_configured_to() {
    let anthropic = FakeAnthropic::start([]).await;
    let (_listener, limiter) = silent_store().await;
    let app =
        app(&anthropic.url, &LimiterConfig { on_failure: OnFailure::Allow, ..limiter }, &Options::default()).await;
    let response = app.post("/api/ai/chat", &chat(&json!({}))).await;
    assert!(response.header("x-ratelimit-limit").is_none(), "nothing is known of it");
    response.expect(200);
    assert_eq!(anthropic.requests().len(), 1);
}

#[tokio::test]
async fn a_connection_that_takes_nothing_more_is_replaced_by_another() {
    let anthropic = FakeAnthropic::start([]).await;
    let upstream = anthropic.url.trim_start_matches("http://").to_owned();
    // The small buffer of the first connection is never read, so the kernel of the client gets no acknowledgement. It gives up after
    // five seconds, which no test can shorten.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let accepted = connections.clone();
    tokio::spawn(async move {
        let (_never_read, _) = listener.accept().await.unwrap();
        accepted.fetch_add(1, Ordering::SeqCst);
        while let Ok((mut client, _)) = listener.accept().await {
            accepted.fetch_add(1, Ordering::SeqCst);
            let mut server = TcpStream::connect(&upstream).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
    });
    let dynamodb = rotracker_tests::dynamodb::emulator().await;
    let limiter = limiter_config(&dynamodb.endpoint, RequestLimit { limit: 3, window_seconds: 60 });
    let app = app(&url, &limiter, &Options::default()).await;
    let long = json!({ "messages": [{ "role": "user", "content": "x".repeat(6_000_000) }] });
    app.post("/api/ai/chat", &long).await.expect(200);
    assert_eq!((connections.load(Ordering::SeqCst), anthropic.requests().len()), (2, 1));
}

#[test]
fn the_key_is_in_no_debug_output() {
    let mut env = [("ANTHROPIC_API_KEY".to_owned(), CANARY_KEY.to_owned())].into_iter().collect();
    let config = ai::anthropic::AnthropicConfig::read(&mut env);
    assert!(config.key.is_some());
    assert!(!format!("{config:?}").contains("canary"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = FakeAnthropic::start([]).await;
    for status in [301, 302, 307, 308] {
        let redirect = Script::error(status, LEAK).header("location", format!("{}/v1/messages", elsewhere.url));
        let assistant = Assistant::start(FakeAnthropic::start([redirect]).await).await;
        assistant.ask(&chat(&json!({}))).await.expect_error(502);
        assert_eq!((assistant.anthropic.requests().len(), elsewhere.received().len()), (1, 0), "{status}");
    }
}
