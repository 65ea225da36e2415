//! Conversations that the assistant logs itself.

use rotracker_tests::{
    anthropic::{FakeAnthropic, Part, Script, events, message, sse},
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
        stop_reason: Some("end_turn".to_owned()),
        tools: Some(String::new()),
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

/// A message with these blocks and this stop reason, and the events of the same message.
fn answer(content: &Value, stop_reason: &str) -> [Script; 2] {
    let mut whole = message("");
    whole["content"] = content.clone();
    whole["stop_reason"] = json!(stop_reason);
    let mut all = vec![json!({ "type": "message_start", "message": { "usage": whole["usage"] } })];
    for (index, block) in content.as_array().unwrap().iter().enumerate() {
        let mut begun = block.clone();
        let mut deltas = Vec::new();
        if let Some(input) = block.get("input") {
            begun["input"] = json!({});
            let input = input.to_string();
            let (one, two) = input.split_at(input.len() / 2);
            deltas = [one, two].map(|part| json!({ "type": "input_json_delta", "partial_json": part })).to_vec();
        } else if let Some(text) = block.get("text") {
            begun["text"] = json!("");
            deltas.push(json!({ "type": "text_delta", "text": text }));
        }
        all.push(json!({ "type": "content_block_start", "index": index, "content_block": begun }));
        all.extend(deltas.iter().map(|delta| json!({ "type": "content_block_delta", "index": index, "delta": delta })));
        all.push(json!({ "type": "content_block_stop", "index": index }));
    }
    all.push(json!({ "type": "message_delta", "delta": { "stop_reason": stop_reason }, "usage": whole["usage"] }));
    all.push(json!({ "type": "message_stop" }));
    [Script::new(200, whole.to_string()).header("content-type", "application/json"), Script::stream(&all)]
}

#[tokio::test]
async fn tools_refusals_and_thoughts_leave_a_line_in_the_log() {
    let call = json!({ "type": "tool_use", "id": "t", "name": "find_orders", "input": { "status": "overdue" } });
    let search = json!({ "type": "server_tool_use", "id": "s", "name": "web_search", "input": { "query": "MS20470" } });
    let remote = json!({ "type": "mcp_tool_use", "id": "m", "name": "list", "server_name": "erp", "input": {} });
    let thought = json!({ "type": "thinking", "thinking": "a secret", "signature": "x" });
    let text = json!({ "type": "text", "text": "Let me look." });
    for (content, stop_reason, logged) in [
        (json!([call]), "tool_use", "[tool_use find_orders {\"status\":\"overdue\"}]"),
        (
            json!([thought, text, search, { "type": "web_search_tool_result", "content": [] }, text, remote]),
            "pause_turn",
            "[thinking]\nLet me look.\n[server_tool_use web_search {\"query\":\"MS20470\"}]\n[web_search_tool_result]\nLet me look.\n[mcp_tool_use list {}]",
        ),
        (json!([]), "refusal", "[refusal]"),
        (json!([text]), "refusal", "Let me look.\n[refusal]"),
        (json!([]), "end_turn", ""),
    ] {
        for (stream, script) in [false, true].into_iter().zip(answer(&content, stop_reason)) {
            let assistant = Assistant::start(FakeAnthropic::start([script]).await).await;
            let mut body = conversation(stream);
            body["tools"] = json!([{ "name": "find_orders", "input_schema": {} }, { "type": "web_search_20250305", "name": "web_search" }, { "type": "mcp_toolset" }]);
            assert_eq!(assistant.ask(&body).await.status, 200);
            let mut expected = expected(logged);
            expected.stop_reason = Some(stop_reason.to_owned());
            expected.tools = Some("find_orders\nweb_search\nmcp_toolset".to_owned());
            assert_eq!(only_entry(&assistant).await, expected, "stream: {stream}");
        }
    }
}

#[tokio::test]
async fn an_answer_with_unknown_usage_is_logged_with_its_text() {
    for usage in [json!(null), json!("many"), json!({ "input_tokens": "245", "output_tokens": 1e30 })] {
        let mut whole = message("Here they are");
        whole["usage"] = usage.clone();
        let mut all = events(&["Here they", " are"]);
        all[0]["message"]["usage"] = usage.clone();
        for event in &mut all {
            if event["type"] == "message_delta" {
                event["usage"] = usage.clone();
            }
        }
        for (stream, script) in [(false, Script::new(200, whole.to_string())), (true, Script::stream(&all))] {
            let assistant = Assistant::start(FakeAnthropic::start([script]).await).await;
            assert_eq!(assistant.ask(&conversation(stream)).await.status, 200);
            let unknown =
                Logged { input_tokens: None, output_tokens: None, cached_tokens: None, ..expected("Here they are") };
            assert_eq!(only_entry(&assistant).await, unknown, "{usage}, stream: {stream}");
        }
    }
}

#[tokio::test]
async fn an_error_in_a_successful_response_is_logged_as_a_failure() {
    let error = json!({ "type": "error", "error": { "type": "invalid_request_error", "message": "too vague" } });
    for (stream, script) in
        [(false, Script::new(200, error.to_string())), (true, Script::stream(std::slice::from_ref(&error)))]
    {
        let assistant = Assistant::start(FakeAnthropic::start([script]).await).await;
        assistant.ask(&conversation(stream)).await.expect(400);
        let entry = only_entry(&assistant).await;
        assert_eq!(
            (entry.success, entry.error.as_deref()),
            (false, Some("The assistant refused the request: too vague"))
        );
    }
}
