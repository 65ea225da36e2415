//! Exchanges with the AI assistant, and their insertion into the log. The crates `ai` (which logs its own exchanges) and `ai-logs`
//! (which logs those that clients send) share it, because domains do not depend on each other.

mod cut;
mod user;

use app_core::{
    http::{ApiError, Caller},
    values::{BoundedInt, BoundedText, Text, TrimmedText},
};
use chrono::{DateTime, SubsecRound, Utc};
use sqlx::MySqlConnection;

pub use cut::{CUT_MARK, cut_text};
pub use user::{User, UserName};

/// The name that a client gives a conversation. Conversations, like users, compare byte for byte.
pub type ConversationId = TrimmedText<100>;

/// Returns the only user whose entries `caller` may see and delete: the caller. Administrators may see and delete all, which is
/// `None`.
///
/// # Errors
/// [`ApiError::Forbidden`] for a caller without a name who is no administrator, such as the legacy dashboard: nothing would be its
/// own. Also when the subject is no valid user, which would be a defect.
pub fn owner(caller: &Caller) -> Result<Option<User>, ApiError> {
    match caller.subject() {
        // Without authentication every caller is an administrator.
        _ if caller.is_administrator() => Ok(None),
        Some(subject) => User::from_subject(subject).map(Some).map_err(ApiError::internal),
        None => Err(caller.forbidden("Only callers with a token may use the log of the assistant.")),
    }
}

/// The id of a model.
pub type Model = Text<100>;

/// The reason why an answer ended, as Anthropic names it.
pub type StopReason = Text<100>;

/// The most bytes of a text in the log, in UTF-8.
pub const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// A question, an answer or an error. [`cut_text`] makes one of a text of any length.
pub type LoggedText = BoundedText<MAX_TEXT_BYTES>;

/// A number that fits an `INT` column.
pub type Count = BoundedInt<0, { i32::MAX as i64 }>;

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub conversation_id: ConversationId,
    pub user: User,
    pub user_message: LoggedText,
    /// The answer; empty if there was none.
    pub ai_response: LoggedText,
    pub success: bool,
    pub error: Option<LoggedText>,
    pub model: Option<Model>,
    /// From the question to the end of the answer, in milliseconds.
    pub duration_ms: Option<Count>,
    /// The number of repair orders that the question told the model about.
    pub context_ro_count: Option<Count>,
    pub tokens: Tokens,
    pub stop_reason: Option<StopReason>,
    /// The names of the request's tools, one a line; `None` if unknown.
    pub tools: Option<LoggedText>,
}

/// The tokens of an exchange, as Anthropic counts and bills them; `None` if unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The input tokens that were neither read from the prompt cache nor written to it.
    pub input: Option<i64>,
    pub output: Option<i64>,
    /// The input tokens read from the prompt cache (`cache_read_input_tokens`).
    pub cached: Option<i64>,
    /// The input tokens written to the prompt cache (`cache_creation_input_tokens`).
    pub cache_creation: Option<i64>,
}

/// Checks that the table of the log can be read.
///
/// # Errors
/// When the database fails.
pub async fn check(connection: &mut MySqlConnection) -> Result<(), ApiError> {
    sqlx::query("SELECT id FROM ai_conversation_logs LIMIT 1").fetch_optional(connection).await?;
    Ok(())
}

/// Inserts an exchange that ended at `ended` into the log of the main database, and returns the id of the entry.
///
/// # Errors
/// When the database fails, for example because a number of tokens does not fit an `INT`.
pub async fn insert(
    connection: &mut MySqlConnection,
    exchange: &Exchange,
    ended: DateTime<Utc>,
) -> Result<u64, ApiError> {
    let query = sqlx::query(
        "INSERT INTO ai_conversation_logs
             (conversation_id, timestamp, user, user_message, ai_response, success, error, model, duration_ms, context_ro_count,
              input_tokens, output_tokens, cached_tokens, cache_creation_tokens, stop_reason, tools)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let inserted = query
        .bind(&*exchange.conversation_id)
        // The column has whole seconds, and the database would round up to one that has not begun.
        .bind(ended.trunc_subsecs(0))
        .bind(&*exchange.user)
        .bind(&*exchange.user_message)
        .bind(&*exchange.ai_response)
        .bind(exchange.success)
        .bind(exchange.error.as_deref())
        .bind(exchange.model.as_deref())
        .bind(exchange.duration_ms.map(BoundedInt::get))
        .bind(exchange.context_ro_count.map(BoundedInt::get))
        .bind(exchange.tokens.input)
        .bind(exchange.tokens.output)
        .bind(exchange.tokens.cached)
        .bind(exchange.tokens.cache_creation)
        .bind(exchange.stop_reason.as_deref())
        .bind(exchange.tools.as_deref())
        .execute(connection)
        .await?;
    Ok(inserted.last_insert_id())
}
