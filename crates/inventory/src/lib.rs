//! Inventory: the parts on the shelves. There are eleven tables that grew out of Excel sheets, an index of all of them, which has
//! the quantities that count, and a ledger of every change of a quantity.

pub mod model;
mod part_locks;
pub mod reindex;
mod routes;
pub mod store;

use app_core::{
    clock::Clock,
    config::{ConfigError, Env, HttpConfig, Stage, business_time_zone},
    db::{DatabaseConfig, Pool},
};

pub use part_locks::PartLocks;
pub use routes::{openapi, router};

/// The state of the handlers.
#[derive(Clone)]
pub struct InventoryState {
    pub db: Pool,
    pub clock: Clock,
    /// The locks that changes of quantities take first.
    pub part_locks: PartLocks,
}

impl InventoryState {
    pub fn new(db: Pool, clock: Clock) -> Self {
        Self { db, clock, part_locks: PartLocks::default() }
    }
}

/// The configuration of the function, read from the environment.
#[derive(Debug)]
pub struct InventoryConfig {
    pub http: HttpConfig,
    database: DatabaseConfig,
    database_name: String,
    zone: chrono_tz::Tz,
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
            zone: business_time_zone(&mut env),
        };
        env.finish(config)
    }

    /// Creates the state. Nothing is connected yet.
    pub fn state(&self) -> InventoryState {
        self.state_on(Pool::new(&self.database, &self.database_name))
    }

    /// Creates the state on connections that several functions share.
    pub fn state_on(&self, db: Pool) -> InventoryState {
        InventoryState::new(db, Clock::system(self.zone))
    }
}
