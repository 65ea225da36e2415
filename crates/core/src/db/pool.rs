//! The connections of an instance, kept from one request to the next.
//!
//! Nothing is sent on a connection while no request uses it. sqlx's own pool pings each connection that comes back. On
//! Lambda the instance freezes at that moment: the next request would find the connection still busy and open another, and
//! if the answer to the ping is lost during the freeze, the connection never comes back at all. Hence `deadpool`.

use std::{
    fmt,
    io::ErrorKind,
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use backon::{ConstantBuilder, Retryable};
use deadpool::managed::{Manager, Metrics, Object, PoolError, RecycleError, RecycleResult};
use futures_util::future::join_all;
use sqlx::{Connection as _, Executor, MySqlConnection, mysql::MySqlConnectOptions};
use tokio::time::timeout;

use super::{
    DatabaseConfig, Failure, classify,
    config::{connect_options, connect_with},
    failure,
};
use crate::{
    http::ApiError,
    lambda,
    metrics::{self, Metric, PoolWait},
    telemetry,
};

/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that was last used longer ago than this is pinged before it is used again. The instance may have been frozen
/// meanwhile, and the server or the network may have dropped the connection without a word; a request would then wait on it
/// until the function times out. Requests in quick succession skip the ping, which costs a round trip.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);

/// How long the ping may take. A request must have time left to open a new connection.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Sets up every session, in one round trip:
/// - one character set and collation, because the defaults of MySQL and MariaDB differ;
/// - strict mode, so that a value that does not fit its column is an error and never cut;
/// - times in UTC;
/// - READ COMMITTED, so that every statement sees the latest commits and a search for a missing row locks no gap;
/// - waits of at most 3 s for locks on rows and on whole tables, so that a request can be retried before the gateway gives up;
/// - JSON aggregates of any length, which MariaDB would cut at 1 MB;
/// - ten idle minutes, after which the server closes the connection. It would keep those of a frozen instance that ended for eight
///   hours, and count them towards `max_connections`;
/// - `@program`, by which triggers tell the writes of this program from those of others.
const SESSION: &str = "
    SET NAMES utf8mb4 COLLATE utf8mb4_unicode_520_ci,
        sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
        time_zone = '+00:00',
        innodb_lock_wait_timeout = 3,
        lock_wait_timeout = 3,
        group_concat_max_len = 4294967295,
        wait_timeout = 600,
        @program = 'rotracker';
    SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// Connections to a database. Clones share them.
#[derive(Clone)]
pub struct Pool {
    connections: deadpool::managed::Pool<Connector>,
    max_connections: u32,
}

/// A connection of a [`Pool`] in use. [`release`](Self::release) gives it back. If it is dropped instead, in the middle of a
/// result or a transaction, it is closed.
#[must_use]
pub struct Connection(Option<Object<Connector>>);

struct Connector {
    options: MySqlConnectOptions,
    /// When a connection last showed that its server does not serve any more. Connections that were last taken from the pool before
    /// that lead to the same server.
    server_failed_at: Mutex<Option<Instant>>,
}

impl Connector {
    /// Makes the pool open new connections instead of those that are idle now.
    fn leave_server(&self) {
        *self.server_failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn has_left_server_of(&self, metrics: &Metrics) -> bool {
        let failed_at = *self.server_failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.is_some_and(|failed_at| metrics.recycled.unwrap_or(metrics.created) < failed_at)
    }
}

impl Manager for Connector {
    type Type = MySqlConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<MySqlConnection, sqlx::Error> {
        let mut connection = connect_with(&self.options).await?;
        // Not prepared: the two statements go in one packet.
        connection.execute(sqlx::raw_sql(SESSION)).await?;
        metrics::count(Metric::DatabaseConnects, 1);
        Ok(connection)
    }

    async fn recycle(&self, connection: &mut MySqlConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if self.has_left_server_of(metrics) {
            return Err(RecycleError::message("its server has failed"));
        }
        if metrics.last_used() < PING_AFTER_IDLE {
            return Ok(());
        }
        match timeout(PING_TIMEOUT, connection.ping()).await {
            Ok(answer) => answer.map_err(RecycleError::Backend),
            Err(_) => {
                // The others lead to the same server, and a request must not wait for an answer on each of them.
                self.leave_server();
                Err(RecycleError::message("it does not answer"))
            }
        }
    }
}

impl Pool {
    /// Creates a pool for `database`. Connections are opened on demand.
    pub fn new(config: &DatabaseConfig, database: &str) -> Self {
        let options = connect_options(config, Some(database));
        let connector = Connector { options, server_failed_at: Mutex::default() };
        let max_connections = config.max_connections;
        let builder = deadpool::managed::Pool::builder(connector).max_size(max_connections as usize);
        let Ok(connections) = builder.build() else {
            unreachable!("a pool without timeouts needs no runtime");
        };
        Self { connections, max_connections }
    }

    /// Takes a connection for a request, and adds the wait to the request's metrics.
    ///
    /// # Errors
    /// When no connection can be had within 3 s.
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
        // A server that is restarting will listen soon.
        let again = ConstantBuilder::new().with_delay(Duration::from_millis(50)).without_max_times();
        let mut refusal = None;
        let connect = get.retry(again).when(is_refused).notify(|error, _| refusal = Some(error.to_string()));
        match timeout(ACQUIRE_TIMEOUT, connect).await {
            Ok(connection) => Ok(Connection(Some(connection?))),
            Err(_) => {
                if let Some(refusal) = refusal {
                    tracing::warn!(error = refusal, "nothing listens at the database's address");
                }
                Err(sqlx::Error::PoolTimedOut)
            }
        }
    }

    /// Opens connections ahead of the first request, side by side: as many as the instance may have requests at once.
    /// Each request uses one; spare connections would only eat into the server's `max_connections`. A failure is logged, and
    /// the request will try again.
    pub async fn warm_up(&self) {
        let connections = lambda::concurrency().min(self.max_connections);
        // Hold all of them until the last one is open; otherwise the first could be taken twice.
        for opened in join_all((0..connections).map(|_| self.take())).await {
            match opened {
                Ok(connection) => connection.release(),
                Err(error) => {
                    let hint = failure::hint(&error);
                    tracing::warn!(
                        error = %telemetry::error_chain(&error),
                        fault = hint.map(|_| "configuration"),
                        hint,
                        "the database was not reached during start-up"
                    );
                }
            }
        }
    }

    /// Closes idle connections and hands out no more.
    pub fn close(&self) {
        self.connections.close();
    }
}

/// Returns whether nothing listens at the server's address.
fn is_refused(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused)
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("max_connections", &self.max_connections).finish_non_exhaustive()
    }
}

impl Connection {
    /// Gives the connection back, or closes it if the error in `result` says so, and returns `result`.
    ///
    /// # Errors
    /// The error in `result`.
    pub fn release_after<T>(self, result: Result<T, ApiError>) -> Result<T, ApiError> {
        match &result {
            Err(ApiError::Database(error)) if classify(error).closes_connection() => {
                // Only new connections have a privilege that is granted later.
                if matches!(classify(error), Failure::WrongServer | Failure::Misconfigured(_)) {
                    self.leave_server();
                }
            }
            _ => self.release(),
        }
        result
    }

    fn leave_server(&self) {
        if let Some(pool) = self.0.as_ref().and_then(Object::pool) {
            pool.manager().leave_server();
        }
    }

    /// Gives the connection back. All results must have been read.
    pub fn release(mut self) {
        drop(self.0.take());
    }
}

impl Deref for Connection {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        match &self.0 {
            Some(connection) => connection,
            None => unreachable!("the connection is taken out only when this is dropped"),
        }
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        match &mut self.0 {
            Some(connection) => connection,
            None => unreachable!("the connection is taken out only when this is dropped"),
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
