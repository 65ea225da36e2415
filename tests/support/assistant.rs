//! The `ai` function's router before a stand-in for Anthropic, a DynamoDB emulator and a database.

use std::{sync::Arc, time::Duration};

use ai::{
    AiState,
    anthropic::{Anthropic, AnthropicConfig, Timeouts},
    conversation_log::ConversationLog,
    limiter::{Limiter, LimiterConfig, Policy},
    models::Models,
};
use app_core::{config::HttpConfig, http::with_layers, lambda::Delivery};
use axum::{Router, body::Body};
use futures_util::StreamExt;
use http::{Request, header};
use rotracker_cli::dynamodb::DynamoDb;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    App, TestDatabase, TestResponse,
    anthropic::FakeAnthropic,
    app::{clock, http_config},
    dynamodb::{emulator, limiter_config},
};

/// A key that must be seen nowhere but in the requests to Anthropic.
pub const CANARY_KEY: &str = "sk-canary-7f3a91";

/// What differs from test to test.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often a user may ask.
    pub limit: u32,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Whether there is a key.
    pub has_key: bool,
    /// Who asks, and the other layers.
    pub http: HttpConfig,
}

impl Default for Options {
    fn default() -> Self {
        Self { limit: 50, timeouts: Timeouts::default(), has_key: true, http: http_config() }
    }
}

/// The function on parts of its own, on 15 November 2024 at noon.
pub struct Assistant {
    /// The layers and routes that the Lambda serves, and the main database in which exchanges are logged.
    pub app: App,
    /// Anthropic.
    pub anthropic: FakeAnthropic,
    /// Where admissions are kept.
    pub dynamodb: DynamoDb,
    /// A limiter of another instance.
    pub limiter: Limiter,
}

impl Assistant {
    /// The function before `anthropic`.
    pub async fn start(anthropic: FakeAnthropic) -> Self {
        Self::with(anthropic, Options::default()).await
    }

    /// The function before `anthropic`, with `options`.
    pub async fn with(anthropic: FakeAnthropic, options: Options) -> Self {
        let dynamodb = emulator().await;
        let policy = Policy { limit: options.limit, window_seconds: 60 };
        let limiter = limiter_config(&dynamodb.endpoint, policy);
        let url = anthropic.url.clone();
        let app = app(&url, &limiter, &options).await;
        Self { limiter: Limiter::new(&limiter, app.clock.clone()), app, anthropic, dynamodb }
    }

    /// Asks, and reads the answer to its end.
    pub async fn ask(&self, body: &Value) -> TestResponse {
        self.app.post("/api/ai/chat", body).await
    }

    /// Asks, and gives the answer's parts as they come.
    pub async fn stream(&self, body: &Value) -> Stream {
        let request = Request::post("/api/ai/chat")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request");
        let response = self.app.router.clone().oneshot(request).await.expect("the router does not fail");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        Stream { parts: response.into_body().into_data_stream() }
    }

    /// What is in the log of conversations.
    pub async fn log(&self) -> Vec<Logged> {
        sqlx::query_as(
            "SELECT conversation_id, user, user_message, ai_response, success, error, model, duration_ms, \
             context_ro_count, input_tokens, output_tokens, cached_tokens FROM ai_conversation_logs ORDER BY id",
        )
        .fetch_all(&mut *self.app.connection().await)
        .await
        .expect("the log can be read")
    }
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Logged {
    pub conversation_id: String,
    pub user: String,
    pub user_message: String,
    pub ai_response: String,
    pub success: bool,
    pub error: Option<String>,
    pub model: Option<String>,
    pub duration_ms: Option<i64>,
    pub context_ro_count: Option<i64>,
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    pub cached_tokens: Option<i64>,
}

/// The function with its log in a new database.
pub async fn app(anthropic_url: &str, limiter: &LimiterConfig, options: &Options) -> App {
    let database = TestDatabase::migrated().await;
    let pool = database.large_pool();
    let clock = clock();
    let config = AnthropicConfig {
        base_url: anthropic_url.to_owned(),
        key: options.has_key.then(|| CANARY_KEY.into()),
        version: "2023-06-01".to_owned(),
        timeouts: options.timeouts,
    };
    let state = AiState {
        anthropic: Anthropic::new(&config).expect("the client can be set up"),
        models: Arc::new(Models::default()),
        limiter: Limiter::new(limiter, clock.clone()),
        conversation_log: ConversationLog::new(Some(pool.clone()), clock.clone()),
    };
    let router: Router = with_layers(ai::router(state), &options.http, Delivery::Streaming);
    App { router, pool, clock, database }
}

/// Timeouts for a stand-in that falls silent: a short one between events and until the first, when there is none.
pub fn short() -> Timeouts {
    let short = Duration::from_millis(500);
    Timeouts { first_byte: short, between_events: short, ..Timeouts::default() }
}

/// The body of a chat with `fields` beside one message.
pub fn chat(fields: &Value) -> Value {
    let mut body = json!({ "messages": [{ "role": "user", "content": "Show me overdue ROs" }] });
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    body
}

/// An answer that is being streamed.
pub struct Stream {
    parts: axum::body::BodyDataStream,
}

impl Stream {
    /// The next part, as it came; none at the end.
    pub async fn next(&mut self) -> Option<String> {
        let part = self.parts.next().await?.expect("the stream does not break");
        Some(String::from_utf8(part.to_vec()).expect("events are text"))
    }

    /// The data of all events that are left.
    pub async fn data(mut self) -> Vec<String> {
        let mut text = String::new();
        while let Some(part) = self.next().await {
            text.push_str(&part);
        }
        text.split_terminator("\n\n")
            .map(|event| event.strip_prefix("data: ").unwrap_or_else(|| panic!("no data line: {event}")).to_owned())
            .collect()
    }
}
