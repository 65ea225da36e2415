//! What one exchange with the AI assistant is, and how it is entered in the log. A library beside the domains, since two
//! of them write entries (the assistant its own, the logs those of clients) and neither depends on the other.

mod cut;

use app_core::{
    http::{ApiError, Caller},
    values::{BoundedInt, BoundedText, Text, Trimmed},
};
use chrono::{DateTime, SubsecRound, Utc};
use sqlx::MySqlConnection;

pub use cut::{CUT_MARK, cut_text};

/// The name under which a client gathers the exchanges of one conversation.
pub type ConversationId = Trimmed<100>;

/// Who asked: an email address, or whatever the client knows people by.
pub type User = Trimmed<255>;

/// Whose entries `caller` may see and delete: only the caller's own, or everybody's (none), which administrators may.
///
/// # Errors
/// Where the caller has no name that an entry could have, which verified callers always have.
pub fn owner(caller: &Caller) -> Result<Option<User>, ApiError> {
    match caller.subject() {
        Some(subject) if !caller.is_administrator() => User::parse(subject).map(Some).map_err(ApiError::internal),
        // Without authentication, everybody is an administrator.
        _ => Ok(None),
    }
}

/// The id of the model that answered.
pub type Model = Text<100>;

/// The most bytes of a text in the log, in UTF-8 (design, reading 26).
pub const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// What was asked, answered, or went wrong. [`cut_text`] makes one of a text of any length.
pub type LoggedText = BoundedText<MAX_TEXT_BYTES>;

/// A number of things or of milliseconds: what the columns hold.
pub type Count = BoundedInt<0, { i32::MAX as i64 }>;

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The conversation it is part of.
    pub conversation_id: ConversationId,
    /// Who asked.
    pub user: User,
    /// The question.
    pub user_message: LoggedText,
    /// The answer; empty if there was none.
    pub ai_response: LoggedText,
    /// Whether it went well.
    pub success: bool,
    /// What went wrong.
    pub error: Option<LoggedText>,
    /// What answered.
    pub model: Option<Model>,
    /// From the question to the end of the answer, in milliseconds.
    pub duration_ms: Option<Count>,
    /// How many repair orders the model was told of.
    pub context_ro_count: Option<Count>,
    /// What it cost.
    pub tokens: Tokens,
}

/// The tokens of an exchange, as the model's maker counts and bills them; none where that is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read, and neither found in the cache nor written to it.
    pub input: Option<i64>,
    /// Written.
    pub output: Option<i64>,
    /// Read from the cache (`cache_read_input_tokens`).
    pub cached: Option<i64>,
    /// Read and written to the cache (`cache_creation_input_tokens`).
    pub cache_creation: Option<i64>,
}

/// Adds an exchange to the log. Takes its columns.
const INSERT: &str = "INSERT INTO ai_conversation_logs (conversation_id, timestamp, user, user_message, ai_response, \
     success, error, model, duration_ms, context_ro_count, input_tokens, output_tokens, cached_tokens, \
     cache_creation_tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Enters `exchange`, which ended at `at`, in the log of the main database; the answer is its id there. One statement. The
/// log keeps whole seconds.
///
/// # Errors
/// When the database fails. Token counts that an `INT` does not hold are among the reasons.
pub async fn insert(connection: &mut MySqlConnection, exchange: &Exchange, at: DateTime<Utc>) -> Result<u64, ApiError> {
    let done = sqlx::query(INSERT)
        .bind(&*exchange.conversation_id)
        // The database would round up to a second that has not begun.
        .bind(at.trunc_subsecs(0))
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
        .execute(connection)
        .await?;
    Ok(done.last_insert_id())
}
