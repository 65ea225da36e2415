//! The database: configuration, a pool fit for Lambda, and transactions that are retried where that is safe.

pub mod adoption;
mod config;
mod failure;
mod page;
mod transaction;

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::{Connection, Executor, MySql, MySqlPool, mysql::MySqlPoolOptions, pool::PoolConnection};
use tokio::time::timeout;

pub use config::{DatabaseConfig, TlsMode, connect_options};
pub use failure::{Failure, classify, is_duplicate_key, is_lock_refused, is_missing_table};
pub use page::{PageRow, PagedTable, push_period};
pub use transaction::{Transaction, retry};

use crate::{
    lambda,
    metrics::{self, Metric, PoolWait},
    telemetry,
};

/// How long a request waits for a connection. The gateway gives up after 29 s, so waiting much longer helps nobody.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that rested this long is checked before use: while an instance is frozen no timer runs, and the server or
/// the network may have dropped it meanwhile (design, budgets, which allow thirty seconds). Dropped in good order it
/// would cost a reconnect anyway; forgotten by the network, it would keep a request waiting until the function's end.
/// Between requests that follow each other nobody is frozen for long, and the check costs a round trip, so not at once.
const TRUSTED_IDLE_TIME: Duration = Duration::from_secs(1);

/// How long that check may take; there must be time left to connect anew.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// What every session needs, in one round trip:
/// - text arrives and compares the same on MySQL and MariaDB, whose defaults differ;
/// - strict mode, so that a value that does not fit is an error and never cut;
/// - READ COMMITTED: every statement sees one moment, and looking for a row that is not there locks no gap;
/// - short lock waits: a deadlock or a held lock is retried by us instead of blocking past the gateway's patience.
const SESSION: &str = "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_520_ci, \
     sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', innodb_lock_wait_timeout = 3; \
     SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// A pool on `database` that opens its connections on demand; nothing is reached yet.
pub fn pool(config: &DatabaseConfig, database: &str) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        // sqlx would ping before every use; a connection that was just used is fine.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for < TRUSTED_IDLE_TIME {
                    return Ok(true);
                }
                Ok(timeout(CHECK_TIMEOUT, connection.ping()).await.is_ok_and(|answered| answered.is_ok()))
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                // Not prepared: the two statements go in one packet.
                connection.execute(sqlx::raw_sql(SESSION)).await?;
                metrics::count(Metric::DatabaseConnects, 1);
                Ok(())
            })
        })
        .connect_lazy_with(connect_options(config, Some(database)))
}

/// A connection of the pool, for a request, whose wait for it is measured.
///
/// # Errors
/// When none can be had in time.
pub async fn acquire(pool: &MySqlPool) -> Result<PoolConnection<MySql>, sqlx::Error> {
    let _wait = PoolWait::begin();
    pool.acquire().await
}

/// Opens connections ahead of the first request, side by side: as many as the instance may have requests at once, since
/// none uses more than one, and those that nobody uses are missing elsewhere. A failure is only logged: the request will
/// try again.
pub async fn warm_up(pool: &MySqlPool) {
    let connections = lambda::concurrency().min(pool.options().get_max_connections());
    // All are held until the last one is there; else the first could be had twice.
    let opened = join_all((0..connections).map(|_| pool.acquire())).await;
    if let Some(error) = opened.iter().find_map(|opened| opened.as_ref().err()) {
        tracing::warn!(error = %telemetry::causes(error), "the database was not reached during start-up");
    }
}
