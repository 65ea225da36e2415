//! Transactions that end before the answer does, and repetition for what happens in real life: deadlocks, held locks,
//! connections that died.

use std::{
    ops::{Deref, DerefMut},
    time::{Duration, Instant},
};

use backon::{ExponentialBuilder, Retryable};
use sqlx::{Executor, MySqlConnection};

use super::{Connection, Failure, Pool, classify};
use crate::{
    http::ApiError,
    metrics::{self, Metric},
    telemetry,
};

/// After this long a contended request is given up: with the last lock wait (3 s) it stays well under the gateway's
/// 29 s.
const RETRY_BUDGET: Duration = Duration::from_secs(10);

/// Repeats `attempt` while it fails for a passing reason: contention or a lost connection. A failed attempt must leave
/// nothing behind, as reads and [`Transaction`]s do.
///
/// # Errors
/// What the last attempt failed with.
pub async fn retry<T, F, Fut>(attempt: F) -> Result<T, ApiError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, ApiError>>,
{
    let started = Instant::now();
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(3))
        .with_max_delay(Duration::from_millis(150))
        .with_max_times(40)
        .with_jitter();
    attempt
        .retry(backoff)
        .when(|error| is_passing(error) && started.elapsed() < RETRY_BUDGET)
        .notify(|error, _| {
            metrics::count(Metric::DatabaseRetries, 1);
            tracing::debug!(error = %telemetry::causes(error), "the database is tried again");
        })
        .await
}

/// Whether a repetition may well succeed at once.
fn is_passing(error: &ApiError) -> bool {
    let ApiError::Database(error) = error else { return false };
    matches!(classify(error), Failure::Contention | Failure::ConnectionLost)
}

/// A transaction that is ended in plain sight:
///
/// ```no_run
/// # use app_core::{db::{self, Transaction}, http::ApiError};
/// # async fn change(_: &mut sqlx::MySqlConnection) -> Result<(), ApiError> { Ok(()) }
/// # async fn example(pool: db::Pool) -> Result<(), ApiError> {
/// db::retry(|| async {
///     let mut transaction = Transaction::begin(&pool).await?;
///     let result = change(&mut transaction).await;
///     transaction.end(result).await
/// })
/// .await
/// # }
/// ```
///
/// One that is dropped before its end is rolled back by the server, since its connection is closed.
#[must_use]
pub struct Transaction(Connection);

impl Transaction {
    /// Begins a transaction on a connection of the pool.
    ///
    /// # Errors
    /// When no connection can be had, or it turns out to be dead.
    pub async fn begin(pool: &Pool) -> Result<Self, ApiError> {
        let mut connection = pool.acquire().await?;
        connection.execute("BEGIN").await?;
        Ok(Self(connection))
    }

    /// Commits if `result` is a success, else rolls back; hands `result` on. What is acknowledged is committed. Both are
    /// waited for: on Lambda the instance freezes right after the answer, and locks would stay.
    ///
    /// # Errors
    /// The one in `result`; [`ApiError::OutcomeUnknown`] when the connection broke during the commit, which must not
    /// be repeated blindly.
    pub async fn end<T>(self, result: Result<T, ApiError>) -> Result<T, ApiError> {
        let Self(mut connection) = self;
        match result {
            Ok(value) => match connection.execute("COMMIT").await {
                Ok(_) => {
                    connection.rest();
                    Ok(value)
                }
                Err(error) => match classify(&error) {
                    // Refused by the server (a deadlock found at commit, say), which rolled back.
                    Failure::Contention | Failure::Other => Err(error.into()),
                    Failure::ConnectionLost | Failure::Unreachable => Err(ApiError::OutcomeUnknown(error)),
                },
            },
            Err(error) => {
                // Fails only when the connection is gone, and then the server rolls back.
                if connection.execute("ROLLBACK").await.is_ok() {
                    connection.rest();
                }
                Err(error)
            }
        }
    }
}

impl Deref for Transaction {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.0
    }
}
