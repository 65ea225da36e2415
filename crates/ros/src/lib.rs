//! Repair orders: what was sent to which shop, how far it is, what it costs. Four tables, one for each archive
//! status, share one sequence of ids and one registry of numbers.

pub mod adoption;
pub mod history;
pub mod model;
mod routes;
pub mod sql;
pub mod store;

use std::time::Instant;

use app_core::{
    clock::Clock,
    config::{ConfigError, Env, HttpConfig, Stage, business_time_zone},
    db::{DatabaseConfig, Pool},
};

pub use routes::{openapi, router};

/// What the handlers work with.
#[derive(Clone)]
pub struct RosState {
    /// The main database.
    pub db: Pool,
    /// Says what "today" is.
    pub clock: Clock,
    /// When the process started, for `uptime`.
    pub started: Instant,
}

impl RosState {
    /// State on `db`, starting now.
    pub fn new(db: Pool, clock: Clock) -> Self {
        Self { db, clock, started: Instant::now() }
    }
}

/// Everything the function reads from the environment.
#[derive(Debug)]
pub struct RosConfig {
    /// Who may ask, and from where.
    pub http: HttpConfig,
    database: DatabaseConfig,
    database_name: String,
    zone: chrono_tz::Tz,
}

impl RosConfig {
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
            zone: business_time_zone(&mut env),
        };
        env.finish(config)
    }

    /// The state that this configuration describes; nothing is connected yet.
    pub fn state(&self) -> RosState {
        RosState::new(Pool::new(&self.database, &self.database_name), Clock::system(self.zone))
    }
}
