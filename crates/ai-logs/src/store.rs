//! The log in the database. Functions take a connection and decide nothing; handlers open and commit transactions. The statement
//! that inserts into the log is in the crate `conversations`.

use app_core::{
    db::{Comparison, NewestFirst, Pool, push_limit, push_older, push_period, stream_rows},
    http::{ApiError, Page, Placed},
};
use chrono::{DateTime, Utc};
use conversations::{ConversationId, User};
use futures_util::Stream;
use sqlx::{MySql, MySqlConnection, QueryBuilder, Row};

use crate::model::{LogEntry, LogFilter, ModelCount, Stats, Usage, UsageFilter, UserCount, rate};

/// The columns of a log entry. Other programs may have left zero dates, which are no instants.
const LOG_COLUMNS: &str = "
    id, conversation_id, IF(timestamp > '1000-01-01', timestamp, NULL) AS timestamp, user,
    COALESCE(user_message, '') AS user_message, COALESCE(ai_response, '') AS ai_response, success <> 0 AS success, error,
    model, duration_ms, context_ro_count, input_tokens, output_tokens, cached_tokens, cache_creation_tokens, stop_reason, tools";

/// Finds entries that no filter, no list and no pruning finds, and wrong numbers of entries, for `rotracker check`.
pub async fn check(connection: &mut MySqlConnection, kept: usize) -> Result<Vec<Comparison>, ApiError> {
    // The collation of these columns ignores blanks at the end, so the lengths are compared.
    let unfindable = "
        SELECT 'ai_conversation_logs' AS table_name,
               CAST(id AS CHAR) AS row_id,
               IF(timestamp > '1000-01-01', 'has a user or a conversation with blanks around it', 'has no time') AS difference
        FROM ai_conversation_logs
        WHERE NOT COALESCE(timestamp > '1000-01-01', FALSE)
           OR CHAR_LENGTH(user) <> CHAR_LENGTH(TRIM(user))
           OR CHAR_LENGTH(conversation_id) <> CHAR_LENGTH(TRIM(conversation_id))";
    let wrong_counts = "
        SELECT 'ai_log_counts' AS table_name,
               CONCAT('of ', user) AS row_id,
               CONCAT('says ', SUM(said), ' entries, and there are ', SUM(entries)) AS difference
        FROM (
            SELECT user, entries AS said, 0 AS entries
            FROM ai_log_counts
            UNION ALL
            SELECT user, 0, COUNT(*)
            FROM ai_conversation_logs
            GROUP BY user
        ) counts
        GROUP BY user
        HAVING SUM(said) <> SUM(entries)";
    Ok(vec![
        Comparison::of_rows(connection, "the log of the assistant", kept, unfindable).await?,
        Comparison::of_rows(connection, "the numbers of entries and the log", kept, wrong_counts).await?,
    ])
}

/// Counts the entries that `filter` selects. Without a conversation and a period, it adds up the numbers that triggers keep for each user.
pub async fn count(connection: &mut MySqlConnection, filter: &LogFilter) -> Result<i64, ApiError> {
    let mut statement = if filter.selects_whole_logs() {
        QueryBuilder::new("SELECT CAST(COALESCE(SUM(entries), 0) AS SIGNED) FROM ai_log_counts WHERE TRUE")
    } else {
        QueryBuilder::new("SELECT COUNT(*) FROM ai_conversation_logs WHERE TRUE")
    };
    push_filter(&mut statement, filter);
    Ok(statement.build_query_scalar().fetch_one(connection).await?)
}

/// Lists a page of the entries that `filter` selects, newest first. The page is found by ids alone, which the indexes have, so
/// that the long texts of its entries are never sorted.
pub fn list(
    db: Pool,
    filter: &LogFilter,
    page: &Page<NewestFirst>,
) -> impl Stream<Item = Result<Placed<LogEntry, NewestFirst>, ApiError>> + Send + use<> {
    let mut statement = QueryBuilder::new(format!(
        "SELECT {LOG_COLUMNS}, CAST(page_timestamp AS CHAR) AS place_instant, page_id AS place_id
         FROM (SELECT id AS page_id, timestamp AS page_timestamp
               FROM ai_conversation_logs
               WHERE TRUE"
    ));
    push_filter(&mut statement, filter);
    if let Some(place) = page.start.place() {
        push_older(&mut statement, "timestamp", "id", place);
    }
    statement.push(" ORDER BY timestamp DESC, id DESC");
    push_limit(&mut statement, page);
    statement.push(
        ") page
         JOIN ai_conversation_logs ON id = page_id
         ORDER BY page_timestamp DESC, page_id DESC",
    );
    stream_rows(db, statement)
}

/// Lists the entries of a conversation, oldest first; if there is an `owner`, only those of that user. The order is found by ids
/// alone, as in [`list`].
pub fn conversation(
    db: Pool,
    id: &ConversationId,
    owner: Option<&User>,
) -> impl Stream<Item = Result<LogEntry, ApiError>> + Send + use<> {
    let mut statement = QueryBuilder::new(format!(
        "SELECT {LOG_COLUMNS}
         FROM (SELECT id AS entry_id, timestamp AS entry_timestamp
               FROM ai_conversation_logs
               WHERE conversation_id = "
    ));
    statement.push_bind(&**id);
    push_user(&mut statement, owner);
    statement.push(
        ") entries
         JOIN ai_conversation_logs ON id = entry_id
         ORDER BY entry_timestamp, entry_id",
    );
    stream_rows(db, statement)
}

/// Deletes an entry; if there is an `owner`, only one of that user. Returns whether it existed.
pub async fn delete(connection: &mut MySqlConnection, id: i64, owner: Option<&User>) -> Result<bool, ApiError> {
    let mut statement = QueryBuilder::new("DELETE FROM ai_conversation_logs WHERE id = ");
    statement.push_bind(id);
    push_user(&mut statement, owner);
    Ok(statement.build().execute(connection).await?.rows_affected() > 0)
}

/// Deletes the entries of a user and returns how many there were.
pub async fn delete_of_user(connection: &mut MySqlConnection, user: &User) -> Result<u64, ApiError> {
    let query = sqlx::query("DELETE FROM ai_conversation_logs WHERE user = ?");
    Ok(query.bind(&**user).execute(connection).await?.rows_affected())
}

/// Reads the figures of the log; if there is an `owner`, only those of that user's entries.
pub async fn stats(connection: &mut MySqlConnection, owner: Option<&User>) -> Result<Stats, ApiError> {
    let totals = totals_statement(owner).build().fetch_one(&mut *connection).await?;
    let mut stats = Stats {
        total_logs: totals.try_get("entries")?,
        total_conversations: totals.try_get("conversations")?,
        total_users: totals.try_get("users")?,
        success_rate: rate(totals.try_get("successes")?, totals.try_get("known_outcomes")?),
        average_duration: totals.try_get("average_duration")?,
        top_models: Vec::new(),
        top_users: Vec::new(),
    };
    for row in top_lists_statement(owner).build().fetch_all(connection).await? {
        let (name, count) = (row.try_get("name")?, row.try_get("entries")?);
        match row.try_get("list")? {
            "models" => stats.top_models.push(ModelCount { model: name, count }),
            _ => stats.top_users.push(UserCount { user: name, count }),
        }
    }
    Ok(stats)
}

/// Returns the statement that reads the totals of [`stats`].
pub fn totals_statement(owner: Option<&User>) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(
        "SELECT COUNT(*) AS entries,
                COUNT(DISTINCT conversation_id) AS conversations,
                COUNT(DISTINCT user) AS users,
                -- Another program may not have said whether an exchange succeeded.
                COUNT(success) AS known_outcomes,
                COUNT(IF(success <> 0, 1, NULL)) AS successes,
                CAST(ROUND(AVG(duration_ms)) AS SIGNED) AS average_duration
         FROM ai_conversation_logs
         WHERE TRUE",
    );
    push_user(&mut statement, owner);
    statement
}

/// Returns the statement that reads the top lists of [`stats`]: the ten models and the ten users with the most entries. Models
/// whose names differ only in case are one.
pub fn top_lists_statement(owner: Option<&User>) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(
        "(SELECT 'models' AS list, MIN(model) AS name, COUNT(*) AS entries
          FROM ai_conversation_logs
          WHERE model IS NOT NULL",
    );
    push_user(&mut statement, owner);
    statement.push(
        " GROUP BY model
          ORDER BY entries DESC, name
          LIMIT 10)
         UNION ALL
         (SELECT 'users', user AS name, COUNT(*) AS entries
          FROM ai_conversation_logs
          WHERE user IS NOT NULL",
    );
    push_user(&mut statement, owner);
    statement.push(
        " GROUP BY user
          ORDER BY entries DESC, name
          LIMIT 10)
         ORDER BY list, entries DESC, name",
    );
    statement
}

/// Lists the usage by day, user and model, newest day first.
pub fn usage(db: Pool, filter: &UsageFilter) -> impl Stream<Item = Result<Usage, ApiError>> + Send + use<> {
    stream_rows(db, usage_statement(filter))
}

/// Returns the statement of [`usage`].
pub fn usage_statement(filter: &UsageFilter) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(
        "SELECT day,
                user AS user_name,
                MIN(model) AS model_name,
                COUNT(*) AS exchanges,
                CAST(COALESCE(SUM(input_tokens), 0) AS SIGNED) AS input_tokens,
                CAST(COALESCE(SUM(output_tokens), 0) AS SIGNED) AS output_tokens,
                CAST(COALESCE(SUM(cached_tokens), 0) AS SIGNED) AS cached_tokens,
                CAST(COALESCE(SUM(cache_creation_tokens), 0) AS SIGNED) AS cache_creation_tokens
         FROM (SELECT IF(timestamp > '1000-01-01', DATE(timestamp), NULL) AS day, user, model, input_tokens, output_tokens,
                      cached_tokens, cache_creation_tokens
               FROM ai_conversation_logs
               WHERE TRUE",
    );
    push_user(&mut statement, filter.user.as_ref());
    if let Some(model) = &filter.model {
        statement.push(" AND model = ").push_bind(&**model);
    }
    push_period(&mut statement, "timestamp", filter.period);
    statement.push(
        ") used
         GROUP BY day, user, model
         ORDER BY day DESC, user_name, model_name",
    );
    statement
}

/// Counts the entries older than `instant`. Entries with zero dates and without a date are of no known age.
pub async fn count_older(connection: &mut MySqlConnection, instant: DateTime<Utc>) -> Result<u64, ApiError> {
    let query = sqlx::query_scalar(
        "SELECT COUNT(*) FROM ai_conversation_logs WHERE timestamp < ? AND timestamp > '1000-01-01'",
    );
    let count: i64 = query.bind(instant).fetch_one(connection).await?;
    Ok(count.unsigned_abs())
}

/// Deletes at most `limit` of the entries that [`count_older`] counts, the oldest first, and returns how many.
pub async fn delete_older(
    connection: &mut MySqlConnection,
    instant: DateTime<Utc>,
    limit: u64,
) -> Result<u64, ApiError> {
    let query = sqlx::query(
        "DELETE FROM ai_conversation_logs
         WHERE timestamp < ? AND timestamp > '1000-01-01'
         ORDER BY timestamp, id
         LIMIT ?",
    );
    Ok(query.bind(instant).bind(limit).execute(connection).await?.rows_affected())
}

fn push_filter(statement: &mut QueryBuilder<MySql>, filter: &LogFilter) {
    push_user(statement, filter.user.as_ref());
    if let Some(id) = &filter.conversation_id {
        statement.push(" AND conversation_id = ").push_bind(&**id);
    }
    push_period(statement, "timestamp", filter.period);
}

/// Adds the condition that entries belong to `user`, if there is one.
fn push_user(statement: &mut QueryBuilder<MySql>, user: Option<&User>) {
    if let Some(user) = user {
        statement.push(" AND user = ").push_bind(&**user);
    }
}
