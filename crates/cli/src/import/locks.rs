//! Keeps two imports from running at once.

use anyhow::{Context, Result, bail};
use app_core::db;
use sqlx::MySqlConnection;

use crate::migrate::Databases;

/// Only one import into each database may run at a time.
pub(super) struct ImportLocks {
    pub(super) names: Vec<String>,
    connection: MySqlConnection,
    pub(super) connection_id: u64,
}

impl ImportLocks {
    pub(super) async fn take(databases: &Databases) -> Result<Self> {
        let mut connection = db::connect(&databases.server, Some(&databases.main)).await.with_context(|| {
            format!("the database {} cannot be used; `rotracker migrate` creates it", databases.main)
        })?;
        // The connection is idle while the import runs.
        sqlx::query("SET SESSION wait_timeout = 604800").execute(&mut connection).await?;
        let connection_id: u64 =
            sqlx::query_scalar("SELECT CAST(CONNECTION_ID() AS UNSIGNED)").fetch_one(&mut connection).await?;
        let mut databases = vec![&databases.main, &databases.inventory];
        databases.sort();
        databases.dedup();
        let mut names = Vec::new();
        for database in databases {
            let name: String = sqlx::query_scalar("SELECT CONCAT('rotracker import ', LEFT(SHA2(?, 256), 40))")
                .bind(database)
                .fetch_one(&mut connection)
                .await?;
            let is_taken: Option<i64> =
                sqlx::query_scalar("SELECT GET_LOCK(?, 0)").bind(&name).fetch_one(&mut connection).await?;
            if is_taken != Some(1) {
                bail!("another import into {database} is running");
            }
            names.push(name);
        }
        Ok(Self { names, connection, connection_id })
    }

    pub(super) async fn release(&mut self) -> Result<()> {
        for name in &self.names {
            sqlx::query("DO RELEASE_LOCK(?)").bind(name).execute(&mut self.connection).await?;
        }
        Ok(())
    }
}
