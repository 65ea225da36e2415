//! The tokens of the prompt cache, from Anthropic's answer to the figures of the log.

use rotracker_tests::{
    App,
    anthropic::{FakeAnthropic, Script, message},
    assistant::{Assistant, chat},
};
use serde_json::{Value, json};

/// An answer whose question was read from the cache and written to it, with numbers that cannot be confused.
fn answer(stream: bool) -> Script {
    let usage = json!({
        "input_tokens": 3, "output_tokens": 50, "cache_read_input_tokens": 700, "cache_creation_input_tokens": 9_000,
        "cache_creation": { "ephemeral_5m_input_tokens": 4_000, "ephemeral_1h_input_tokens": 5_000 },
    });
    let mut whole = message("Hi");
    whole["usage"] = usage;
    if !stream {
        return Script::new(200, whole.to_string());
    }
    whole["usage"]["output_tokens"] = json!(1);
    // The last event repeats what is known of the input, or not.
    let usage = json!({ "output_tokens": 50, "cache_read_input_tokens": null });
    Script::stream(&[
        json!({ "type": "message_start", "message": whole }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": usage }),
        json!({ "type": "message_stop" }),
    ])
}

#[tokio::test]
async fn cached_tokens_are_in_answer_log_and_usage() {
    for stream in [false, true] {
        let assistant = Assistant::start(FakeAnthropic::start([answer(stream)]).await).await;
        let body = chat(&json!({ "stream": stream, "conversationId": "c", "userId": "ann" }));
        if stream {
            let data = assistant.stream(&body).await.data().await;
            let start: Value = serde_json::from_str(&data[0]).unwrap();
            let usage = &start["message"]["usage"];
            assert_eq!(
                (&usage["cache_read_input_tokens"], &usage["cache_creation_input_tokens"]),
                (&json!(700), &json!(9_000))
            );
        } else {
            let metadata = assistant.ask(&body).await.expect(200)["metadata"].clone();
            assert_eq!(metadata["cached"], true);
            assert_eq!((&metadata["cachedTokens"], &metadata["cacheCreationTokens"]), (&json!(700), &json!(9_000)));
        }

        let log = App::ai_logs_on(assistant.app.database, assistant.app.pool);
        let tokens = json!({ "inputTokens": 3, "outputTokens": 50, "cachedTokens": 700, "cacheCreationTokens": 9_000 });
        let listed = log.get("/api/ai-logs").await.expect(200)["logs"][0].clone();
        let usage = log.get("/api/ai-logs/usage?user=ann").await.expect(200);
        for (name, value) in tokens.as_object().unwrap() {
            assert_eq!(
                (&listed[name], &usage["usage"][0][name], &usage["totals"][name]),
                (value, value, value),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_was_only_written_to_the_cache_is_not_cached() {
    let mut first = message("Hi");
    first["usage"] = json!({ "input_tokens": 3, "output_tokens": 50, "cache_creation_input_tokens": 9_000 });
    let assistant = Assistant::start(FakeAnthropic::start([Script::new(200, first.to_string())]).await).await;
    let metadata = assistant.ask(&chat(&json!({}))).await.expect(200)["metadata"].clone();
    assert_eq!((&metadata["cached"], &metadata["cachedTokens"]), (&json!(false), &Value::Null));
    assert_eq!(metadata["cacheCreationTokens"], 9_000);
}
