//! Inventory: the parts on the shelves, in eleven tables that grew out of Excel sheets, one index over all of them, and
//! a ledger of every change of a quantity.
//!
//! The index is where quantities live; a part's row in its table follows it.

pub mod model;
pub mod reindex;
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
pub struct InventoryState {
    /// The inventory database.
    pub db: Pool,
    /// Says when a change happens.
    pub clock: Clock,
}

/// Everything the function reads from the environment.
#[derive(Debug)]
pub struct InventoryConfig {
    /// Who may ask, and from where.
    pub http: HttpConfig,
    database: DatabaseConfig,
    database_name: String,
}

impl InventoryConfig {
    /// Reads the environment.
    ///
    /// # Errors
    /// One error that names every missing or malformed variable.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let stage = Stage::read(&mut env);
        let config = Self {
            http: HttpConfig::read(&mut env, stage),
            database: DatabaseConfig::read(&mut env),
            database_name: DatabaseConfig::inventory_database(&mut env),
        };
        env.finish(config)
    }

    /// The state that this configuration describes; nothing is connected yet.
    pub fn state(&self) -> InventoryState {
        // Only instants matter here, and they are the same in every time zone.
        InventoryState { db: Pool::new(&self.database, &self.database_name), clock: Clock::system(chrono_tz::Tz::UTC) }
    }
}
