//! Reads and transactions as requests run them: repeated after a deadlock, a lock wait or a lost connection, and ended
//! before the response is sent.

use std::{
    ops::{Deref, DerefMut},
    time::{Duration, Instant},
};

use backon::{ExponentialBuilder, Retryable};
use sqlx::{Executor, MySqlConnection};

use super::{Connection, Pool, classify};
use crate::{
    http::ApiError,
    metrics::{self, Metric},
    telemetry,
};

/// No attempt begins later than this after the first one. Together with a last lock wait of 3 s, this is well below the 29 s
/// after which the gateway gives up.
const RETRY_BUDGET: Duration = Duration::from_secs(10);

/// Runs `attempt` again while it fails with a transient error: contention or a lost connection. A failed attempt must
/// have no effect, as is true of reads and of [`Transaction`]s.
///
/// # Errors
/// The error of the last attempt.
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
        .when(|error| is_transient(error) && started.elapsed() < RETRY_BUDGET)
        .notify(|error, _| {
            metrics::count(Metric::DatabaseRetries, 1);
            tracing::debug!(error = %telemetry::error_chain(error), "the statements are run again");
        })
        .await
}

/// Returns whether the same statements may succeed if they are run again at once.
fn is_transient(error: &ApiError) -> bool {
    matches!(error, ApiError::Database(error) if classify(error).is_transient())
}

/// Reads from the database: runs the expression with a connection of the pool, again after a transient error, and
/// gives the connection back.
///
/// ```no_run
/// # use app_core::{db, http::ApiError};
/// # async fn find(_: &mut sqlx::MySqlConnection, _: i64) -> Result<i64, ApiError> { Ok(1) }
/// # async fn example(pool: db::Pool, id: i64) -> Result<(), ApiError> {
/// let order = db::read!(pool, |connection| find(connection, id).await)?;
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! read {
    ($pool:expr, |$connection:ident| $work:expr) => {
        $crate::db::retry(|| async {
            let mut connection = $crate::db::Pool::acquire(&$pool).await?;
            let result = {
                let $connection = &mut *connection;
                $crate::db::result_of(async { $work }).await
            };
            connection.release_after(result)
        })
        .await
    };
}

/// Changes the database: runs the expression in a transaction, which is committed if the result is `Ok` and rolled back
/// otherwise. After a transient error all of it runs again.
///
/// With an [`IdempotencyKey`](crate::idempotency::IdempotencyKey) and the clock, the expression makes a
/// [`JsonResponse`](crate::http::JsonResponse), which is saved under the key in the same transaction. If the key has a
/// saved response already, the expression does not run and that response is the result.
///
/// ```no_run
/// # use app_core::{db, clock::Clock, http::{ApiError, JsonResponse}, idempotency::IdempotencyKey};
/// # async fn delete(_: &mut sqlx::MySqlConnection, _: i64) -> Result<i64, ApiError> { Ok(1) }
/// # async fn example(pool: db::Pool, key: IdempotencyKey, clock: Clock, id: i64) -> Result<(), ApiError> {
/// let deleted = db::transaction!(pool, |connection| delete(connection, id).await)?;
/// let response = db::transaction!(pool, key, clock, |connection| {
///     let deleted = delete(connection, id).await?;
///     JsonResponse::new(&deleted)
/// })?;
/// # Ok(())
/// # }
/// ```
///
/// It is a macro because the future of an async closure that borrows is not `Send`, as handlers need it to be.
#[macro_export]
macro_rules! transaction {
    ($pool:expr, |$connection:ident| $work:expr) => {
        $crate::db::retry(|| async {
            let mut transaction = $crate::db::Transaction::begin(&$pool).await?;
            let result = {
                let $connection = &mut *transaction;
                $crate::db::result_of(async { $work }).await
            };
            transaction.commit_or_roll_back(result).await
        })
        .await
    };
    ($pool:expr, $key:expr, $clock:expr, |$connection:ident| $work:expr) => {{
        let result = $crate::transaction!($pool, |connection| {
            if let Some(response) = $key.saved_response(connection, &$clock).await? {
                return Ok(response);
            }
            let response = {
                let $connection = &mut *connection;
                $crate::db::result_of(async { $work }).await?
            };
            $key.save_response(connection, &$clock, response).await
        });
        $key.save_refusal(&$pool, &$clock, result).await
    }};
}

/// Returns `work` as it is. Its signature tells the compiler the error type of an `async` block.
pub fn result_of<T, F: Future<Output = Result<T, ApiError>>>(work: F) -> F {
    work
}

/// A transaction on a connection of the pool; see [`transaction!`](crate::transaction).
///
/// One that is dropped before its end is rolled back by the server, since its connection is closed.
#[must_use]
pub struct Transaction(Connection);

impl Transaction {
    /// Begins a transaction on a connection of the pool.
    ///
    /// # Errors
    /// When no connection can be had, or the connection is lost.
    pub async fn begin(pool: &Pool) -> Result<Self, ApiError> {
        let mut connection = pool.acquire().await?;
        connection.execute("BEGIN").await?;
        Ok(Self(connection))
    }

    /// Commits if `result` is `Ok`, otherwise rolls back, and returns `result`. Both are awaited, because on Lambda the
    /// instance freezes right after the response and would keep its locks.
    ///
    /// # Errors
    /// The error in `result`, or [`ApiError::OutcomeUnknown`] when the connection was lost during the commit: that must
    /// not be run again, since the change may have been saved.
    pub async fn commit_or_roll_back<T>(self, result: Result<T, ApiError>) -> Result<T, ApiError> {
        let Self(mut connection) = self;
        match result {
            Ok(value) => match connection.execute("COMMIT").await {
                Ok(_) => {
                    connection.release();
                    Ok(value)
                }
                Err(error) if classify(&error).may_have_committed() => Err(ApiError::OutcomeUnknown(error)),
                // The server refused the commit (for a deadlock, say) and rolls back.
                Err(error) => Err(error.into()),
            },
            Err(error) => {
                // This fails only when the connection is lost, and then the server rolls back.
                if connection.execute("ROLLBACK").await.is_err() {
                    return Err(error);
                }
                connection.release_after(Err(error))
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
