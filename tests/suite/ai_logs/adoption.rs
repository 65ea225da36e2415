//! Taking over a log that the Node service kept.

use rotracker_tests::{
    App, TestDatabase,
    database::{execute, migrate},
};
use serde_json::{Value, json};
use sqlx::MySqlConnection;

use super::{LOGS, log};

/// The specification's table as it may be in real life: another character set, TEXT, more columns, an entry.
async fn live_database() -> (TestDatabase, MySqlConnection) {
    let database = TestDatabase::empty().await;
    let mut node = database.connect().await;
    execute(
        &mut node,
        "SET sql_mode = ''; CREATE TABLE ai_conversation_logs (id INT AUTO_INCREMENT PRIMARY KEY, \
         conversation_id VARCHAR(100) NOT NULL, timestamp DATETIME DEFAULT CURRENT_TIMESTAMP, user VARCHAR(255) NOT NULL, \
         user_message TEXT NOT NULL, ai_response TEXT NOT NULL, success BOOLEAN DEFAULT TRUE, error TEXT, \
         model VARCHAR(100), duration_ms INT, context_ro_count INT, rating INT, output_tokens INT, \
         INDEX idx_conversation (conversation_id), INDEX idx_user (user), INDEX idx_timestamp (timestamp)) \
         DEFAULT CHARSET = latin1 AUTO_INCREMENT = 41; \
         INSERT INTO ai_conversation_logs (conversation_id, timestamp, user, user_message, ai_response, rating, \
         output_tokens) VALUES ('old', '2024-01-02 03:04:05', 'caf\u{e9}', 'caf\u{e9}?', 'Oui', 5, 77)",
    )
    .await;
    (database, node)
}

/// Name, type and nullability of every column.
async fn columns(node: &mut MySqlConnection) -> Vec<(String, String, String)> {
    sqlx::query_as(
        "SELECT CAST(COLUMN_NAME AS CHAR), LOWER(CAST(COLUMN_TYPE AS CHAR)), CAST(IS_NULLABLE AS CHAR) \
         FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ai_conversation_logs' \
         ORDER BY COLUMN_NAME",
    )
    .fetch_all(node)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_live_log_keeps_its_entries_and_columns_and_takes_long_texts() {
    let (inventory, (database, mut node)) = (TestDatabase::inventory().await, live_database().await);
    migrate(&database, &inventory, false).await.unwrap();
    let rating: i64 = sqlx::query_scalar("SELECT rating FROM ai_conversation_logs").fetch_one(&mut node).await.unwrap();
    assert_eq!(rating, 5);
    let pool = database.large_pool();
    let app = App::ai_logs_on(database, pool);
    let text = "🛩".repeat(250_000);
    let id = log(&app, json!({ "user": "日本", "userMessage": text, "aiResponse": text, "error": text })).await;
    assert_eq!(id, 42);
    let page = app.get(LOGS).await.expect(200);
    let (new, old) = (&page["logs"][0], &page["logs"][1]);
    assert!(new["userMessage"] == text && new["aiResponse"] == text && new["error"] == text);
    assert_eq!((&old["user"], &old["userMessage"]), (&json!("caf\u{e9}"), &json!("caf\u{e9}?")));
    assert_eq!((&old["timestamp"], &old["success"]), (&json!("2024-01-02T03:04:05.000Z"), &json!(true)));
    // One of the four columns was there already.
    assert_eq!((&old["inputTokens"], &old["outputTokens"]), (&Value::Null, &json!(77)));
    assert_eq!(app.get(&format!("{LOGS}/conversation/old")).await.expect(200)["messageCount"], 1);
    assert_eq!(app.get(&format!("{LOGS}/usage?user=CAF%C3%A9")).await.expect(200)["totals"]["outputTokens"], 77);
}

#[tokio::test]
async fn columns_that_hold_more_already_or_may_be_empty_stay_so() {
    let (inventory, (database, mut node)) = (TestDatabase::inventory().await, live_database().await);
    execute(&mut node, "ALTER TABLE ai_conversation_logs MODIFY ai_response LONGTEXT, MODIFY user_message TEXT").await;
    execute(&mut node, "INSERT INTO ai_conversation_logs (conversation_id, user) VALUES ('bare', 'u')").await;
    migrate(&database, &inventory, false).await.unwrap();
    let columns = columns(&mut node).await;
    for (column, column_type) in [("ai_response", "longtext"), ("user_message", "mediumtext"), ("error", "mediumtext")]
    {
        let expected = (column.to_owned(), column_type.to_owned(), "YES".to_owned());
        assert!(columns.contains(&expected), "{expected:?} is not in {columns:?}");
    }
    let pool = database.large_pool();
    let app = App::ai_logs_on(database, pool);
    let bare = app.get(&format!("{LOGS}/conversation/bare")).await.expect(200);
    assert_eq!((&bare["logs"][0]["userMessage"], &bare["logs"][0]["aiResponse"]), (&json!(""), &json!("")));
}

#[tokio::test]
async fn a_migration_that_was_cut_off_goes_on_where_it_was() {
    let (inventory, (database, mut node)) = (TestDatabase::inventory().await, live_database().await);
    migrate(&database, &inventory, false).await.unwrap();
    let after = columns(&mut node).await;
    let versions: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE version > 26")
        .fetch_all(&mut node)
        .await
        .unwrap();
    assert!(versions.len() >= 7);
    for version in versions {
        execute(&mut node, &format!("UPDATE _sqlx_migrations SET success = FALSE WHERE version = {version}")).await;
        execute(&mut node, &format!("DELETE FROM _sqlx_migrations WHERE version > {version}")).await;
        migrate(&database, &inventory, false).await.unwrap_or_else(|error| panic!("after {version}: {error}"));
        assert_eq!(columns(&mut node).await, after, "after {version}");
    }
}

#[tokio::test]
async fn what_stands_in_the_way_is_said_by_name_before_anything_is_changed() {
    for (spoil, named, mend) in [
        (
            "ALTER TABLE ai_conversation_logs DROP COLUMN duration_ms, DROP COLUMN model",
            "`ai_conversation_logs` lacks the columns model, duration_ms",
            "ALTER TABLE ai_conversation_logs ADD COLUMN model VARCHAR(100), ADD COLUMN duration_ms INT",
        ),
        (
            "ALTER TABLE ai_conversation_logs ENGINE = MyISAM",
            "`ai_conversation_logs` is kept by MyISAM",
            "ALTER TABLE ai_conversation_logs ENGINE = InnoDB",
        ),
        (
            "ALTER TABLE ai_conversation_logs ROW_FORMAT = COMPACT",
            "ALTER TABLE `ai_conversation_logs` ROW_FORMAT = DYNAMIC",
            "ALTER TABLE ai_conversation_logs ROW_FORMAT = DYNAMIC",
        ),
        (
            "ALTER TABLE ai_conversation_logs ADD COLUMN tenant VARCHAR(40) NOT NULL, ADD COLUMN seen INT NOT NULL",
            "must be given a value, but the specification does not know them: tenant, seen",
            "ALTER TABLE ai_conversation_logs MODIFY tenant varchar(40) NULL, MODIFY seen INT NOT NULL DEFAULT 0",
        ),
    ] {
        let (inventory, (database, mut node)) = (TestDatabase::inventory().await, live_database().await);
        execute(&mut node, spoil).await;
        let message = migrate(&database, &inventory, false).await.unwrap_err();
        assert!(message.contains(named) && message.contains("Nothing has been changed"), "{message}");
        let tables = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()";
        let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut node).await.unwrap();
        assert_eq!(tables, 1, "{spoil}: no table was added");
        execute(&mut node, mend).await;
        migrate(&database, &inventory, false).await.unwrap_or_else(|error| panic!("{mend}: {error}"));
        let pool = database.large_pool();
        log(&App::ai_logs_on(database, pool), json!({})).await;
    }
}
