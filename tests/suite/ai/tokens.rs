//! The limit of a user's tokens of a day.

use chrono::{DateTime, Utc};
use chrono_tz::America::New_York;
use rotracker_tests::{
    anthropic::{FakeAnthropic, Part, Script, events, sse},
    assistant::{Assistant, Options, chat},
    database::execute,
    dynamodb::{DynamoDbProxy, Loss, emulator, used_tokens},
};
use serde_json::json;

/// The tokens of a response of the fake: input, output, read from the cache and written to it.
const TOKENS: u64 = 245 + 156 + 100 + 7;

fn options(tokens_per_day: u64) -> Options {
    Options { tokens_per_day, ..Options::default() }
}

async fn limited(tokens_per_day: u64) -> Assistant {
    Assistant::with(FakeAnthropic::start([]).await, options(tokens_per_day)).await
}

/// The tokens that `user` has used today.
async fn used(assistant: &Assistant, user: &str) -> u64 {
    used_tokens(&assistant.dynamodb.endpoint, user, &assistant.app.clock).await
}

fn set(assistant: &Assistant, instant: &str) {
    assistant.app.clock.set(instant.parse::<DateTime<Utc>>().unwrap());
}

#[tokio::test]
async fn a_user_without_tokens_is_429_until_midnight() {
    // A day of 24 hours, one of 23 and one of 25.
    for (asked_at, date, retry_after, last_second, midnight, next_day) in [
        (
            "2026-01-15T17:00:00Z",
            "2026-01-15",
            43_200,
            "2026-01-16T04:59:59Z",
            "2026-01-16T05:00:00Z",
            "2026-01-16T00:00:00-05:00",
        ),
        (
            "2026-03-08T05:00:00Z",
            "2026-03-08",
            82_800,
            "2026-03-09T03:59:59Z",
            "2026-03-09T04:00:00Z",
            "2026-03-09T00:00:00-04:00",
        ),
        (
            "2026-11-01T04:00:00Z",
            "2026-11-01",
            90_000,
            "2026-11-02T04:59:59Z",
            "2026-11-02T05:00:00Z",
            "2026-11-02T00:00:00-05:00",
        ),
    ] {
        let options = Options { zone: New_York, ..options(2 * TOKENS) };
        let assistant = Assistant::with(FakeAnthropic::start([]).await, options).await;
        set(&assistant, asked_at);
        for stream in [false, true] {
            assert_eq!(assistant.ask(&chat(&json!({ "stream": stream }))).await.status, 200, "{date}");
        }
        let refused = assistant.ask(&chat(&json!({}))).await;
        assert_eq!(refused.header("retry-after"), Some(retry_after.to_string().as_str()));
        // The other headers are those of the rate limit, which has admitted the request.
        assert_eq!(refused.header("x-ratelimit-remaining"), Some("47"));
        assert_eq!(refused.header("ratelimit"), Some("\"default\";r=47;t=60"));
        let message = format!(
            "Your tokens of {date} are used up. The next day begins at {next_day}. Try again in {retry_after} seconds."
        );
        let body = json!({ "error": "Token limit exceeded", "message": message, "retryAfter": retry_after });
        assert_eq!(refused.expect(429), body);
        assert_eq!(assistant.anthropic.requests().len(), 2);

        set(&assistant, last_second);
        let refused = assistant.ask(&chat(&json!({}))).await.expect(429);
        assert_eq!((&refused["error"], &refused["retryAfter"]), (&json!("Token limit exceeded"), &json!(1)));
        set(&assistant, midnight);
        assistant.ask(&chat(&json!({}))).await.expect(200);
        assert_eq!(used(&assistant, "anonymous").await, TOKENS);
    }
}

#[tokio::test]
async fn a_limit_is_reached_by_the_answer_that_exceeds_it() {
    let assistant = limited(TOKENS + 1).await;
    for (user, status) in [("a", 200), ("a", 200), ("a", 429), ("b", 200)] {
        assert_eq!(assistant.ask(&chat(&json!({ "userId": user }))).await.status, status, "{user}");
    }
    // Another instance reads the same sums.
    assert_eq!(assistant.limiter.admit("a").await.unwrap().retry_after(), Some(43_200));
    assert!(assistant.limiter.admit("b").await.unwrap().may_proceed());
    assert_eq!(used(&assistant, "a").await, 2 * TOKENS);
}

#[tokio::test]
async fn checks_run_in_order_rate_limit_tokens_body() {
    let options = Options { limit: 3, ..options(1) };
    let assistant = Assistant::with(FakeAnthropic::start([]).await, options).await;
    let invalid = json!({ "messages": [] });
    assistant.ask(&chat(&json!({}))).await.expect(200);
    // A request that is refused for tokens counts in the window.
    for remaining in ["1", "0"] {
        let refused = assistant.ask(&invalid).await;
        assert_eq!(refused.header("x-ratelimit-remaining"), Some(remaining));
        assert_eq!(refused.expect(429)["error"], "Token limit exceeded");
    }
    let refused = assistant.ask(&invalid).await.expect(429);
    assert_eq!((&refused["error"], &refused["retryAfter"]), (&json!("Rate limit exceeded"), &json!(60)));
}

#[tokio::test]
async fn clearing_the_rate_limit_leaves_the_tokens() {
    let assistant = limited(1).await;
    let body = chat(&json!({ "userId": "a" }));
    assistant.ask(&body).await.expect(200);
    assistant.app.post("/api/ai/clear-rate-limit", &json!({ "userId": "a" })).await.expect(200);
    let refused = assistant.ask(&body).await;
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("49"), "the window was empty");
    assert_eq!(refused.expect(429)["error"], "Token limit exceeded");
    assert_eq!(used(&assistant, "a").await, TOKENS);
}

#[tokio::test]
async fn partial_answers_count_as_far_as_anthropic_has_counted() {
    let all = events(&["one"]);
    let begun: Vec<Part> = all[..4].iter().map(|event| Part::Bytes(sse(event).into_bytes())).collect();
    let ended_by = |end: Part| Script::parts(begun.iter().cloned().chain([end]).collect());
    let error = sse(&json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } }));
    // `message_start` has one output token.
    let begun_tokens = TOKENS - 155;
    for (case, script, stream, tokens) in [
        ("a break", ended_by(Part::Break), true, begun_tokens),
        ("an error", ended_by(Part::Bytes(error.into_bytes())), true, begun_tokens),
        ("no answer", Script::error(400, "no"), false, 0),
        ("no usage", Script::new(200, "{}"), false, 0),
    ] {
        let assistant = Assistant::with(FakeAnthropic::start([script]).await, options(10_000)).await;
        assistant.ask(&chat(&json!({ "stream": stream }))).await;
        assert_eq!(used(&assistant, "anonymous").await, tokens, "{case}");
    }

    let assistant = Assistant::with(FakeAnthropic::start([ended_by(Part::Silence)]).await, options(10_000)).await;
    let mut stream = assistant.stream(&chat(&json!({ "stream": true }))).await;
    assert!(stream.next().await.is_some());
    drop(stream);
    // The tokens are added in the background, after the client disconnected.
    loop {
        match used(&assistant, "anonymous").await {
            0 => tokio::task::yield_now().await,
            tokens => break assert_eq!(tokens, begun_tokens),
        }
    }
}

#[tokio::test]
async fn tokens_are_added_before_the_answer_ends() {
    let all = events(&["one"]);
    let parts = all.iter().map(|event| Part::Bytes(sse(event).into_bytes())).collect();
    let assistant = Assistant::with(FakeAnthropic::start([Script::parts(parts)]).await, options(10_000)).await;
    let mut stream = assistant.stream(&chat(&json!({ "stream": true, "conversationId": "c" }))).await;
    while stream.next().await.is_some() {}
    assert_eq!((used(&assistant, "anonymous").await, assistant.log().await.len()), (TOKENS, 1));
}

#[tokio::test]
async fn tokens_do_not_wait_for_the_log() {
    let assistant = limited(10_000).await;
    let mut connection = assistant.app.database.connect().await;
    execute(&mut connection, "LOCK TABLES ai_conversation_logs WRITE").await;
    let body = chat(&json!({ "conversationId": "c" }));
    let used_meanwhile = async {
        let mut tokens = 0;
        for _ in 0..1_000 {
            tokens = used(&assistant, "anonymous").await;
            if tokens > 0 {
                break;
            }
        }
        execute(&mut connection, "UNLOCK TABLES").await;
        tokens
    };
    let (response, tokens) = tokio::join!(assistant.ask(&body), used_meanwhile);
    response.expect(200);
    assert_eq!((tokens, assistant.log().await.len()), (TOKENS, 1));
}

/// An assistant whose calls of DynamoDB the proxy counts and loses.
async fn behind_proxy(options: Options) -> (Assistant, DynamoDbProxy) {
    let dynamodb = emulator().await;
    let proxy = DynamoDbProxy::start(&dynamodb).await;
    (Assistant::on(&proxy.endpoint, FakeAnthropic::start([]).await, dynamodb, options).await, proxy)
}

fn sorted(mut operations: Vec<String>) -> Vec<String> {
    operations.sort();
    operations
}

#[tokio::test]
async fn the_limit_costs_one_call_before_the_chat_and_one_after_it() {
    let (assistant, proxy) = behind_proxy(Options::default()).await;
    for stream in [false, true] {
        assistant.ask(&chat(&json!({ "stream": stream }))).await;
        assert_eq!(proxy.operations(), ["UpdateItem"], "without a limit");
    }

    let (assistant, proxy) = behind_proxy(Options { limit: 3, ..options(TOKENS + 1) }).await;
    for (status, operations) in [
        (200, &["GetItem", "TransactWriteItems", "UpdateItem"][..]),
        (200, &["GetItem", "TransactWriteItems", "UpdateItem"]),
        // The sum of a user without tokens is not read again for a while, and neither is it for one who asks too often.
        (429, &["GetItem", "UpdateItem"]),
        (429, &["UpdateItem"]),
        (429, &[]),
    ] {
        assert_eq!(assistant.ask(&chat(&json!({}))).await.status, status);
        assert_eq!(sorted(proxy.operations()), operations);
    }
}

#[tokio::test]
async fn a_failing_read_is_503_or_goes_on_as_configured() {
    for (on_failure, status) in [(ai::limiter::OnFailure::Deny, 503), (ai::limiter::OnFailure::Allow, 200)] {
        let (assistant, proxy) = behind_proxy(Options { on_failure, ..options(1) }).await;
        assistant.ask(&chat(&json!({}))).await.expect(200);
        proxy.lose("GetItem", Loss::Closed, 3);
        let response = assistant.ask(&chat(&json!({}))).await;
        assert_eq!(response.header("x-ratelimit-remaining").is_some(), status == 200);
        let body = response.expect(status);
        if status == 503 {
            assert_eq!((&body["error"], &body["retryAfter"]), (&json!("Rate limiter unavailable"), &json!(1)));
        }
        assert_eq!(assistant.ask(&chat(&json!({}))).await.expect(429)["error"], "Token limit exceeded");
    }
}

#[tokio::test]
async fn a_failing_addition_does_not_affect_the_answer() {
    let (assistant, proxy) = behind_proxy(options(TOKENS)).await;
    proxy.lose("TransactWriteItems", Loss::CallLost, 3);
    assert_eq!(assistant.ask(&chat(&json!({}))).await.expect(200)["success"], true);
    proxy.lose("TransactWriteItems", Loss::CallLost, 3);
    let data = assistant.stream(&chat(&json!({ "stream": true }))).await.data().await;
    assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
    assert_eq!(used(&assistant, "anonymous").await, 0);
}
