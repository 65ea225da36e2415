//! `POST /api/ai-logs`

use rotracker_tests::{App, TestDatabase};
use serde_json::{Value, json};

use super::{LOGS, all_ids, log, new_log};

#[tokio::test]
async fn an_entry_is_returned_as_sent() {
    let app = App::ai_logs().await;
    app.clock.set("2024-11-23T12:00:00.999Z".parse().unwrap());
    let fields = json!({
        "conversationId": " conv-abc-123 ", "user": "User@example.com", "userMessage": " Show me overdue ROs\n",
        "aiResponse": "部品 🛩 'q' \"\\%_", "success": false, "error": "overloaded", "model": "claude-sonnet-4",
        "durationMs": 1250, "contextRoCount": 100, "inputTokens": 1, "outputTokens": 2, "cachedTokens": 3,
        "cacheCreationTokens": 2_147_483_647, "id": "ignored", "timestamp": "2001-01-01",
    });
    let created = app.post(LOGS, &fields).await.expect(201);
    let id = created["id"].as_i64().unwrap();
    assert_eq!(created, json!({ "success": true, "id": id }));
    let entry = json!({
        "id": id, "conversationId": "conv-abc-123", "timestamp": "2024-11-23T12:00:00.000Z",
        "user": "user@example.com", "userMessage": " Show me overdue ROs\n", "aiResponse": "部品 🛩 'q' \"\\%_",
        "success": false, "error": "overloaded", "model": "claude-sonnet-4", "durationMs": 1250, "contextRoCount": 100,
        "inputTokens": 1, "outputTokens": 2, "cachedTokens": 3, "cacheCreationTokens": 2_147_483_647,
        "stopReason": null, "tools": null,
    });
    let page = json!({ "logs": [entry], "total": 1, "limit": 50, "offset": 0, "nextCursor": null });
    assert_eq!(app.get(LOGS).await.expect(200), page);
}

#[tokio::test]
async fn optional_fields_are_null_and_a_response_may_be_empty() {
    let app = App::ai_logs().await;
    log(&app, json!({ "aiResponse": "" })).await;
    log(&app, json!({ "error": null, "model": null, "durationMs": null, "inputTokens": null })).await;
    log(&app, json!({ "error": "", "model": " ", "durationMs": "", "contextRoCount": "", "cachedTokens": " " })).await;
    let page = app.get("/.netlify/functions/api/ai-logs").await.expect(200);
    assert_eq!(page["logs"][2]["aiResponse"], "");
    for entry in page["logs"].as_array().unwrap() {
        for field in ["error", "model", "durationMs", "contextRoCount", "inputTokens", "outputTokens", "cachedTokens"] {
            assert_eq!(entry[field], Value::Null, "{field}");
        }
        assert_eq!(entry.as_object().unwrap().len(), 17);
    }
}

#[tokio::test]
async fn missing_fields_are_all_named() {
    let app = App::ai_logs().await;
    let body = app.post(LOGS, &json!({})).await.expect(400);
    let fields: Vec<&String> = body["details"]["fields"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["aiResponse", "conversationId", "success", "user", "userMessage"]);
    for field in ["conversationId", "user", "userMessage", "aiResponse", "success"] {
        let body = app.post(LOGS, &new_log(json!({ field: null }))).await.expect(400);
        assert_eq!(body["details"]["fields"], json!({ field: "is required" }));
    }
    assert!(all_ids(&app).await.is_empty());
}

#[tokio::test]
async fn invalid_fields_are_named() {
    let app = App::ai_logs().await;
    for (field, value) in [
        ("conversationId", json!(7)),
        ("conversationId", json!(" ")),
        ("conversationId", json!("x".repeat(101))),
        ("conversationId", json!("a\0b")),
        ("user", json!({ "name": "x" })),
        ("user", json!("")),
        ("user", json!("é".repeat(256))),
        ("userMessage", json!(["x"])),
        ("userMessage", json!("\0")),
        ("aiResponse", json!(true)),
        ("success", json!("true")),
        ("success", json!(1)),
        ("error", json!(500)),
        ("error", json!("\0")),
        ("model", json!("x".repeat(101))),
        ("durationMs", json!("1250")),
        ("durationMs", json!(-1)),
        ("durationMs", json!(1.5)),
        ("durationMs", json!(2_147_483_648_i64)),
        ("contextRoCount", json!(-1)),
        ("contextRoCount", json!(2_147_483_648_i64)),
        ("inputTokens", json!(-1)),
        ("cacheCreationTokens", json!("5")),
    ] {
        let body = app.post(LOGS, &new_log(json!({ field: value }))).await.expect(400);
        assert!(body["details"]["fields"][field].is_string(), "{field}: {body}");
    }
    assert!(all_ids(&app).await.is_empty());
    let longest = json!({
        "conversationId": "語".repeat(100), "user": "🛩".repeat(255), "model": "é".repeat(100),
        "durationMs": 2_147_483_647, "contextRoCount": 0,
    });
    log(&app, longest).await;
}

/// The maximum size of a stored text in bytes.
const MEGABYTE: usize = 1024 * 1024;

#[tokio::test]
async fn a_megabyte_is_accepted_and_a_byte_more_is_rejected() {
    let app = App::ai_logs().await;
    for character in ["x", "é", "🛩"] {
        let text = character.repeat(MEGABYTE / character.len());
        let id = log(&app, json!({ "userMessage": text, "aiResponse": text, "error": text })).await;
        let page = app.get(&format!("{LOGS}?limit=1")).await.expect(200);
        let entry = &page["logs"][0];
        assert_eq!(entry["id"], id);
        for field in ["userMessage", "aiResponse", "error"] {
            assert!(entry[field] == text, "{field} of {character:?}");
        }
        for field in ["userMessage", "aiResponse", "error"] {
            let body = app.post(LOGS, &new_log(json!({ field: format!("{text}x") }))).await.expect(400);
            assert_eq!(body["details"]["fields"], json!({ field: "must be at most 1048576 bytes long in UTF-8" }));
        }
    }
    assert_eq!(all_ids(&app).await.len(), 3);
}

#[tokio::test]
async fn a_killed_connection_loses_and_duplicates_no_entry() {
    let app = App::ai_logs().await;
    log(&app, json!({})).await;
    app.database.kill_sessions().await;
    log(&app, json!({ "userMessage": "after" })).await;
    let page = app.get(LOGS).await.expect(200);
    assert_eq!((&page["total"], &page["logs"][0]["userMessage"]), (&json!(2), &json!("after")));
}

#[tokio::test]
async fn the_assistants_own_entries_are_the_same() {
    let database = TestDatabase::migrated().await;
    let pool = database.large_pool();
    let app = App::ai_logs_on(database, pool);
    let exchange = conversations::Exchange {
        conversation_id: conversations::ConversationId::parse("c").unwrap(),
        user: conversations::User::from_name("u").unwrap(),
        user_message: conversations::cut_text(&"🛩".repeat(MEGABYTE)),
        ai_response: conversations::cut_text("ok\0"),
        success: true,
        error: None,
        model: None,
        duration_ms: None,
        context_ro_count: None,
        tokens: conversations::Tokens { input: Some(5), output: None, cached: Some(0), cache_creation: None },
        stop_reason: Some(conversations::StopReason::parse("tool_use".to_owned()).unwrap()),
        tools: Some(conversations::cut_text("find_orders\nweb_search")),
    };
    let at = "2024-11-15T23:59:59.999Z".parse().unwrap();
    let id = conversations::insert(&mut *app.connection().await, &exchange, at).await.unwrap();
    let entry = app.get(LOGS).await.expect(200)["logs"][0].take();
    assert_eq!((&entry["id"], &entry["timestamp"]), (&json!(id), &json!("2024-11-15T23:59:59.000Z")));
    let asked = entry["userMessage"].as_str().unwrap();
    assert!(asked.len() <= MEGABYTE && asked.ends_with("🛩… [cut]"), "{}", asked.len());
    assert_eq!((&entry["aiResponse"], &entry["inputTokens"]), (&json!("ok\u{fffd}"), &json!(5)));
    assert_eq!((&entry["outputTokens"], &entry["cachedTokens"]), (&Value::Null, &json!(0)));
    assert_eq!((&entry["stopReason"], &entry["tools"]), (&json!("tool_use"), &json!(["find_orders", "web_search"])));
}
