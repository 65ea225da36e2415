//! `GET /api/ai-logs/usage`

use rotracker_tests::{App, app::encoded, database::execute};
use serde_json::{Value, json};

use super::LOGS;

const USAGE: &str = "/api/ai-logs/usage";

/// An app with exchanges on three days, by two users with two models.
async fn used() -> App {
    let app = App::ai_logs().await;
    execute(
        &mut app.database.connect().await,
        "INSERT INTO ai_conversation_logs (conversation_id, user_message, ai_response, timestamp, user, model, \
         input_tokens, output_tokens, cached_tokens, cache_creation_tokens) VALUES \
         ('c', '', '', '2024-11-14 00:00:00', 'ann', 'opus', 1, 10, 100, 1000), \
         ('c', '', '', '2024-11-14 23:59:59', 'ann', 'opus', 2, 20, 200, 2000), \
         ('c', '', '', '2024-11-15 00:00:00', 'ann', 'opus', 4, 40, NULL, NULL), \
         ('c', '', '', '2024-11-15 00:00:00', 'ann', 'haiku', 2147483647, 80, 800, 8000), \
         ('c', '', '', '2024-11-15 12:00:00', 'ann', 'haiku', 2147483647, 80, 800, 8000), \
         ('c', '', '', '2024-11-15 12:00:00', 'bob', 'haiku', 16, 160, 1600, 16000), \
         ('c', '', '', '2024-11-13 12:00:00', 'bob', NULL, NULL, NULL, NULL, NULL)",
    )
    .await;
    app
}

fn group(day: &str, user: &str, model: Value, figures: [i64; 5]) -> Value {
    let mut group = totals(figures);
    group["day"] = json!(day);
    group["user"] = json!(user);
    group["model"] = model;
    group
}

fn totals([exchanges, input, output, cached, cache_creation]: [i64; 5]) -> Value {
    json!({
        "exchanges": exchanges, "inputTokens": input, "outputTokens": output, "cachedTokens": cached,
        "cacheCreationTokens": cache_creation,
    })
}

#[tokio::test]
async fn tokens_are_summed_by_day_user_and_model() {
    let app = used().await;
    let response = app.get(USAGE).await.expect(200);
    let expected = json!({
        "usage": [
            group("2024-11-15", "ann", json!("haiku"), [2, 4_294_967_294, 160, 1_600, 16_000]),
            group("2024-11-15", "ann", json!("opus"), [1, 4, 40, 0, 0]),
            group("2024-11-15", "bob", json!("haiku"), [1, 16, 160, 1_600, 16_000]),
            group("2024-11-14", "ann", json!("opus"), [2, 3, 30, 300, 3_000]),
            group("2024-11-13", "bob", Value::Null, [1, 0, 0, 0, 0]),
        ],
        "totals": totals([7, 4_294_967_317, 390, 3_500, 35_000]),
    });
    assert_eq!(response, expected);
}

#[tokio::test]
async fn totals_match_the_list() {
    let app = used().await;
    for (query, groups, exchanges, input) in [
        ("user=BOB", 2, 2, 16),
        ("user=%20ann%20&model=opus", 2, 3, 7),
        ("model=opus", 2, 3, 7),
        ("model=opu_", 0, 0, 0),
        ("user=&model=", 5, 7, 4_294_967_317_i64),
        ("startDate=2024-11-14&endDate=2024-11-14", 1, 2, 3),
        ("endDate=2024-11-14T00:00:00Z", 2, 2, 1),
        ("startDate=2024-11-15&user=bob&model=haiku", 1, 1, 16),
        ("startDate=2024-11-16", 0, 0, 0),
    ] {
        let response = app.get(&format!("{USAGE}?{query}")).await.expect(200);
        let found = (response["usage"].as_array().unwrap().len(), &response["totals"]["exchanges"]);
        assert_eq!(found, (groups, &json!(exchanges)), "{query}");
        assert_eq!(response["totals"]["inputTokens"], json!(input), "{query}");
    }
}

#[tokio::test]
async fn invalid_params_are_reported() {
    let app = App::ai_logs().await;
    for (parameter, value) in
        [("startDate", "x"), ("endDate", "2024-02-30"), ("user", &*"x".repeat(256)), ("model", &*"x".repeat(101))]
    {
        let body = app.get(&format!("{USAGE}?{parameter}={}", encoded(value))).await.expect(400);
        assert!(body["details"]["fields"][parameter].is_string(), "{parameter}={value}: {body}");
    }
    let body = app.get(&format!("{USAGE}?startDate=2024-11-15&endDate=2024-11-14")).await.expect(400);
    assert!(body["details"]["fields"]["endDate"].is_string(), "{body}");
}

#[tokio::test]
async fn undated_entries_come_last() {
    let app = App::ai_logs().await;
    super::log(&app, json!({ "inputTokens": 5 })).await;
    execute(
        &mut app.database.connect().await,
        "SET sql_mode = ''; UPDATE ai_conversation_logs SET timestamp = '0000-00-00 00:00:00'",
    )
    .await;
    super::log(&app, json!({ "inputTokens": 7 })).await;
    let response = app.get(&format!("{LOGS}/usage")).await.expect(200);
    let days: Vec<&Value> = response["usage"].as_array().unwrap().iter().map(|group| &group["day"]).collect();
    assert_eq!(days, [&json!("2024-11-15"), &Value::Null]);
    assert_eq!(response["totals"]["inputTokens"], 12);
}
