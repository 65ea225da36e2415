//! `DELETE /api/ai-logs/{id}`

use std::sync::Arc;

use futures_util::future::join_all;
use rotracker_tests::App;
use serde_json::json;

use super::{LOGS, all_ids, log};

#[tokio::test]
async fn only_that_entry_is_deleted() {
    let app = App::ai_logs().await;
    let (first, second) = (log(&app, json!({})).await, log(&app, json!({})).await);
    let response = app.delete(&format!("{LOGS}/{first}")).await.expect(200);
    assert_eq!(response, json!({ "success": true, "message": "Log deleted" }));
    assert_eq!(app.delete(&format!("{LOGS}/{first}")).await.expect_error(404), "Log not found");
    assert_eq!(all_ids(&app).await, [second]);
    app.delete(&format!("/.netlify/functions/api/ai-logs/{second}")).await.expect(200);
    assert!(all_ids(&app).await.is_empty());
}

#[tokio::test]
async fn unknown_ids_are_404_and_invalid_ones_400() {
    let app = App::ai_logs().await;
    let id = log(&app, json!({})).await;
    for unknown in ["0", "999999", "99999999999999999999999"] {
        app.delete(&format!("{LOGS}/{unknown}")).await.expect_error(404);
    }
    for wrong in ["x", "-1", "1.5", "1x", "%201", "1%20OR%201"] {
        let body = app.delete(&format!("{LOGS}/{wrong}")).await.expect(400);
        assert!(body["details"]["fields"]["id"].is_string(), "{wrong}: {body}");
    }
    app.get(&format!("{LOGS}/{id}")).await.expect_error(405);
    app.delete(&format!("{LOGS}/stats")).await.expect_error(405);
    app.delete(LOGS).await.expect_error(405);
    assert_eq!(all_ids(&app).await, [id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_simultaneous_deletes_one_succeeds() {
    let app = Arc::new(App::ai_logs().await);
    for _ in 0..5 {
        let id = log(&app, json!({})).await;
        let deletes = (0..16).map(|_| {
            let app = app.clone();
            tokio::spawn(async move { app.delete(&format!("{LOGS}/{id}")).await.status.as_u16() })
        });
        let mut statuses: Vec<u16> = join_all(deletes).await.into_iter().map(Result::unwrap).collect();
        statuses.sort_unstable();
        assert_eq!((statuses[0], &statuses[1..]), (200, [404; 15].as_slice()));
    }
}
