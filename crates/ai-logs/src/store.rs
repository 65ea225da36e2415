//! The log in the database. Functions take a connection and decide nothing; their statements are in [`crate::sql`].

use app_core::{
    db::{Pool, stream_rows},
    http::{ApiError, Page},
};
use async_stream::try_stream;
use chrono::{DateTime, Utc};
use conversations::{ConversationId, User};
use futures_util::{Stream, TryStreamExt};
use sqlx::{MySqlConnection, Row, mysql::MySqlRow};

use crate::{
    model::{LogEntry, LogFilter, ModelCount, Stats, Usage, UsageFigures, UsageFilter, UserCount, rate},
    sql,
};

/// Counts the entries that `filter` selects.
pub async fn count(connection: &mut MySqlConnection, filter: &LogFilter) -> Result<i64, ApiError> {
    Ok(sql::count(filter).build_query_scalar().fetch_one(connection).await?)
}

/// Lists a page of the entries that `filter` selects, newest first.
pub fn list(db: Pool, filter: &LogFilter, page: Page) -> impl Stream<Item = Result<LogEntry, ApiError>> + Send + use<> {
    stream_rows(db, sql::list(filter, page))
}

/// Lists the entries of a conversation, only those of `owner` if there is one, oldest first.
pub fn conversation(
    db: Pool,
    id: &ConversationId,
    owner: Option<&User>,
) -> impl Stream<Item = Result<LogEntry, ApiError>> + Send + use<> {
    stream_rows(db, sql::conversation(id, owner))
}

/// Deletes an entry, of `owner` if it is given; whether it was there.
pub async fn delete(connection: &mut MySqlConnection, id: i64, owner: Option<&User>) -> Result<bool, ApiError> {
    Ok(sql::delete(id, owner).build().execute(connection).await?.rows_affected() > 0)
}

/// Deletes the entries of a user, that very subject or a name whatever its case; the answer is how many there were.
pub async fn delete_of_user(connection: &mut MySqlConnection, user: &User, is_subject: bool) -> Result<u64, ApiError> {
    Ok(sql::delete_of_user(user, is_subject).build().execute(connection).await?.rows_affected())
}

/// The log in figures, that of `owner` if it is given.
pub async fn stats(connection: &mut MySqlConnection, owner: Option<&User>) -> Result<Stats, ApiError> {
    let mut stats = Stats::default();
    for row in sql::stats(owner).build().fetch_all(connection).await? {
        let count = row.try_get(2)?;
        match row.try_get::<i64, _>(0)? {
            1 => stats.top_models.push(ModelCount { model: row.try_get(1)?, count }),
            2 => stats.top_users.push(UserCount { user: row.try_get(1)?, count }),
            _ => {
                stats.total_logs = count;
                stats.total_conversations = row.try_get(3)?;
                stats.total_users = row.try_get(4)?;
                stats.success_rate = rate(row.try_get(6)?, row.try_get(5)?);
                stats.average_duration = row.try_get(7)?;
            }
        }
    }
    Ok(stats)
}

/// What was used by day, user and model, newest day first.
pub fn usage(db: Pool, filter: &UsageFilter) -> impl Stream<Item = Result<Usage, ApiError>> + Send + use<> {
    let mut statement = sql::usage(filter);
    try_stream! {
        let mut connection = db.acquire().await?;
        {
            let mut rows = statement.build().fetch(&mut *connection);
            while let Some(row) = rows.try_next().await? {
                yield decode_usage(&row)?;
            }
        }
        connection.release();
    }
}

fn decode_usage(row: &MySqlRow) -> Result<Usage, ApiError> {
    Ok(Usage {
        day: row.try_get(0)?,
        user: row.try_get(1)?,
        model: row.try_get(2)?,
        figures: UsageFigures {
            exchanges: row.try_get(3)?,
            input_tokens: row.try_get(4)?,
            output_tokens: row.try_get(5)?,
            cached_tokens: row.try_get(6)?,
            cache_creation_tokens: row.try_get(7)?,
        },
    })
}

/// How many entries are older than `instant`.
pub async fn count_older(connection: &mut MySqlConnection, instant: DateTime<Utc>) -> Result<u64, ApiError> {
    let count: i64 = sqlx::query_scalar(sql::COUNT_OLDER).bind(instant).fetch_one(connection).await?;
    Ok(count.unsigned_abs())
}

/// Deletes at most `limit` of the entries that are older than `instant`, the oldest first; the answer is how many.
pub async fn delete_older(
    connection: &mut MySqlConnection,
    instant: DateTime<Utc>,
    limit: u64,
) -> Result<u64, ApiError> {
    Ok(sqlx::query(sql::DELETE_OLDER).bind(instant).bind(limit).execute(connection).await?.rows_affected())
}
