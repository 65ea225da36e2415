//! The log of the AI assistant: questions and answers, which can be inserted, listed, counted and deleted.

pub mod model;
pub mod prune;
mod routes;
pub mod store;

use app_core::{
    clock::Clock,
    config::{ConfigError, Env, HttpConfig, Stage},
    db::{DatabaseConfig, Pool},
};

pub use routes::{openapi, router};

/// The state of the handlers.
#[derive(Clone)]
pub struct AiLogsState {
    pub db: Pool,
    pub clock: Clock,
}

/// The configuration of the function, read from the environment.
#[derive(Debug)]
pub struct AiLogsConfig {
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

    /// Creates the state. Nothing is connected yet.
    pub fn state(&self) -> AiLogsState {
        self.state_on(Pool::new(&self.database, &self.database_name))
    }

    /// Creates the state on connections that several functions share.
    pub fn state_on(&self, db: Pool) -> AiLogsState {
        // This function has no dates, only instants, for which the time zone does not matter.
        AiLogsState { db, clock: Clock::system(chrono_tz::Tz::UTC) }
    }
}
