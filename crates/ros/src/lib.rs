//! Repair orders. Four tables, one for each archive status, share one sequence of ids and one registry of numbers.

pub mod model;
mod routes;
pub mod store;

use std::time::Instant;

use app_core::{
    clock::Clock,
    config::{ConfigError, Env, HttpConfig, Stage, business_time_zone},
    db::{DatabaseConfig, Pool},
};

pub use routes::{openapi, router};

/// The state of the handlers.
#[derive(Clone)]
pub struct RosState {
    pub db: Pool,
    pub clock: Clock,
    /// The start of the process, for `uptime`.
    pub started: Instant,
}

impl RosState {
    pub fn new(db: Pool, clock: Clock) -> Self {
        Self { db, clock, started: Instant::now() }
    }
}

/// The configuration of the function, read from the environment.
#[derive(Debug)]
pub struct RosConfig {
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

    /// Creates the state. Nothing is connected yet.
    pub fn state(&self) -> RosState {
        self.state_on(Pool::new(&self.database, &self.database_name))
    }

    /// Creates the state on connections that several functions share.
    pub fn state_on(&self, db: Pool) -> RosState {
        RosState::new(db, Clock::system(self.zone))
    }
}
