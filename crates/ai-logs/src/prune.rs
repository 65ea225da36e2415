//! Deletes what is too old to keep, batch by batch beside the running functions.

use app_core::{
    db::{self, Pool, Transaction},
    http::ApiError,
};
use chrono::{DateTime, Utc};

use crate::store;

/// How many entries are deleted in one transaction: few enough that nobody waits for their locks.
pub const BATCH: u64 = 1000;

/// Deletes a batch of the entries that are older than `instant`; the answer is how many there were, and fewer than
/// [`BATCH`] when it was the last.
///
/// # Errors
/// When the database fails; what earlier batches did stays.
pub async fn next_batch(db: &Pool, instant: DateTime<Utc>) -> Result<u64, ApiError> {
    db::retry(|| async {
        let mut transaction = Transaction::begin(db).await?;
        let deleted = store::delete_older(&mut transaction, instant, BATCH).await;
        transaction.commit_or_roll_back(deleted).await
    })
    .await
}
