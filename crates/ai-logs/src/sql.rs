//! Every statement about the log but the one that adds to it, which is in the crate `conversations`. All are made of
//! constants: no input reaches SQL text.

use app_core::db::{PagedTable, push_period};
use sqlx::{MySql, QueryBuilder};

use crate::model::{LogFilter, UsageFilter};

/// An entry as answers show it. Another program may have left zero dates, which are no instants.
macro_rules! entry {
    () => {
        "id, conversation_id, IF(timestamp > '1000-01-01', timestamp, NULL), user, COALESCE(user_message, ''), \
         COALESCE(ai_response, ''), success <> 0, error, model, duration_ms, context_ro_count, input_tokens, \
         output_tokens, cached_tokens, cache_creation_tokens"
    };
}

/// The log, which is shown page by page.
pub const LOG: PagedTable =
    PagedTable { name: "ai_conversation_logs", id: "id", instant: "timestamp", columns: entry!() };

/// Adds what `filter` lets through.
pub fn push_log_filter(statement: &mut QueryBuilder<MySql>, filter: &LogFilter) {
    if let Some(user) = &filter.user {
        statement.push(" AND user = ").push_bind(user.to_string());
    }
    if let Some(id) = &filter.conversation_id {
        statement.push(" AND conversation_id = ").push_bind(id.to_string());
    }
    push_period(statement, "timestamp", filter.period);
}

/// The entries of a conversation, oldest first. Takes its id. The order is that of an index, and is found before the
/// entries are read, so that none of them, however long, is sorted.
pub const CONVERSATION: &str = concat!(
    "SELECT page_id, page_instant, ",
    entry!(),
    " FROM (SELECT id AS page_id, timestamp AS page_instant FROM ai_conversation_logs WHERE conversation_id = ?) page \
     JOIN ai_conversation_logs ON id = page_id ORDER BY page_instant, page_id"
);

/// Deletes an entry. Takes its id.
pub const DELETE: &str = "DELETE FROM ai_conversation_logs WHERE id = ?";

/// Deletes the entries of a user. Takes the user twice. The index finds them as the collation compares, which takes é for
/// e; what is deleted must be the same name but for its case.
pub const DELETE_OF_USER: &str = "DELETE FROM ai_conversation_logs WHERE user = ? \
     AND CAST(LOWER(TRIM(user)) AS BINARY) = CAST(LOWER(?) AS BINARY)";

/// At most ten groups of a kind (the first column), those with most entries first. Names that the collation takes for the
/// same are one.
macro_rules! top {
    ($kind:literal, $column:literal) => {
        concat!(
            "(SELECT ",
            $kind,
            ", MIN(",
            $column,
            "), COUNT(*) AS entries, NULL, NULL, NULL, NULL, NULL FROM ai_conversation_logs WHERE ",
            $column,
            " IS NOT NULL GROUP BY ",
            $column,
            " ORDER BY entries DESC, MIN(",
            $column,
            ") LIMIT 10)"
        )
    };
}

/// The log in figures: a row of the kind 0 with entries, conversations, users, exchanges of which is known how they went,
/// those that went well, and the average duration; then models (1) and users (2), each kind in its order.
pub const STATS: &str = concat!(
    "(SELECT 0 AS kind, NULL AS name, COUNT(*) AS entries, COUNT(DISTINCT conversation_id), COUNT(DISTINCT user), \
     COUNT(success), COUNT(IF(success <> 0, 1, NULL)), CAST(ROUND(AVG(duration_ms)) AS SIGNED) \
     FROM ai_conversation_logs) UNION ALL ",
    top!(1, "model"),
    " UNION ALL ",
    top!(2, "user"),
    " ORDER BY kind, entries DESC, name"
);

/// What was used by day, user and model, newest day first.
pub fn usage(filter: &UsageFilter) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(
        "SELECT day, MIN(user) AS user_name, MIN(model) AS model_name, COUNT(*), \
         CAST(COALESCE(SUM(input_tokens), 0) AS SIGNED), CAST(COALESCE(SUM(output_tokens), 0) AS SIGNED), \
         CAST(COALESCE(SUM(cached_tokens), 0) AS SIGNED), CAST(COALESCE(SUM(cache_creation_tokens), 0) AS SIGNED) \
         FROM (SELECT IF(timestamp > '1000-01-01', DATE(timestamp), NULL) AS day, user, model, input_tokens, \
         output_tokens, cached_tokens, cache_creation_tokens FROM ai_conversation_logs WHERE TRUE",
    );
    if let Some(user) = &filter.user {
        statement.push(" AND user = ").push_bind(user.to_string());
    }
    if let Some(model) = &filter.model {
        statement.push(" AND model = ").push_bind(model.to_string());
    }
    push_period(&mut statement, "timestamp", filter.period);
    statement.push(") used GROUP BY day, user, model ORDER BY day DESC, user_name, model_name");
    statement
}

/// Which entries are older than an instant. Zero dates and missing ones are of no known age.
macro_rules! older {
    () => {
        " FROM ai_conversation_logs WHERE timestamp < ? AND timestamp > '1000-01-01'"
    };
}

/// How many entries are older than an instant. Takes it.
pub const COUNT_OLDER: &str = concat!("SELECT COUNT(*)", older!());

/// Deletes the oldest entries that are older than an instant, so many. Takes both.
pub const DELETE_OLDER: &str = concat!("DELETE", older!(), " ORDER BY timestamp, id LIMIT ?");
