//! `GET /api/ai-logs/conversation/{conversation_id}`

use rotracker_tests::{App, app::encoded};
use serde_json::json;

use super::{LOGS, ids, log, log_at};

#[tokio::test]
async fn a_conversation_is_listed_oldest_first() {
    let app = App::ai_logs().await;
    log_at(
        &app,
        &[
            ("conv", "2024-11-23 12:00:00", "ann"),
            ("other", "2024-11-23 11:30:00", "ann"),
            ("conv", "2024-11-23 11:00:00", "ann"),
            ("CONV", "2024-11-23 11:30:00", "bob"),
            ("conv", "2024-11-23 11:30:00", "ann"),
            ("conv2", "2024-11-23 11:30:00", "ann"),
        ],
    )
    .await;
    let mut response = app.get(&format!("{LOGS}/conversation/conv")).await.expect(200);
    assert_eq!(ids(&response), [3, 5, 1]);
    let last = response["logs"][2].clone();
    assert_eq!((&last["userMessage"], &last["timestamp"]), (&json!("asked"), &json!("2024-11-23T12:00:00.000Z")));
    response.as_object_mut().unwrap().remove("logs");
    let summary = json!({
        "conversationId": "conv", "messageCount": 3, "firstMessage": "2024-11-23T11:00:00.000Z",
        "lastMessage": "2024-11-23T12:00:00.000Z",
    });
    assert_eq!(response, summary);
}

#[tokio::test]
async fn unknown_is_404_and_invalid_is_400() {
    let app = App::ai_logs().await;
    log(&app, json!({ "conversationId": "conv" })).await;
    for id in ["con", "con_", "con%", "conv2"] {
        let message = app.get(&format!("{LOGS}/conversation/{}", encoded(id))).await.expect_error(404);
        assert_eq!(message, "Conversation not found");
    }
    for id in [" ", &"x".repeat(101), "a\0"] {
        let body = app.get(&format!("{LOGS}/conversation/{}", encoded(id))).await.expect(400);
        assert!(body["details"]["fields"]["conversationId"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn ids_may_have_any_characters() {
    let app = App::ai_logs().await;
    for id in ["a/b?c=d", "stats", "日本 語", "100%"] {
        log(&app, json!({ "conversationId": id })).await;
        for prefix in ["/api", "/.netlify/functions/api"] {
            let path = format!("{prefix}/ai-logs/conversation/{}", encoded(id));
            let response = app.get(&path).await.expect(200);
            assert_eq!((&response["conversationId"], &response["messageCount"]), (&json!(id), &json!(1)));
        }
    }
}

#[tokio::test]
async fn long_conversations_are_complete() {
    let app = App::ai_logs().await;
    log_at(&app, &vec![("long", "2024-11-23 12:00:00", "ann"); 2_000]).await;
    let response = app.get(&format!("{LOGS}/conversation/long")).await.expect(200);
    assert_eq!((ids(&response), &response["messageCount"]), ((1..=2_000).collect(), &json!(2_000)));
}
