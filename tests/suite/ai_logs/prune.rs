//! `rotracker prune-ai-logs`

use chrono::{DateTime, Utc};
use rotracker_cli::prune_ai_logs::prune;
use rotracker_tests::{
    App,
    database::{execute, numbers},
};
use serde_json::json;

use super::{LOGS, all_ids, log_at};

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn old_entries_are_deleted_in_batches() {
    let app = App::ai_logs().await;
    let fill = format!(
        "INSERT INTO ai_conversation_logs (conversation_id, timestamp, user, user_message, ai_response) \
         SELECT 'c', TIMESTAMP('2024-11-15 12:00:00') - INTERVAL n MINUTE, CONCAT('user ', n % 7), 'asked', 'answered' \
         FROM {} WHERE n < 4000",
        numbers()
    );
    execute(&mut app.database.connect().await, &fill).await;
    let older_than = instant("2024-11-15T12:00:00Z") - chrono::TimeDelta::minutes(999);
    assert_eq!(prune(&app.pool, older_than, true).await.unwrap(), 3_000);
    assert_eq!(all_ids(&app).await.len(), 4_000, "a dry run deletes nothing");
    // Three full batches; the fourth is empty.
    assert_eq!(prune(&app.pool, older_than, false).await.unwrap(), 3_000);
    let page = app.get(&format!("{LOGS}?limit=1&offset=999")).await.expect(200);
    assert_eq!((&page["total"], &page["logs"][0]["timestamp"]), (&json!(1_000), &json!("2024-11-14T19:21:00.000Z")));
    assert_eq!(prune(&app.pool, older_than, false).await.unwrap(), 0);
}

#[tokio::test]
async fn entries_at_the_cutoff_or_undated_are_kept() {
    let app = App::ai_logs().await;
    let at = |second| format!("2024-11-15 12:00:0{second}");
    log_at(&app, &[("c", &at(1), "u"), ("c", &at(0), "u"), ("c", "2024-11-15 11:59:59", "u")]).await;
    execute(
        &mut app.database.connect().await,
        "SET sql_mode = ''; INSERT INTO ai_conversation_logs (conversation_id, timestamp, user, user_message, \
         ai_response) VALUES ('c', '0000-00-00 00:00:00', 'u', '', ''), ('c', NULL, 'u', '', '')",
    )
    .await;
    assert_eq!(prune(&app.pool, instant("2024-11-15T12:00:00Z"), false).await.unwrap(), 1);
    assert_eq!(all_ids(&app).await, [1, 2, 4, 5]);
}

#[tokio::test]
async fn an_unmigrated_database_is_reported() {
    let database = rotracker_tests::TestDatabase::empty().await;
    let error = prune(&database.pool(1), instant("2024-11-15T12:00:00Z"), true).await.unwrap_err();
    assert!(format!("{error:#}").contains("rotracker migrate"), "{error:#}");
}
