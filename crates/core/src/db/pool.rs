//! The connections of an instance, kept from one request to the next.
//!
//! Nothing is sent on a connection that nobody uses. (sqlx's own pool pings each one that comes back: on Lambda that is
//! when the instance freezes, and then the next request would not find the connection, and open another; or, if the answer
//! got lost meanwhile, nobody would ever find it again.)

use std::{
    fmt,
    io::ErrorKind,
    ops::{Deref, DerefMut},
    time::Duration,
};

use backon::{ConstantBuilder, Retryable};
use deadpool::managed::{Manager, Metrics, Object, PoolError, RecycleError, RecycleResult};
use futures_util::future::join_all;
use sqlx::{Connection as _, Executor, MySqlConnection, mysql::MySqlConnectOptions};
use tokio::time::timeout;

use super::{DatabaseConfig, Failure, classify, connect_options};
use crate::{
    http::ApiError,
    lambda,
    metrics::{self, Metric, PoolWait},
    telemetry,
};

/// How long a request waits for a connection. The gateway gives up after 29 s, so waiting much longer helps nobody.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that was taken into use this long ago is checked before it is used again: while an instance is frozen no
/// timer runs, and the server or the network may have dropped it meanwhile (design, budgets, which allow thirty seconds).
/// Dropped in good order it would cost a reconnect anyway; forgotten by the network, it would keep a request waiting until
/// the function's end. Between requests that follow each other nobody is frozen for long, and the check costs a round
/// trip, so not at once.
const TRUSTED_TIME: Duration = Duration::from_secs(1);

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

/// Connections to a database. Clones share them.
#[derive(Clone)]
pub struct Pool {
    connections: deadpool::managed::Pool<Connector>,
    max_connections: u32,
}

/// A connection of a [`Pool`], while somebody uses it. It must be given back at the end, with [`end`](Self::end) or
/// [`rest`](Self::rest); one that is dropped before, half-way through an answer or a transaction, is closed.
#[must_use]
pub struct Connection(Option<Object<Connector>>);

struct Connector(MySqlConnectOptions);

impl Manager for Connector {
    type Type = MySqlConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<MySqlConnection, sqlx::Error> {
        let mut connection = MySqlConnection::connect_with(&self.0).await?;
        // Not prepared: the two statements go in one packet.
        connection.execute(sqlx::raw_sql(SESSION)).await?;
        metrics::count(Metric::DatabaseConnects, 1);
        Ok(connection)
    }

    async fn recycle(&self, connection: &mut MySqlConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.last_used() < TRUSTED_TIME {
            return Ok(());
        }
        match timeout(CHECK_TIMEOUT, connection.ping()).await {
            Ok(answer) => answer.map_err(RecycleError::Backend),
            Err(_) => Err(RecycleError::message("it does not answer")),
        }
    }
}

impl Pool {
    /// Connections to `database`, opened on demand; nothing is reached yet.
    pub fn new(config: &DatabaseConfig, database: &str) -> Self {
        let connector = Connector(connect_options(config, Some(database)));
        let max_connections = config.max_connections;
        let builder = deadpool::managed::Pool::builder(connector).max_size(max_connections as usize);
        let Ok(connections) = builder.build() else {
            unreachable!("only timeouts, of which none is set, need more to be said");
        };
        Self { connections, max_connections }
    }

    /// A connection, for a request, whose wait for it is measured.
    ///
    /// # Errors
    /// When none can be had in time.
    pub async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        let _wait = PoolWait::begin();
        self.take().await
    }

    async fn take(&self) -> Result<Connection, sqlx::Error> {
        let get = || async {
            self.connections.get().await.map_err(|error| match error {
                PoolError::Backend(error) => error,
                PoolError::Closed => sqlx::Error::PoolClosed,
                _ => sqlx::Error::PoolTimedOut,
            })
        };
        // A server that is being started anew will listen soon.
        let again = ConstantBuilder::new().with_delay(Duration::from_millis(50)).without_max_times();
        let connection = timeout(ACQUIRE_TIMEOUT, get.retry(again).when(is_refused)).await;
        connection.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|connection| Connection(Some(connection)))
    }

    /// Opens connections ahead of the first request, side by side: as many as the instance may have requests at once, since
    /// none uses more than one, and those that nobody uses are missing elsewhere. A failure is only logged: the request will
    /// try again.
    pub async fn warm_up(&self) {
        let connections = lambda::concurrency().min(self.max_connections);
        // All are held until the last one is there; else the first could be had twice.
        for opened in join_all((0..connections).map(|_| self.take())).await {
            match opened {
                Ok(connection) => connection.rest(),
                Err(error) => {
                    tracing::warn!(error = %telemetry::causes(&error), "the database was not reached during start-up");
                }
            }
        }
    }

    /// Closes what nobody uses, and gives nobody a connection any more.
    pub fn close(&self) {
        self.connections.close();
    }
}

/// Whether nobody listens where the server should be.
fn is_refused(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused)
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("max_connections", &self.max_connections).finish_non_exhaustive()
    }
}

impl Connection {
    /// Gives the connection back after `result`, unless that says that it broke; hands `result` on.
    ///
    /// # Errors
    /// The one in `result`.
    pub fn end<T>(self, result: Result<T, ApiError>) -> Result<T, ApiError> {
        match &result {
            Err(ApiError::Database(error)) if classify(error) == Failure::ConnectionLost => {}
            _ => self.rest(),
        }
        result
    }

    /// Gives the connection back, all of whose answers have been read.
    pub fn rest(mut self) {
        drop(self.0.take());
    }
}

impl Deref for Connection {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        match &self.0 {
            Some(connection) => connection,
            None => unreachable!("it is given back only when nobody has it any more"),
        }
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        match &mut self.0 {
            Some(connection) => connection,
            None => unreachable!("it is given back only when nobody has it any more"),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}
