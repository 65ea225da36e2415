//! `POST /api/ai/clear-rate-limit`

use rotracker_tests::{
    anthropic::FakeAnthropic,
    assistant::{Assistant, Options, chat},
};
use serde_json::{Value, json};

const CLEAR: &str = "/api/ai/clear-rate-limit";

#[tokio::test]
async fn clearing_admits_the_user_and_affects_no_other() {
    let assistant = Assistant::with(FakeAnthropic::start([]).await, Options { limit: 1, ..Options::default() }).await;
    for user in ["a@example.com", "b@example.com"] {
        assistant.ask(&chat(&json!({ "userId": user }))).await.expect(200);
        assistant.ask(&chat(&json!({ "userId": user }))).await.expect(429);
    }
    let response = assistant.app.post(CLEAR, &json!({ "userId": " a@example.com " })).await.expect(200);
    assert_eq!(response, json!({ "success": true, "message": "Rate limit cleared for a@example.com" }));
    assistant.ask(&chat(&json!({ "userId": "a@example.com" }))).await.expect(200);
    assistant.ask(&chat(&json!({ "userId": "b@example.com" }))).await.expect(429);
    // Clearing the limit of an unknown user succeeds.
    assistant.app.post(CLEAR, &json!({ "userId": "nobody" })).await.expect(200);
}

#[tokio::test]
async fn the_user_is_required() {
    let assistant = Assistant::start(FakeAnthropic::start([]).await).await;
    for user in [Value::Null, json!(""), json!(5), json!("u".repeat(256))] {
        let response = assistant.app.post(CLEAR, &json!({ "userId": user })).await.expect(400);
        assert!(response["details"]["fields"]["userId"].is_string(), "{response}");
    }
}
