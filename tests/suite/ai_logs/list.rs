//! `GET /api/ai-logs`

use rotracker_tests::{
    App,
    app::encoded,
    database::{assert_all_agree, execute},
};
use serde_json::{Value, json};

use super::{LOGS, ids, log, log_at};

/// An app with seven log entries.
async fn logs() -> App {
    let app = App::ai_logs().await;
    log_at(
        &app,
        &[
            ("one", "2024-11-13 23:59:59", "ann@example.com"),
            ("one", "2024-11-14 00:00:00", "bob@example.com"),
            ("two", "2024-11-14 12:00:00", "ann@example.com"),
            ("two", "2024-11-14 23:59:59", "50%"),
            ("ONE", "2024-11-15 00:00:00", "50_"),
            ("t_o", "2024-11-15 00:00:00", "500"),
            ("t%", "2024-11-12 00:00:00", "x' or '1'='1"),
        ],
    )
    .await;
    app
}

#[tokio::test]
async fn entries_are_filtered_and_newest_first() {
    let app = logs().await;
    for (query, found) in [
        ("", vec![6, 5, 4, 3, 2, 1, 7]),
        ("user=%20ann@example.com%20", vec![3, 1]),
        ("user=ann", vec![]),
        ("user=50%25", vec![4]),
        ("user=50_", vec![5]),
        ("user=x%27%20OR%20%271%27%3D%271", vec![7]),
        ("user=&conversationId=%20&startDate=&endDate=+&limit=&offset=", vec![6, 5, 4, 3, 2, 1, 7]),
        ("conversationId=one", vec![2, 1]),
        ("conversationId=ONE", vec![5]),
        ("conversationId=t_o", vec![6]),
        ("conversationId=t%25", vec![7]),
        ("conversationId=one&user=BOB@example.com", vec![2]),
        ("startDate=2024-11-14", vec![6, 5, 4, 3, 2]),
        ("endDate=2024-11-14", vec![4, 3, 2, 1, 7]),
        ("startDate=2024-11-14&endDate=2024-11-14", vec![4, 3, 2]),
        ("startDate=2024-11-14T12:00:00Z&endDate=2024-11-14T18:59:59-05:00", vec![4, 3]),
        // Entries have whole seconds, and this one may have been made after the start.
        ("startDate=2024-11-14T12:00:00.254Z&endDate=2024-11-15T00:00:00Z", vec![6, 5, 4, 3]),
        ("startDate=2024-11-14T12:00:01Z&endDate=2024-11-15T00:00:00Z", vec![6, 5, 4]),
        ("startDate=2024-11-14T12:00:00.254Z&endDate=2024-11-14T12:00:00.609Z", vec![3]),
        ("startDate=2024-11-14T11:00:00Z&endDate=2024-11-14T11:59:59.999Z", vec![]),
        ("user=ann@example.com&conversationId=two&startDate=2024-11-14&endDate=2024-11-15", vec![3]),
        ("unknown=1", vec![6, 5, 4, 3, 2, 1, 7]),
    ] {
        let page = app.get(&format!("{LOGS}?{query}")).await.expect(200);
        assert_eq!((ids(&page), &page["total"]), (found.clone(), &json!(found.len())), "{query}");
    }
}

/// The total of all entries, and that of ann's.
async fn totals(app: &App) -> [Value; 2] {
    let all = app.get(LOGS).await.expect(200);
    let of_ann = app.get(&format!("{LOGS}?user=ann@example.com")).await.expect(200);
    [all["total"].clone(), of_ann["total"].clone()]
}

#[tokio::test]
async fn totals_follow_every_change() {
    let app = logs().await;
    let mut other = app.database.connect().await;
    for (change, expected) in [
        ("SELECT 1", [7, 2]),
        ("UPDATE ai_conversation_logs SET ai_response = 'changed'", [7, 2]),
        ("UPDATE ai_conversation_logs SET user = 'ann@example.com' WHERE user = '500'", [7, 3]),
        ("UPDATE ai_conversation_logs SET id = 100 WHERE id = 1", [7, 3]),
        ("DELETE FROM ai_conversation_logs WHERE id IN (2, 100)", [5, 2]),
        ("BEGIN; DELETE FROM ai_conversation_logs; ROLLBACK", [5, 2]),
        (
            "INSERT INTO ai_conversation_logs (conversation_id, timestamp, user, user_message, ai_response) \
             SELECT conversation_id, timestamp, user, '', '' FROM ai_conversation_logs",
            [10, 4],
        ),
        ("DELETE FROM ai_conversation_logs WHERE user = 'ann@example.com'", [6, 0]),
    ] {
        execute(&mut other, change).await;
        assert_eq!(totals(&app).await, expected.map(|total| json!(total)), "{change}");
        assert_all_agree(&ai_logs::store::check(&mut other, 10).await.unwrap());
    }
    // No name is left of a user without entries.
    let users = "SELECT user FROM ai_log_counts ORDER BY user";
    let users: Vec<String> = sqlx::query_scalar(users).fetch_all(&mut other).await.unwrap();
    assert_eq!(users, ["50%", "50_", "x' or '1'='1"]);
}

#[tokio::test]
async fn an_entry_that_is_inserted_while_entries_are_counted_is_not_lost() {
    let app = logs().await;
    let migration = include_str!("../../../migrations/main/0009_ai_log_counts.sql");
    let (_, count_again) = migration.split_once("DELETE FROM ai_log_counts;").unwrap();
    let mut inserting = app.database.connect().await;
    let insert = "INSERT INTO ai_conversation_logs (conversation_id, timestamp, user, user_message, ai_response) \
                  VALUES ('one', NOW(), 'ann@example.com', '', '')";
    execute(&mut inserting, &format!("BEGIN; {insert}")).await;
    let mut counting = app.database.connect().await;
    let counted = tokio::spawn(async move {
        // As in the connections of the service and of the migrations.
        let isolation = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
        execute(&mut counting, &format!("{isolation}; {count_again}")).await;
    });
    app.database.wait_for_connection("INFO LIKE '%REPLACE INTO ai_log_counts%'").await;
    execute(&mut inserting, "COMMIT").await;
    counted.await.unwrap();
    assert_all_agree(&ai_logs::store::check(&mut inserting, 10).await.unwrap());
}

#[tokio::test]
async fn pages_have_at_most_100_entries() {
    let app = App::ai_logs().await;
    let day = "2024-01-01 00:00:00";
    log_at(&app, &vec![("c", day, "u"); 150]).await;
    for (query, count, limit, offset) in [
        ("", 50, 50, 0),
        ("limit=1", 1, 1, 0),
        ("limit=100", 100, 100, 0),
        ("limit=101", 100, 100, 0),
        ("limit=9223372036854775807", 100, 100, 0),
        ("limit=2&offset=149", 1, 2, 149),
        ("limit=2&offset=150", 0, 2, 150),
        ("offset=9223372036854775807", 0, 50, i64::MAX),
    ] {
        let page = app.get(&format!("{LOGS}?{query}")).await.expect(200);
        assert_eq!((ids(&page).len(), &page["total"]), (count, &json!(150)), "{query}");
        assert_eq!((&page["limit"], &page["offset"]), (&json!(limit), &json!(offset)), "{query}");
    }
    let empty = app.get(&format!("{LOGS}?user=nobody")).await.expect(200);
    assert_eq!(empty, json!({ "logs": [], "total": 0, "limit": 50, "offset": 0, "nextCursor": null }));
}

#[tokio::test]
async fn paging_is_stable_for_equal_timestamps() {
    let app = App::ai_logs().await;
    for second in [30, 10, 20] {
        let at = format!("2024-01-01 00:00:{second}");
        log_at(&app, &vec![("c", at.as_str(), "u"); 40]).await;
    }
    let mut all = Vec::new();
    for offset in (0..120).step_by(7) {
        all.extend(ids(&app.get(&format!("{LOGS}?limit=7&offset={offset}&user=u")).await.expect(200)));
    }
    let expected: Vec<i64> = (1..=40).rev().chain((81..=120).rev()).chain((41..=80).rev()).collect();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn invalid_params_are_reported() {
    let app = App::ai_logs().await;
    for (parameter, value) in [
        ("startDate", "yesterday"),
        ("startDate", "2024-02-30"),
        ("endDate", "2024-13-01"),
        ("endDate", "2024-11-14 12:00"),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "x"),
        ("offset", "-1"),
        ("offset", "1.5"),
        ("user", &"9".repeat(256)),
        ("user", "a\0b"),
        ("conversationId", &"9".repeat(101)),
    ] {
        let body = app.get(&format!("{LOGS}?{parameter}={}", encoded(value))).await.expect(400);
        assert!(body["details"]["fields"][parameter].is_string(), "{parameter}={value}: {body}");
    }
    let body = app.get(&format!("{LOGS}?startDate=2024-11-15&endDate=2024-11-14")).await.expect(400);
    assert!(body["details"]["fields"]["endDate"].is_string(), "{body}");
    let body = app.get(&format!("{LOGS}?limit=0&offset=x&startDate=z&endDate=w")).await.expect(400);
    assert_eq!(body["details"]["fields"].as_object().unwrap().len(), 4);
}

#[tokio::test]
async fn missing_dates_and_outcomes_are_null() {
    let app = App::ai_logs().await;
    execute(
        &mut app.database.connect().await,
        "SET sql_mode = ''; INSERT INTO ai_conversation_logs (conversation_id, timestamp, user, user_message, \
         ai_response, success) VALUES ('c', '0000-00-00 00:00:00', 'u', '', '', NULL), ('c', NULL, 'u', '', '', NULL)",
    )
    .await;
    for path in [LOGS.to_owned(), format!("{LOGS}/conversation/c")] {
        let response = app.get(&path).await.expect(200);
        assert_eq!(ids(&response).len(), 2);
        for entry in response["logs"].as_array().unwrap() {
            assert_eq!((&entry["timestamp"], &entry["success"]), (&Value::Null, &Value::Null));
        }
    }
}

#[tokio::test]
async fn a_page_of_long_entries_is_complete() {
    let app = App::ai_logs().await;
    let many = "INSERT INTO ai_conversation_logs (conversation_id, timestamp, user, user_message, ai_response) \
                SELECT 'c', '2024-11-15', 'u', CONCAT(n, REPEAT('x', 1000000)), REPEAT('y', 300000) FROM \
                (SELECT 1 n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7) m";
    execute(&mut app.database.connect().await, many).await;
    for (path, newest_first) in [(LOGS.to_owned(), true), (format!("{LOGS}/conversation/c"), false)] {
        let response = app.get(&path).await.expect(200);
        let mut found = ids(&response);
        if newest_first {
            found.reverse();
        }
        assert_eq!(found, [1, 2, 3, 4, 5, 6, 7]);
        assert!(
            response["logs"]
                .as_array()
                .unwrap()
                .iter()
                .all(|entry| entry["userMessage"].as_str().unwrap().len() == 1_000_001)
        );
    }
}

#[tokio::test]
async fn a_client_sees_what_came_after_it_last_looked() {
    let app = App::ai_logs().await;
    app.clock.set("2024-11-15T12:00:45.609Z".parse().unwrap());
    log(&app, json!({})).await;
    for (start, total) in [("2024-11-15T12:00:45.254Z", 1), ("2024-11-15T12:00:46Z", 0)] {
        assert_eq!(app.get(&format!("{LOGS}?startDate={start}")).await.expect(200)["total"], total, "{start}");
    }
}
