//! The assistant: a proxy for Anthropic's Messages API that keeps the key, limits how often a person may ask, streams
//! answers on as they come, and enters exchanges in the log.

pub mod anthropic;
pub mod chat;
mod error;
pub mod journal;
pub mod limiter;
pub mod models;
mod routes;
mod stream;

use std::sync::Arc;

use app_core::{
    clock::Clock,
    config::{ConfigError, Env, HttpConfig, Stage},
    db::{DatabaseConfig, Pool},
};

pub use error::AiError;
pub use routes::{openapi, router};

use crate::{
    anthropic::{Anthropic, AnthropicConfig},
    journal::Journals,
    limiter::{Limiter, LimiterConfig},
    models::Models,
};

/// What the handlers work with.
#[derive(Clone)]
pub struct AiState {
    /// Anthropic, where there is a key.
    pub anthropic: Option<Anthropic>,
    /// The models that clients may ask for.
    pub models: Arc<Models>,
    /// Who may ask how often.
    pub limiter: Limiter,
    /// The log of conversations.
    pub journals: Journals,
}

/// Everything the function reads from the environment.
#[derive(Debug)]
pub struct AiConfig {
    /// Who may ask, and from where.
    pub http: HttpConfig,
    /// Anthropic.
    pub anthropic: AnthropicConfig,
    /// The models that clients may ask for.
    pub models: Models,
    /// Who may ask how often.
    pub limiter: LimiterConfig,
    /// The main database, where conversations are logged: with `AI_LOG_CONVERSATIONS=true`.
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
            limiter: LimiterConfig::read(&mut env),
            database: logs_conversations
                .then(|| (DatabaseConfig::read(&mut env), DatabaseConfig::main_database(&mut env, stage))),
        };
        env.finish(config)
    }

    /// The state that this configuration describes; nothing is connected yet.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn state(&self) -> Result<AiState, Box<dyn std::error::Error + Send + Sync>> {
        // Only instants matter here, and they are the same in every time zone.
        let clock = Clock::system(chrono_tz::Tz::UTC);
        let db = self.database.as_ref().map(|(server, database)| Pool::new(server, database));
        Ok(AiState {
            anthropic: Anthropic::new(&self.anthropic)?,
            models: Arc::new(self.models.clone()),
            limiter: Limiter::new(&self.limiter, clock.clone()),
            journals: Journals::new(db, clock),
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
        tokio::join!(anthropic, self.limiter.warm_up(), self.journals.warm_up());
    }
}
