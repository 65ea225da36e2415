//! The number of database statements per request. Each costs a round trip, so they determine the latency when function
//! and database are in different places.

use rotracker_tests::{
    App, TestDatabase,
    app::{acquire, path_of},
    counters::counter,
};
use serde_json::json;
use sqlx::Row;

/// The number of statements that the only connection of the pool has sent, including this one.
async fn statements(app: &App) -> i64 {
    let questions = sqlx::raw_sql("SHOW SESSION STATUS LIKE 'Questions'");
    let row = questions.fetch_one(&mut *app.connection().await).await.unwrap();
    row.get::<String, _>(1).parse().unwrap()
}

#[tokio::test]
async fn sessions_are_strict_and_read_committed() {
    let database = TestDatabase::migrated().await;
    let mut connection = acquire(&database.pool(1)).await;
    let mode: String = sqlx::query_scalar("SELECT @@SESSION.sql_mode").fetch_one(&mut *connection).await.unwrap();
    assert!(mode.contains("STRICT_ALL_TABLES"), "{mode}");
    let row = sqlx::query("SHOW SESSION VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')");
    assert_eq!(row.fetch_one(&mut *connection).await.unwrap().get::<String, _>(1), "READ-COMMITTED");
}

#[tokio::test]
async fn statement_counts_stay_within_limits() {
    let database = TestDatabase::migrated().await;
    let pool = database.pool(1);
    let app = App::on(database, pool);
    let order = app.create("RO1").await;
    let path = path_of(&order);
    app.create("RO0").await;
    let first = app.get("/api/ros?limit=1").await;
    let cursor = format!("/api/ros?limit=1&cursor={}", first.header("x-next-cursor").unwrap());
    let mut requests = 3;
    for (case, budget, method, path, body) in [
        ("health", 1, "GET", "/health", None),
        ("list", 1, "GET", "/api/ros", None),
        ("page", 2, "GET", "/api/ros?limit=10&offset=5", None),
        ("page by cursor", 2, "GET", cursor.as_str(), None),
        ("filtered list", 2, "GET", "/api/ros?archiveStatus=ALL&q=x&statusClass=approved&shop=x&overdue=true", None),
        ("export", 2, "GET", "/api/ros/export?archiveStatus=ALL&statusClass=approved", None),
        ("follow-ups", 2, "GET", "/api/ros/follow-ups", None),
        ("get", 1, "GET", path.as_str(), None),
        ("get by number", 1, "GET", "/api/ros/by-number/RO1", None),
        ("history", 2, "GET", "/api/ros/by-number/RO1/history?limit=10", None),
        ("get of nothing", 1, "GET", "/api/ros/999999", None),
        ("dashboard", 1, "GET", "/api/ros/stats/dashboard", None),
        ("bad request", 0, "POST", "/api/ros", Some(json!({}))),
        ("create", 4, "POST", "/api/ros", Some(rotracker_tests::app::new_order(json!({ "roNumber": "RO2" })))),
        (
            "create of a taken number",
            3,
            "POST",
            "/api/ros",
            Some(rotracker_tests::app::new_order(json!({ "roNumber": "RO2" }))),
        ),
        ("update", 5, "PATCH", path.as_str(), Some(json!({ "notes": "x" }))),
        ("update with values that are there", 3, "PATCH", path.as_str(), Some(json!({ "notes": "x" }))),
        ("rename", 5, "PATCH", path.as_str(), Some(json!({ "roNumber": "RO3" }))),
        ("status", 5, "PATCH", "/api/ros/by-number/RO3/status", Some(json!({ "status": "APPROVED" }))),
        ("move", 6, "PATCH", path.as_str(), Some(json!({ "archiveStatus": "PAID" }))),
        ("archive", 6, "POST", "/api/ros/by-number/RO3/archive", Some(json!({ "archiveStatus": "NET" }))),
        ("delete", 5, "DELETE", path.as_str(), None),
        ("keyed create", 7, "KEYED", "/api/ros", Some(rotracker_tests::app::new_order(json!({ "roNumber": "RO4" })))),
        (
            "keyed create, again",
            3,
            "KEYED",
            "/api/ros",
            Some(rotracker_tests::app::new_order(json!({ "roNumber": "RO4" }))),
        ),
    ] {
        let before = statements(&app).await;
        let response = match &body {
            Some(body) if method == "KEYED" => app.post_once("a key", path, body).await,
            Some(body) => app.send_json(method.parse().unwrap(), path, body).await,
            None => app.send_text(method.parse().unwrap(), path, "").await,
        };
        let spent = statements(&app).await - before - 1;
        assert_eq!(spent, budget, "{case} returned {}", response.status);
        assert!(!response.status.is_server_error());
        requests += 1;
    }
    // A connection is not pinged when it returns to the pool, because Lambda freezes the instance then. On a slow
    // machine, a connection may be idle long enough to be checked before use, once or twice.
    assert!(counter(&app, "Com_admin_commands").await < requests, "each request cost a ping");
}
