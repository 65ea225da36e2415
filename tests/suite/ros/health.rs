//! `GET /health`

use app_core::db::{DatabaseConfig, Pool};
use rotracker_tests::{App, TestDatabase, database::server};
use serde_json::json;

#[tokio::test]
async fn health_says_that_the_database_is_connected() {
    let app = App::start().await;
    for path in ["/health", "/api/health", "/.netlify/functions/health", "/.netlify/functions/api/health"] {
        let body = app.get(path).await.expect(200);
        let expected = json!({ "status": "ok", "timestamp": "2024-11-15T12:00:00.000Z", "uptime": body["uptime"], "database": "connected" });
        assert_eq!(body, expected);
        assert!(body["uptime"].as_u64().is_some());
    }
}

#[tokio::test]
async fn health_is_503_when_the_database_cannot_be_reached() {
    let database = TestDatabase::empty().await;
    // No server listens on this port, which was just free.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = DatabaseConfig { host: "127.0.0.1".to_owned(), port, ..server().clone() };
    let app = App::on(database, Pool::new(&config, "nowhere"));
    let body = app.get("/health").await.expect(503);
    assert_eq!((&body["database"], &body["error"]), (&json!("disconnected"), &json!("Service unavailable")));
    let response = app.get("/api/ros").await;
    assert_eq!(response.header("retry-after"), Some("1"));
    let message = response.expect_error(503);
    assert!(!message.contains("127.0.0.1"), "{message}");
}
