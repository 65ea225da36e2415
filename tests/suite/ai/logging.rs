//! Conversations that the assistant logs itself.

use rotracker_tests::{
    anthropic::{FakeAnthropic, Part, Script, events, sse},
    assistant::{Assistant, Logged, Options, chat},
};
use serde_json::{Value, json};

fn conversation(stream: bool) -> Value {
    chat(&json!({ "stream": stream, "conversationId": "conv-1", "userId": "a@example.com", "contextRoCount": 100 }))
}

fn expected(response: &str) -> Logged {
    Logged {
        conversation_id: "conv-1".to_owned(),
        user: "a@example.com".to_owned(),
        user_message: "Show me overdue ROs".to_owned(),
        ai_response: response.to_owned(),
        success: true,
        error: None,
        model: Some("claude-sonnet-4-20250514".to_owned()),
        duration_ms: None,
        context_ro_count: Some(100),
        input_tokens: Some(245),
        output_tokens: Some(156),
        cached_tokens: Some(100),
    }
}

/// The only log entry, without its duration.
async fn only_entry(assistant: &Assistant) -> Logged {
    let mut log = assistant.log().await;
    assert_eq!(log.len(), 1, "{log:?}");
    let entry = log.remove(0);
    assert!(entry.duration_ms.is_some());
    Logged { duration_ms: None, ..entry }
}

#[tokio::test]
async fn a_conversation_is_logged_after_its_response() {
    for stream in [false, true] {
        let script =
            if stream { Script::stream(&events(&["Here they", " are"])) } else { Script::message("Here they are") };
        let assistant = Assistant::start(FakeAnthropic::start([script]).await).await;
        assert_eq!(assistant.ask(&conversation(stream)).await.status, 200);
        assert_eq!(only_entry(&assistant).await, expected("Here they are"), "stream: {stream}");
    }
}

#[tokio::test]
async fn requests_without_a_conversation_are_not_logged() {
    let assistant = Assistant::with(FakeAnthropic::start([]).await, Options { limit: 3, ..Options::default() }).await;
    assistant.ask(&chat(&json!({}))).await.expect(200);
    assistant.ask(&chat(&json!({ "stream": true }))).await;
    assistant.ask(&chat(&json!({ "conversationId": "c", "messages": [] }))).await.expect(400);
    assistant.ask(&chat(&json!({ "conversationId": "c" }))).await.expect(429);
    assert_eq!(assistant.log().await, []);
}

#[tokio::test]
async fn a_failure_is_logged_with_the_partial_response() {
    let begun: Vec<Part> =
        events(&["Here they"])[..4].iter().map(|event| Part::Bytes(sse(event).into_bytes())).collect();
    let broken = Script::parts(begun.into_iter().chain([Part::Break]).collect());
    for (script, stream, response, error, tokens) in [
        (Script::error(400, "too vague"), false, "", "The assistant refused the request: too vague", None),
        (Script::error(401, "x"), true, "", "The assistant is not configured correctly.", None),
        (broken, true, "Here they", "The assistant failed. Try again.", Some(245)),
    ] {
        let assistant = Assistant::start(FakeAnthropic::start([script]).await).await;
        assistant.ask(&conversation(stream)).await;
        let entry = only_entry(&assistant).await;
        assert!(!entry.success);
        assert_eq!((&*entry.ai_response, entry.error.as_deref()), (response, Some(error)));
        assert_eq!(entry.input_tokens, tokens);
    }
}

#[tokio::test]
async fn stream_errors_and_long_responses_are_logged() {
    let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let mut all = events(&["Here"]);
    all.insert(4, error);
    all.truncate(5);
    let long = "部".repeat(400_000);
    let assistant = Assistant::start(FakeAnthropic::start([Script::stream(&all), Script::message(&long)]).await).await;
    assistant.ask(&conversation(true)).await;
    assistant.ask(&conversation(false)).await.expect(200);
    let log = assistant.log().await;
    assert_eq!((log[0].success, log[0].error.as_deref()), (false, Some("Overloaded")));
    assert!(log[1].success && log[1].ai_response.len() <= 1024 * 1024);
    assert!(log[1].ai_response.ends_with("[cut]"));
}

#[tokio::test]
async fn a_failing_log_does_not_affect_the_response() {
    let assistant = Assistant::start(FakeAnthropic::start([]).await).await;
    sqlx::query("DROP TABLE ai_conversation_logs").execute(&mut *assistant.app.connection().await).await.unwrap();
    assistant.ask(&conversation(false)).await.expect(200);
    let data = assistant.stream(&conversation(true)).await.data().await;
    assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
}
