//! `GET /api/ai-logs/stats`

use rotracker_tests::App;
use serde_json::{Value, json};

use super::{LOGS, log, log_at};

#[tokio::test]
async fn an_empty_log_has_zero_counts() {
    let app = App::ai_logs().await;
    let stats = json!({
        "totalLogs": 0, "totalConversations": 0, "totalUsers": 0, "successRate": 0.0, "averageDuration": null,
        "topModels": [], "topUsers": [],
    });
    assert_eq!(app.get(&format!("{LOGS}/stats")).await.expect(200), stats);
}

#[tokio::test]
async fn entries_are_counted() {
    let app = App::ai_logs().await;
    for (conversation, user, success, model, duration) in [
        ("c1", "bob", true, json!("sonnet"), json!(1_000)),
        ("c1", "ann", true, json!("haiku"), json!(1_001)),
        ("C1", "Bob", false, json!("sonnet"), Value::Null),
        ("c2", "carl", true, Value::Null, json!(2_000)),
        ("c3", "ann", true, json!("Haiku"), json!(3)),
        ("c3", "bob", true, json!("opus"), Value::Null),
    ] {
        let fields = json!({
            "conversationId": conversation, "user": user, "success": success, "model": model, "durationMs": duration,
        });
        log(&app, fields).await;
    }
    // An entry of another program, without `success`.
    let mut other = app.database.connect().await;
    rotracker_tests::database::execute(
        &mut other,
        "INSERT INTO ai_conversation_logs (conversation_id, user, user_message, ai_response, success) \
         VALUES ('c4', 'carl', '', '', NULL)",
    )
    .await;
    let stats = app.get("/.netlify/functions/api/ai-logs/stats").await.expect(200);
    let figures = ["totalLogs", "totalConversations", "totalUsers", "successRate", "averageDuration"];
    // Five of six succeeded; four entries took 4,004 ms in total.
    assert_eq!(figures.map(|figure| stats[figure].clone()), [json!(7), json!(5), json!(3), json!(0.83), json!(1_001)]);
    let models: Vec<(String, i64)> = top(&stats, "topModels", "model");
    assert_eq!(models, [("haiku".to_owned(), 2), ("sonnet".to_owned(), 2), ("opus".to_owned(), 1)]);
    let users = top(&stats, "topUsers", "user");
    assert_eq!(users, [("bob".to_owned(), 3), ("ann".to_owned(), 2), ("carl".to_owned(), 2)]);
}

/// The names, in lower case, and counts of a list.
fn top(stats: &Value, list: &str, name: &str) -> Vec<(String, i64)> {
    let entries = stats[list].as_array().unwrap().iter();
    entries.map(|entry| (entry[name].as_str().unwrap().to_lowercase(), entry["count"].as_i64().unwrap())).collect()
}

#[tokio::test]
async fn an_average_is_rounded_to_whole_milliseconds() {
    let app = App::ai_logs().await;
    for (duration, average) in [(10, 10), (11, 11), (11, 11)] {
        log(&app, json!({ "durationMs": duration })).await;
        assert_eq!(app.get(&format!("{LOGS}/stats")).await.expect(200)["averageDuration"], average);
    }
}

#[tokio::test]
async fn top_lists_have_ten_sorted_by_count_then_name() {
    let app = App::ai_logs().await;
    let users = ["l", "k", "j", "i", "h", "g", "f", "e", "d", "c", "b", "a"];
    for user in users {
        log_at(&app, &[("c", "2024-11-15 12:00:00", user)]).await;
    }
    log_at(&app, &[("c", "2024-11-15 12:00:00", "l"), ("c", "2024-11-15 12:00:00", "k")]).await;
    let stats = app.get(&format!("{LOGS}/stats")).await.expect(200);
    let names: String = top(&stats, "topUsers", "user").into_iter().map(|(name, _)| name).collect();
    assert_eq!((names.as_str(), &stats["totalUsers"]), ("klabcdefgh", &json!(12)));
    assert_eq!(stats["topModels"], json!([]));
}
