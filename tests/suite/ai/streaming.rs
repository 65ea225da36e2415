//! `POST /api/ai/chat` with `"stream": true`

use ai::anthropic::Timeouts;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rotracker_tests::{
    anthropic::{FakeAnthropic, Part, Script, events, sse},
    assistant::{Assistant, Options, chat, short},
};
use serde_json::{Value, json};

fn streamed() -> Value {
    chat(&json!({ "stream": true }))
}

#[tokio::test]
async fn events_are_passed_on_byte_for_byte_then_done() {
    let mut all = events(&["Here", " are \u{2708} 部品"]);
    all.insert(3, json!({ "type": "something_new", "deep": [{ "x": 1.50 }] }));
    let assistant = Assistant::start(FakeAnthropic::start([Script::stream(&all)]).await).await;
    let data = assistant.stream(&streamed()).await.data().await;
    let mut expected: Vec<String> = all.iter().map(Value::to_string).collect();
    expected.push("[DONE]".to_owned());
    assert_eq!(data, expected);
    let sent: Value = serde_json::from_slice(&assistant.anthropic.requests()[0].body).unwrap();
    assert_eq!(sent["stream"], true);
}

#[tokio::test]
async fn events_are_passed_on_immediately() {
    let all = events(&["one", "two"]);
    let parts = all.iter().flat_map(|event| [Part::Bytes(sse(event).into_bytes()), Part::Wait]).collect();
    let assistant = Assistant::start(FakeAnthropic::start([Script::parts(parts)]).await).await;
    let mut stream = assistant.stream(&streamed()).await;
    for event in &all {
        assert_eq!(stream.next().await, Some(format!("data: {event}\n\n")));
        assistant.anthropic.resume();
    }
    assert_eq!(stream.next().await.as_deref(), Some("data: [DONE]\n\n"));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn events_split_at_any_byte_arrive_whole() {
    let all = events(&["部品 \u{1f6e9} caf\u{e9}", "\u{2708}\u{fe0f}", "plain", "\\n \" quoted"]);
    let whole: Vec<u8> = all.iter().map(sse).collect::<String>().into_bytes();
    let expected: Vec<String> = all.iter().map(Value::to_string).chain(["[DONE]".to_owned()]).collect();
    let mut random = StdRng::seed_from_u64(7);
    let assistant = Assistant::start(FakeAnthropic::start([]).await).await;
    // Cut the stream at every byte, and then at many places at once.
    let single = (1..whole.len()).map(|at| vec![at]);
    let many = (0..100).map(|_| {
        let mut cuts: Vec<usize> =
            (0..random.random_range(2..60)).map(|_| random.random_range(1..whole.len())).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    });
    let mut cases: Vec<Vec<usize>> = single.chain(many).collect();
    cases.push((1..whole.len()).collect());
    for (case, cuts) in cases.iter().enumerate() {
        let mut parts = Vec::new();
        let mut from = 0;
        for to in cuts.iter().copied().chain([whole.len()]) {
            parts.push(Part::Bytes(whole[from..to].to_vec()));
            from = to;
        }
        assistant.anthropic.respond_with(Script::parts(parts));
        // A new user for each request keeps the rate limit out of the way.
        let body = chat(&json!({ "stream": true, "userId": format!("user-{case}") }));
        assert_eq!(assistant.stream(&body).await.data().await, expected, "cut at {cuts:?}");
    }
}

#[tokio::test]
async fn a_lost_connection_is_an_error_event_before_done() {
    let all = events(&["one", "two"]);
    let begun: Vec<Part> = all[..4].iter().map(|event| Part::Bytes(sse(event).into_bytes())).collect();
    let cases = [
        ("a broken connection", Part::Break, "api_error"),
        ("silence", Part::Silence, "timeout_error"),
        ("an end before the end", Part::Bytes(Vec::new()), "api_error"),
        ("what is no text", Part::Bytes(b"data: \xff\xfe\n\n".to_vec()), "api_error"),
    ];
    for (case, end, kind) in cases {
        let script = Script::parts(begun.iter().cloned().chain([end]).collect());
        let between_events = if case == "silence" { short() } else { Timeouts::default() }.between_events;
        let timeouts = Timeouts { between_events, ..Timeouts::default() };
        let assistant =
            Assistant::with(FakeAnthropic::start([script]).await, Options { timeouts, ..Options::default() }).await;
        let data = assistant.stream(&streamed()).await.data().await;
        assert_eq!(data.len(), 6, "{case}: {data:?}");
        let error: Value = serde_json::from_str(&data[4]).unwrap();
        assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!(kind)), "{case}");
        assert!(error["error"]["message"].is_string());
        assert_eq!(data[5], "[DONE]");
        assert_eq!(assistant.anthropic.requests().len(), 1, "{case}: nothing is tried again after the first byte");
    }
}

#[tokio::test]
async fn upstream_error_events_are_passed_on() {
    let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let all = [events(&["one"])[0].clone(), error.clone()];
    let assistant = Assistant::start(FakeAnthropic::start([Script::stream(&all)]).await).await;
    let data = assistant.stream(&streamed()).await.data().await;
    assert_eq!(data[1..], [error.to_string(), "[DONE]".to_owned()], "once, and no other");
}

#[tokio::test]
async fn a_connection_lost_after_the_last_event_changes_nothing() {
    let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let complete = events(&["one"]);
    let failed = vec![complete[0].clone(), error];
    for (all, error) in [(complete, None), (failed, Some("Overloaded"))] {
        let sent = all.iter().map(|event| Part::Bytes(sse(event).into_bytes()));
        let script = Script::parts(sent.chain([Part::Break]).collect());
        let assistant = Assistant::start(FakeAnthropic::start([script]).await).await;
        let body = chat(&json!({ "stream": true, "conversationId": "c-1" }));
        let data = assistant.stream(&body).await.data().await;
        let expected: Vec<String> = all.iter().map(Value::to_string).chain(["[DONE]".to_owned()]).collect();
        assert_eq!(data, expected);
        let logged = assistant.log().await.pop().unwrap();
        assert_eq!((logged.success, logged.error.as_deref()), (error.is_none(), error));
    }
}

#[tokio::test]
async fn a_client_disconnect_cancels_the_request() {
    let first = sse(&events(&["one"])[0]).into_bytes();
    let assistant =
        Assistant::start(FakeAnthropic::start([Script::parts(vec![Part::Bytes(first), Part::Silence])]).await).await;
    let mut stream = assistant.stream(&chat(&json!({ "stream": true, "conversationId": "c-1" }))).await;
    assert!(stream.next().await.is_some());
    assert_eq!(assistant.log().await, []);
    drop(stream);
    // The entry is written in the background, after the client disconnected.
    let logged = loop {
        if let Some(logged) = assistant.log().await.pop() {
            break logged;
        }
        tokio::task::yield_now().await;
    };
    assert!(!logged.success);
    assert_eq!(logged.error.as_deref(), Some("The client left before the end of the answer."));
}
