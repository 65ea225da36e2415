//! `DELETE /api/ai-logs/user/{user}`

use std::sync::Arc;

use futures_util::future::join_all;
use rotracker_tests::{App, app::encoded, database::assert_all_agree};
use serde_json::json;

use super::{LOGS, all_ids, log, log_at};

#[tokio::test]
async fn only_the_users_entries_are_deleted() {
    let app = App::ai_logs().await;
    let at = "2024-11-15 12:00:00";
    log_at(
        &app,
        &[
            ("a", at, "ann@example.com"),
            ("b", at, "ann@example.com"),
            ("c", at, "ann@example.co"),
            ("d", at, "annXexample.com"),
            ("e", at, "50%"),
            ("f", at, "500"),
            ("g", at, "jos\u{e9}@example.com"),
        ],
    )
    .await;
    for (user, count, left) in [
        (" Ann@example.com ", 2, vec![3, 4, 5, 6, 7]),
        ("ann@example.com", 0, vec![3, 4, 5, 6, 7]),
        ("50%", 1, vec![3, 4, 6, 7]),
        ("a%", 0, vec![3, 4, 6, 7]),
        ("ann_example.com", 0, vec![3, 4, 6, 7]),
        ("x' OR '1'='1", 0, vec![3, 4, 6, 7]),
        ("jose@example.com", 0, vec![3, 4, 6, 7]),
        ("JOS\u{c9}@example.com", 1, vec![3, 4, 6]),
    ] {
        let response = app.delete(&format!("{LOGS}/user/{}", encoded(user))).await.expect(200);
        assert_eq!(response, json!({ "success": true, "deletedCount": count }), "{user}");
        assert_eq!(all_ids(&app).await, left, "{user}");
    }
}

#[tokio::test]
async fn an_invalid_user_is_400() {
    let app = App::ai_logs().await;
    log(&app, json!({})).await;
    for user in [" ", &"x".repeat(256), "a\0"] {
        let body = app.delete(&format!("{LOGS}/user/{}", encoded(user))).await.expect(400);
        assert!(body["details"]["fields"]["user"].is_string(), "{body}");
    }
    app.delete(&format!("{LOGS}/user")).await.expect_error(400);
    assert_eq!(all_ids(&app).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simultaneous_deletes_count_each_entry_once() {
    let app = Arc::new(App::ai_logs().await);
    log_at(&app, &vec![("c", "2024-11-15 12:00:00", "ann"); 500]).await;
    let requests = (0..24).map(|client| {
        let app = app.clone();
        tokio::spawn(async move {
            match client % 3 {
                0 => {
                    let response = app.delete(&format!("{LOGS}/user/ann")).await.expect(200);
                    (response["deletedCount"].as_i64().unwrap(), 0)
                }
                1 => {
                    let status = app.delete(&format!("{LOGS}/{}", 1 + client)).await.status;
                    assert!(status == 200 || status == 404, "{status}");
                    (i64::from(status == 200), 0)
                }
                _ => {
                    log(&app, json!({ "user": "ann" })).await;
                    (0, 1)
                }
            }
        })
    });
    let (mut deleted, mut added) = (0, 0);
    for request in join_all(requests).await {
        let (gone, new) = request.unwrap();
        deleted += gone;
        added += new;
    }
    let left = i64::try_from(all_ids(&app).await.len()).unwrap();
    assert_eq!(500 + added, deleted + left, "{added} added, {deleted} deleted, {left} left");
    assert_all_agree(&ai_logs::store::check(&mut app.database.connect().await, 10).await.unwrap());
}
