//! The log of what people asked the AI assistant and what it answered: entered, read, counted, deleted.

pub mod model;
pub mod prune;
mod routes;
pub mod sql;
pub mod store;

use app_core::{
    clock::Clock,
    config::{ConfigError, Env, HttpConfig, Stage},
    db::{DatabaseConfig, Pool},
};

pub use routes::{openapi, router};

/// What the handlers work with.
#[derive(Clone)]
pub struct AiLogsState {
    /// The main database.
    pub db: Pool,
    /// Says when an entry is made.
    pub clock: Clock,
}

/// Everything the function reads from the environment.
#[derive(Debug)]
pub struct AiLogsConfig {
    /// Who may ask, and from where.
    pub http: HttpConfig,
    database: DatabaseConfig,
    database_name: String,
}

impl AiLogsConfig {
    /// Reads the environment.
    ///
    /// # Errors
    /// One error that names every missing or malformed variable.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let stage = Stage::read(&mut env);
        let config = Self {
            http: HttpConfig::read(&mut env, stage),
            database: DatabaseConfig::read(&mut env),
            database_name: DatabaseConfig::main_database(&mut env, stage),
        };
        env.finish(config)
    }

    /// The state that this configuration describes; nothing is connected yet.
    pub fn state(&self) -> AiLogsState {
        // Only instants matter here, and they are the same in every time zone.
        AiLogsState { db: Pool::new(&self.database, &self.database_name), clock: Clock::system(chrono_tz::Tz::UTC) }
    }
}
