//! `GET /api/ai/health`

use rotracker_tests::{
    anthropic::FakeAnthropic,
    assistant::{Assistant, Options},
};
use serde_json::json;

#[tokio::test]
async fn health_reports_the_key_and_the_models() {
    for has_key in [true, false] {
        let assistant =
            Assistant::with(FakeAnthropic::start([]).await, Options { has_key, ..Options::default() }).await;
        let health = assistant.app.get("/api/ai/health").await.expect(200);
        assert_eq!((&health["status"], &health["apiKeyConfigured"]), (&json!("ok"), &json!(has_key)));
        assert_eq!(health["models"][0], "claude-sonnet-4-20250514");
        assert_eq!(health["models"].as_array().unwrap().len(), 5);
        assert!(assistant.anthropic.received().is_empty(), "nobody is asked");
    }
}
