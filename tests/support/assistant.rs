//! The `ai` function's router with a fake Anthropic, a DynamoDB emulator and a database.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use ai::{
    AiState,
    anthropic::{Anthropic, AnthropicConfig, Timeouts},
    betas::Betas,
    conversation_log::ConversationLog,
    limiter::{Limiter, LimiterConfig, OnFailure, RequestLimit},
    models::Models,
};
use app_core::{clock::Clock, config::HttpConfig, http::with_layers, lambda::Delivery};
use axum::{Router, body::Body};
use chrono_tz::Tz;
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

/// An API key that may appear only in requests to Anthropic.
pub const CANARY_KEY: &str = "sk-canary-7f3a91";

/// A message of an error of Anthropic that has the key, and must be in no response and no log.
pub const LEAK: &str = "the key is sk-canary-7f3a91, said the server";

/// Settings that tests override.
#[derive(Clone, Debug)]
pub struct Options {
    /// Requests per minute and user.
    pub limit: u32,
    /// Tokens per day and user; 0 for no limit.
    pub tokens_per_day: u64,
    /// The decision while DynamoDB fails.
    pub on_failure: OnFailure,
    /// The time zone of the business.
    pub zone: Tz,
    pub timeouts: Timeouts,
    /// Whether an API key is configured.
    pub has_key: bool,
    /// `AI_BETAS`.
    pub betas: String,
    /// Authentication and the other HTTP settings.
    pub http: HttpConfig,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limit: 50,
            tokens_per_day: 0,
            on_failure: OnFailure::Deny,
            zone: Tz::UTC,
            timeouts: Timeouts::default(),
            has_key: true,
            betas: String::new(),
            http: http_config(),
        }
    }
}

/// The function with dependencies of its own; its clock stands at noon on 15 November 2024.
pub struct Assistant {
    /// The router, and the database with the conversation log.
    pub app: App,
    pub anthropic: FakeAnthropic,
    /// The emulator with the rate limit table.
    pub dynamodb: DynamoDb,
    /// A limiter on the same table, as another instance has it.
    pub limiter: Limiter,
}

impl Assistant {
    /// Starts the function with the default options.
    pub async fn start(anthropic: FakeAnthropic) -> Self {
        Self::with(anthropic, Options::default()).await
    }

    /// Starts the function with `options`.
    pub async fn with(anthropic: FakeAnthropic, options: Options) -> Self {
        let dynamodb = emulator().await;
        let endpoint = dynamodb.endpoint.clone();
        Self::on(&endpoint, anthropic, dynamodb, options).await
    }

    /// Starts the function with `options`. It calls `dynamodb` at `endpoint`, which may be a proxy.
    pub async fn on(endpoint: &str, anthropic: FakeAnthropic, dynamodb: DynamoDb, options: Options) -> Self {
        let policy = RequestLimit { limit: options.limit, window_seconds: 60 };
        let limiter = LimiterConfig {
            tokens_per_day: NonZeroU64::new(options.tokens_per_day),
            on_failure: options.on_failure,
            ..limiter_config(endpoint, policy)
        };
        let url = anthropic.url.clone();
        let app = app(&url, &limiter, &options).await;
        Self { limiter: Limiter::new(&limiter, app.clock.clone()), app, anthropic, dynamodb }
    }

    /// Sends a chat request and reads the whole response.
    pub async fn ask(&self, body: &Value) -> TestResponse {
        self.app.post("/api/ai/chat", body).await
    }

    /// Sends a chat request and returns the streamed response.
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

    /// Reads the conversation log.
    pub async fn log(&self) -> Vec<Logged> {
        sqlx::query_as(
            "SELECT conversation_id, user, user_message, ai_response, success, error, model, duration_ms, \
             context_ro_count, input_tokens, output_tokens, cached_tokens, stop_reason, tools FROM ai_conversation_logs ORDER BY id",
        )
        .fetch_all(&mut *self.app.connection().await)
        .await
        .expect("the log can be read")
    }
}

/// A row of the conversation log.
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
    pub stop_reason: Option<String>,
    pub tools: Option<String>,
}

/// The function with its conversation log in a new database.
pub async fn app(anthropic_url: &str, limiter: &LimiterConfig, options: &Options) -> App {
    let database = TestDatabase::migrated().await;
    let pool = database.large_pool();
    let clock = Clock::standing_at(clock().now(), options.zone);
    let config = AnthropicConfig {
        base_url: anthropic_url.to_owned(),
        key: options.has_key.then(|| CANARY_KEY.into()),
        version: "2023-06-01".to_owned(),
        timeouts: options.timeouts,
    };
    let state = AiState {
        anthropic: Anthropic::new(&config).expect("the client can be set up"),
        models: Arc::new(Models::default()),
        betas: Arc::new(Betas::read(&mut [("AI_BETAS".to_owned(), options.betas.clone())].into_iter().collect())),
        limiter: Limiter::new(limiter, clock.clone()),
        conversation_log: ConversationLog::new(Some(pool.clone()), clock.clone()),
    };
    let router: Router = with_layers(ai::router(state), &options.http, Delivery::Streaming);
    App { router, pool, clock, database }
}

/// Timeouts for an upstream that sends nothing: half a second until the first event and between events.
pub fn short() -> Timeouts {
    let short = Duration::from_millis(500);
    Timeouts { first_byte: short, between_events: short, ..Timeouts::default() }
}

/// The body of a chat request: one message and `fields`.
pub fn chat(fields: &Value) -> Value {
    let mut body = json!({ "messages": [{ "role": "user", "content": "Show me overdue ROs" }] });
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    body
}

/// A response that is being streamed.
pub struct Stream {
    parts: axum::body::BodyDataStream,
}

impl Stream {
    /// Returns the next chunk as received, or `None` at the end.
    pub async fn next(&mut self) -> Option<String> {
        let part = self.parts.next().await?.expect("the stream does not break");
        Some(String::from_utf8(part.to_vec()).expect("events are text"))
    }

    /// Returns the data of all remaining events.
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
