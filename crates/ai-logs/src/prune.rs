//! Deletes old entries in batches, beside the running functions.

use app_core::{
    db::{self, Pool},
    http::ApiError,
};
use chrono::{DateTime, Utc};

use crate::store;

/// The most entries to delete in one transaction. Larger batches would make requests wait for their locks.
pub const BATCH: u64 = 1000;

/// Deletes a batch of the entries older than `instant` and returns how many. The last batch has fewer than [`BATCH`].
///
/// # Errors
/// When the database fails. The work of earlier batches stays.
pub async fn delete_next_batch(db: &Pool, instant: DateTime<Utc>) -> Result<u64, ApiError> {
    db::transaction!(db, |connection| store::delete_older(connection, instant, BATCH).await)
}
