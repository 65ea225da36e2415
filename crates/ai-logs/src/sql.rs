//! Every statement about the log but the one that adds to it, which is in the crate `conversations`. All are made of
//! constants: no input reaches SQL text.

use app_core::{
    db::{push_limit, push_period},
    http::Page,
};
use conversations::{ConversationId, User};
use sqlx::{MySql, QueryBuilder};

use crate::model::{LogFilter, UsageFilter};

/// The columns of a log entry as responses show it. Another program may have left zero dates, which are no instants.
const LOG_COLUMNS: &str = "
    id, conversation_id, IF(timestamp > '1000-01-01', timestamp, NULL) AS timestamp, user,
    COALESCE(user_message, '') AS user_message, COALESCE(ai_response, '') AS ai_response, success <> 0 AS success, error, model,
    duration_ms, context_ro_count, input_tokens, output_tokens, cached_tokens, cache_creation_tokens";

/// Counts the entries that `filter` selects.
pub fn count(filter: &LogFilter) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new("SELECT COUNT(*) FROM ai_conversation_logs WHERE TRUE");
    push_log_filter(&mut statement, filter);
    statement
}

/// Lists a page of the entries that `filter` selects, newest first. The page is found by ids alone, which the indexes hold,
/// so that the long texts of its entries are never sorted.
pub fn list(filter: &LogFilter, page: Page) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(format!(
        "SELECT {LOG_COLUMNS}
         FROM (SELECT id AS page_id, timestamp AS page_timestamp
               FROM ai_conversation_logs
               WHERE TRUE"
    ));
    push_log_filter(&mut statement, filter);
    statement.push(" ORDER BY timestamp DESC, id DESC");
    push_limit(&mut statement, page);
    statement.push(
        ") page
         JOIN ai_conversation_logs ON id = page_id
         ORDER BY page_timestamp DESC, page_id DESC",
    );
    statement
}

/// Adds that entries are those of `owner`, if it is given. The index finds them as the collation compares, which takes A for
/// a and é for e; whose they are is compared byte for byte, since names of issuers are.
fn push_owner(statement: &mut QueryBuilder<MySql>, owner: Option<&User>) {
    if let Some(owner) = owner {
        statement.push(" AND user = ").push_bind(owner.to_string());
        statement.push(" AND CAST(user AS BINARY) = CAST(").push_bind(owner.to_string()).push(" AS BINARY)");
    }
}

/// Adds what `filter` lets through.
pub fn push_log_filter(statement: &mut QueryBuilder<MySql>, filter: &LogFilter) {
    if let Some(user) = &filter.user {
        statement.push(" AND user = ").push_bind(user.to_string());
    }
    if let Some(id) = &filter.conversation_id {
        statement.push(" AND conversation_id = ").push_bind(id.to_string());
    }
    push_period(statement, "timestamp", filter.period);
    push_owner(statement, filter.owner.as_ref());
}

/// The entries of a conversation, of `owner` if it is given, oldest first. The order is that of an index, and is found before
/// the entries are read, so that none of them, however long, is sorted.
pub fn conversation(id: &ConversationId, owner: Option<&User>) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(format!(
        "SELECT {LOG_COLUMNS}
         FROM (SELECT id AS page_id, timestamp AS page_timestamp
               FROM ai_conversation_logs
               WHERE conversation_id = "
    ));
    statement.push_bind(id.to_string());
    push_owner(&mut statement, owner);
    statement.push(") page JOIN ai_conversation_logs ON id = page_id ORDER BY page_timestamp, page_id");
    statement
}

/// Deletes an entry, of `owner` if it is given.
pub fn delete(id: i64, owner: Option<&User>) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new("DELETE FROM ai_conversation_logs WHERE id = ");
    statement.push_bind(id);
    push_owner(&mut statement, owner);
    statement
}

/// Deletes the entries of a user: of that very subject, or of a name whatever its case. (The index finds them as the
/// collation compares, which takes é for e.)
pub fn delete_of_user(user: &User, is_subject: bool) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new("DELETE FROM ai_conversation_logs WHERE TRUE");
    if is_subject {
        push_owner(&mut statement, Some(user));
    } else {
        statement.push(" AND user = ").push_bind(user.to_string());
        statement.push(" AND CAST(LOWER(TRIM(user)) AS BINARY) = CAST(LOWER(").push_bind(user.to_string());
        statement.push(") AS BINARY)");
    }
    statement
}

/// The log in figures, that of `owner` if it is given: a row of the kind 0 with entries, conversations, users, exchanges of
/// which is known how they went, those that went well, and the average duration; then models (1) and users (2), at most ten
/// of each, those with most entries first. Names that the collation takes for the same are one.
pub fn stats(owner: Option<&User>) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(
        "(SELECT 0 AS kind, NULL AS name, COUNT(*) AS entries, COUNT(DISTINCT conversation_id), COUNT(DISTINCT user), \
         COUNT(success), COUNT(IF(success <> 0, 1, NULL)), CAST(ROUND(AVG(duration_ms)) AS SIGNED) \
         FROM ai_conversation_logs WHERE TRUE",
    );
    push_owner(&mut statement, owner);
    for (select, group) in [
        (
            ") UNION ALL (SELECT 1, MIN(model), COUNT(*) AS entries, NULL, NULL, NULL, NULL, NULL \
             FROM ai_conversation_logs WHERE model IS NOT NULL",
            " GROUP BY model ORDER BY entries DESC, MIN(model) LIMIT 10",
        ),
        (
            ") UNION ALL (SELECT 2, MIN(user), COUNT(*) AS entries, NULL, NULL, NULL, NULL, NULL \
             FROM ai_conversation_logs WHERE user IS NOT NULL",
            " GROUP BY user ORDER BY entries DESC, MIN(user) LIMIT 10",
        ),
    ] {
        statement.push(select);
        push_owner(&mut statement, owner);
        statement.push(group);
    }
    statement.push(") ORDER BY kind, entries DESC, name");
    statement
}

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
    push_owner(&mut statement, filter.owner.as_ref());
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
