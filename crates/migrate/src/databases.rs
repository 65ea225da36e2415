//! The databases of one installation.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use app_core::{
    config::{ConfigError, Env, Stage},
    db::{self, DatabaseConfig},
};
use sqlx::MySqlConnection;
use tokio::time::timeout;

/// How long connecting to the server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The databases of one installation.
#[derive(Clone, Debug)]
pub struct Databases {
    pub server: DatabaseConfig,
    /// The name of the main database.
    pub main: String,
    /// The name of the inventory database.
    pub inventory: String,
}

impl Databases {
    /// Reads the environment.
    ///
    /// # Errors
    /// One error that names every missing or malformed variable.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let stage = Stage::read(&mut env);
        let databases = Self {
            server: DatabaseConfig::read(&mut env),
            main: DatabaseConfig::main_database(&mut env, stage),
            inventory: DatabaseConfig::inventory_database(&mut env),
        };
        env.finish(databases)
    }
}

/// Connects to the database `name`, or to the server without a database.
///
/// # Errors
/// When the server cannot be reached within ten seconds or refuses the connection.
pub(crate) async fn connect(server: &DatabaseConfig, name: Option<&str>) -> Result<MySqlConnection> {
    let connected = match timeout(CONNECT_TIMEOUT, db::connect(server, name)).await {
        Ok(connected) => connected.map_err(anyhow::Error::new),
        Err(_) => Err(anyhow!("it does not answer within {} seconds", CONNECT_TIMEOUT.as_secs())),
    };
    connected.with_context(|| format!("the database server {}:{} cannot be used", server.host, server.port))
}

/// Returns the error and its causes in one line, without the causes that are already part of the text.
pub fn error_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
