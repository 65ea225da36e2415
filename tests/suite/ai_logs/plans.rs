//! The number of statements and of rows read per request. Both are counted, so the tests do not depend on time.

use http::Method;
use rotracker_tests::{
    App, TestDatabase,
    counters::{counter, rows_read},
    database::{execute, numbers},
};
use serde_json::json;
use sqlx::Row;

use super::{LOGS, log, new_log};

/// An app with one connection, so that the session counters count its requests.
async fn app_with_one_connection() -> App {
    let database = TestDatabase::migrated().await;
    let pool = database.pool(1);
    App::ai_logs_on(database, pool)
}

#[tokio::test]
async fn statement_counts_stay_within_limits() {
    let app = app_with_one_connection().await;
    let id = log(&app, json!({})).await.to_string();
    for (case, budget, method, path, body) in [
        ("page", 2, Method::GET, "?user=u&limit=10&offset=5&startDate=2024-01-01", None),
        ("conversation", 1, Method::GET, "/conversation/conv-abc-123", None),
        ("unknown conversation", 1, Method::GET, "/conversation/none", None),
        ("stats", 2, Method::GET, "/stats", None),
        ("usage", 1, Method::GET, "/usage?user=u&model=m&endDate=2024-11-15", None),
        ("create", 3, Method::POST, "", Some(new_log(json!({})))),
        ("bad create", 0, Method::POST, "", Some(json!({}))),
        ("delete", 3, Method::DELETE, &*format!("/{id}"), None),
        ("delete of nothing", 3, Method::DELETE, "/999999", None),
        ("bad delete", 0, Method::DELETE, "/x", None),
        ("delete of a user", 3, Method::DELETE, "/user/user@example.com", None),
    ] {
        let before = counter(&app, "Questions").await;
        let path = format!("{LOGS}{path}");
        let response = match body {
            None => app.send_text(method, &path, "").await,
            Some(body) => app.send_json(method, &path, &body).await,
        };
        assert!(!response.status.is_server_error(), "{case}: {}", response.status);
        let cost = counter(&app, "Questions").await - before - 1;
        assert_eq!(cost, budget, "{case}: {cost} statements, {budget} allowed");
    }
}

/// Inserts 5,000 entries by 100 users in 500 conversations, one per hour.
async fn fill(app: &App) {
    let mut other = app.database.connect().await;
    let fill = format!(
        "INSERT INTO ai_conversation_logs (conversation_id, timestamp, user, user_message, ai_response, model, \
         input_tokens) SELECT CONCAT('conv-', n DIV 10), TIMESTAMP('2024-11-15 12:00:00') - INTERVAL n HOUR, \
         CONCAT('user-', n % 100), 'asked', REPEAT('answered ', 50), 'opus', n FROM {} WHERE n < 5000",
        numbers()
    );
    execute(&mut other, &fill).await;
    execute(&mut other, "ANALYZE TABLE ai_conversation_logs").await;
}

#[tokio::test]
async fn filtered_pages_read_only_their_entries() {
    let app = app_with_one_connection().await;
    fill(&app).await;
    for (path, found, budget) in [
        // The numbers of entries of 100 users are added up.
        ("?limit=10", 10, 200),
        ("?user=USER-7&limit=10", 10, 60),
        ("?user=user-7&limit=10&offset=40", 10, 200),
        ("?conversationId=conv-33", 10, 80),
        ("?startDate=2024-11-14&endDate=2024-11-14", 24, 200),
        ("/conversation/conv-33", 10, 60),
    ] {
        let (response, read) = rows_read(&app, &format!("{LOGS}{path}")).await;
        assert_eq!(response["logs"].as_array().unwrap().len(), found, "{path}");
        assert!(read <= budget, "{path}: {read} rows were read for {found}");
    }
}

#[tokio::test]
async fn statistics_and_usage_never_read_the_texts() {
    let app = app_with_one_connection().await;
    fill(&app).await;
    let usage = ai_logs::store::usage_statement(&ai_logs::model::UsageFilter::default());
    let (totals, top_lists) = (ai_logs::store::totals_statement(None), ai_logs::store::top_lists_statement(None));
    for statement in [totals.sql().as_str(), top_lists.sql().as_str(), usage.sql().as_str()] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN FORMAT = TRADITIONAL {statement}"));
        for row in sqlx::query(explain).fetch_all(&mut *app.connection().await).await.unwrap() {
            let table: Option<String> = row.get("table");
            let extra: Option<String> = row.get("Extra");
            if table.as_deref() == Some("ai_conversation_logs") {
                assert!(extra.as_deref().unwrap_or_default().contains("Using index"), "{extra:?} in {statement}");
            }
        }
    }
    let (response, read) = rows_read(&app, &format!("{LOGS}/usage?startDate=2024-11-14&endDate=2024-11-14")).await;
    assert_eq!(response["totals"]["exchanges"], 24);
    assert!(read <= 200, "{read} rows were read for 24");
}
