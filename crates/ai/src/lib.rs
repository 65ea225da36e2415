//! The AI assistant: a proxy for Anthropic's Messages API. It holds the API key, limits the requests and tokens of each user,
//! streams answers, and logs exchanges.

pub mod anthropic;
pub mod betas;
mod chat_fields;
pub mod chat_request;
pub mod conversation_log;
mod error;
mod exchange;
pub mod limiter;
pub mod models;
mod raw_json;
mod routes;
mod stream;

use std::{future::ready, sync::Arc};

use app_core::{
    clock::Clock,
    config::{ConfigError, Env, HttpConfig, Stage, business_time_zone},
    db::{DatabaseConfig, Pool},
    lambda::DeploymentCheck,
};
use chrono_tz::Tz;

pub use error::AiError;
pub use routes::{openapi, router};

use crate::{
    anthropic::{Anthropic, AnthropicConfig},
    betas::Betas,
    conversation_log::ConversationLog,
    limiter::{Limiter, LimiterConfig},
    models::Models,
};

/// The state of the handlers.
#[derive(Clone)]
pub struct AiState {
    /// The client; `None` without an API key.
    pub anthropic: Option<Anthropic>,
    /// The models that clients may ask for.
    pub models: Arc<Models>,
    /// The beta features of Anthropic's API that clients may use.
    pub betas: Arc<Betas>,
    pub limiter: Limiter,
    pub conversation_log: ConversationLog,
}

/// The configuration of the function, read from the environment.
#[derive(Debug)]
pub struct AiConfig {
    pub http: HttpConfig,
    pub anthropic: AnthropicConfig,
    /// The models that clients may ask for.
    pub models: Models,
    /// The beta features of Anthropic's API that clients may use.
    pub betas: Betas,
    pub limiter: LimiterConfig,
    /// The time zone of the days of the token limit.
    zone: Tz,
    /// The main database, in which conversations are logged if `AI_LOG_CONVERSATIONS` is true.
    database: Option<(DatabaseConfig, String)>,
}

impl AiConfig {
    /// Reads the environment.
    ///
    /// # Errors
    /// One error that names every missing or malformed variable.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let stage = Stage::read(&mut env);
        let logs_conversations = env.parsed("AI_LOG_CONVERSATIONS", false, "true or false");
        let config = Self {
            http: HttpConfig::read(&mut env, stage),
            anthropic: AnthropicConfig::read(&mut env),
            models: Models::read(&mut env),
            betas: Betas::read(&mut env),
            limiter: LimiterConfig::read(&mut env),
            zone: business_time_zone(&mut env),
            database: logs_conversations
                .then(|| (DatabaseConfig::read(&mut env), DatabaseConfig::main_database(&mut env, stage))),
        };
        env.finish(config)
    }

    /// Creates the state. Nothing is connected yet.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn state(&self) -> Result<AiState, Box<dyn std::error::Error + Send + Sync>> {
        self.state_on(Pool::new)
    }

    /// Creates the state on connections that several functions share. `pool` is called if conversations are logged.
    ///
    /// # Errors
    /// As [`state`](Self::state).
    pub fn state_on(
        &self,
        pool: impl FnOnce(&DatabaseConfig, &str) -> Pool,
    ) -> Result<AiState, Box<dyn std::error::Error + Send + Sync>> {
        let clock = Clock::system(self.zone);
        let db = self.database.as_ref().map(|(server, database)| pool(server, database));
        Ok(AiState {
            anthropic: Anthropic::new(&self.anthropic)?,
            models: Arc::new(self.models.clone()),
            betas: Arc::new(self.betas.clone()),
            limiter: Limiter::new(&self.limiter, clock.clone()),
            conversation_log: ConversationLog::new(db, clock),
        })
    }
}

impl AiState {
    /// Opens all connections ahead of the first request, side by side.
    pub async fn warm_up(&self) {
        let anthropic = async {
            if let Some(anthropic) = &self.anthropic {
                anthropic.warm_up().await;
            }
        };
        tokio::join!(anthropic, self.limiter.warm_up(), self.conversation_log.warm_up());
    }

    /// Returns the checks of a deployment. None of them calls Anthropic, which costs money.
    pub fn deployment_check(&self) -> DeploymentCheck {
        let has_key = self.anthropic.is_some();
        let (limiter, log) = (self.limiter.clone(), self.conversation_log.clone());
        DeploymentCheck::new("ai")
            .check("API key", move || {
                ready(has_key.then_some(()).ok_or_else(|| "ANTHROPIC_API_KEY is not set".to_owned()))
            })
            .check("rate limit", move || {
                let limiter = limiter.clone();
                async move { limiter.check().await }
            })
            .check("conversation log", move || {
                let log = log.clone();
                async move { log.check().await }
            })
    }
}
