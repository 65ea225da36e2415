//! What an entry of the log is, and the rules that need no database.

use app_core::{
    http::{ApiError, FieldProblems, Period, Summary},
    values::Timestamp,
};
use chrono::NaiveDate;
use conversations::{ConversationId, Count, Exchange, LoggedText, Model, Tokens, User};
use serde::{Deserialize, Serialize, Serializer};
use sqlx::FromRow;
use utoipa::ToSchema;

/// The body of `POST /api/ai-logs`. Other members are ignored.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewLog {
    /// The conversation it is part of.
    #[schema(value_type = ConversationId)]
    conversation_id: Option<ConversationId>,
    /// Who asked.
    #[schema(value_type = User)]
    user: Option<User>,
    /// The question.
    #[schema(value_type = LoggedText)]
    user_message: Option<LoggedText>,
    /// The answer; empty if there was none.
    #[schema(value_type = LoggedText)]
    ai_response: Option<LoggedText>,
    /// Whether it went well.
    #[schema(value_type = bool)]
    success: Option<bool>,
    error: Option<LoggedText>,
    model: Option<Model>,
    duration_ms: Option<Count>,
    context_ro_count: Option<Count>,
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    cached_tokens: Option<Count>,
    cache_creation_tokens: Option<Count>,
}

impl NewLog {
    /// The exchange that is to be entered. The answer may be empty, but not missing (design, reading 26).
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming each field that is missing.
    pub fn into_exchange(self) -> Result<Exchange, ApiError> {
        let mut problems = FieldProblems::default();
        let conversation_id = problems.require("conversationId", self.conversation_id);
        let user = problems.require("user", self.user);
        let user_message = problems.require("userMessage", self.user_message);
        let ai_response = problems.require("aiResponse", self.ai_response);
        let success = problems.require("success", self.success);
        let required = conversation_id.zip(user).zip(user_message.zip(ai_response)).zip(success);
        let (((conversation_id, user), (user_message, ai_response)), success) = problems.finish(required)?;
        Ok(Exchange {
            conversation_id,
            user,
            user_message,
            ai_response,
            success,
            error: self.error,
            model: self.model,
            duration_ms: self.duration_ms,
            context_ro_count: self.context_ro_count,
            tokens: Tokens {
                input: self.input_tokens.map(Count::get),
                output: self.output_tokens.map(Count::get),
                cached: self.cached_tokens.map(Count::get),
                cache_creation: self.cache_creation_tokens.map(Count::get),
            },
        })
    }
}

/// An entry as answers show it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// Its id.
    pub id: i64,
    /// The conversation it is part of.
    pub conversation_id: String,
    /// When it was entered.
    pub timestamp: Option<Timestamp>,
    /// Who asked.
    pub user: String,
    /// The question.
    pub user_message: String,
    /// The answer.
    pub ai_response: String,
    /// Whether it went well; unknown where another program did not say.
    pub success: Option<bool>,
    /// What went wrong.
    pub error: Option<String>,
    /// What answered.
    pub model: Option<String>,
    /// From the question to the end of the answer.
    pub duration_ms: Option<i64>,
    /// How many repair orders the model was told of.
    pub context_ro_count: Option<i64>,
    /// As [`Tokens::input`].
    pub input_tokens: Option<i64>,
    /// As [`Tokens::output`].
    pub output_tokens: Option<i64>,
    /// As [`Tokens::cached`].
    pub cached_tokens: Option<i64>,
    /// As [`Tokens::cache_creation`].
    pub cache_creation_tokens: Option<i64>,
}

/// Which entries to show; what is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Who asked.
    pub user: Option<User>,
    /// The conversation.
    pub conversation_id: Option<ConversationId>,
    /// When they were entered.
    pub period: Period,
    /// The only user whose entries may be shown.
    pub owner: Option<User>,
}

/// What is said of a conversation beside its entries.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationSummary {
    conversation_id: String,
    message_count: u64,
    first_message: Option<Timestamp>,
    last_message: Option<Timestamp>,
}

impl ConversationSummary {
    /// No entries yet.
    pub fn new(conversation_id: &ConversationId) -> Self {
        Self { conversation_id: conversation_id.to_string(), message_count: 0, first_message: None, last_message: None }
    }
}

impl Summary<LogEntry> for ConversationSummary {
    fn count(&mut self, entry: &LogEntry) {
        self.message_count += 1;
        self.first_message = self.first_message.or(entry.timestamp);
        self.last_message = entry.timestamp.or(self.last_message);
    }
}

/// The log in figures (design, reading 28).
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LogStats)]
pub struct Stats {
    /// Entries.
    pub total_logs: i64,
    /// Conversations that they are part of.
    pub total_conversations: i64,
    /// Users who asked.
    pub total_users: i64,
    /// Which part of the exchanges went well, from 0 to 1, to two decimals; 0 without any.
    pub success_rate: f64,
    /// How long they took in ms, on average over those of which that is known.
    pub average_duration: Option<i64>,
    /// The models that answered most often.
    pub top_models: Vec<ModelCount>,
    /// The users who asked most often.
    pub top_users: Vec<UserCount>,
}

/// How often a model answered.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelCount {
    /// Its id.
    pub model: String,
    /// How often.
    pub count: i64,
}

/// How often a user asked.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserCount {
    /// Who.
    pub user: String,
    /// How often.
    pub count: i64,
}

/// `part` of `whole`, to two decimals; nothing of nothing is 0.
#[expect(clippy::cast_precision_loss, reason = "shown to two decimals")]
pub fn rate(part: i64, whole: i64) -> f64 {
    (part as f64 / whole.max(1) as f64 * 100.0).round() / 100.0
}

/// Whose tokens to count; what is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// Who asked.
    pub user: Option<User>,
    /// What answered.
    pub model: Option<Model>,
    /// When.
    pub period: Period,
    /// The only user whose tokens may be shown.
    pub owner: Option<User>,
}

/// What one user used of one model on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UsageOfDay)]
pub struct Usage {
    /// The date in UTC, as a period's bounds are given.
    #[serde(serialize_with = "as_date")]
    #[schema(value_type = Option<String>, format = Date)]
    pub day: Option<NaiveDate>,
    /// Who asked.
    pub user: String,
    /// What answered.
    pub model: Option<String>,
    /// How much.
    #[serde(flatten)]
    pub figures: UsageFigures,
}

fn as_date<S: Serializer>(day: &Option<NaiveDate>, serializer: S) -> Result<S::Ok, S::Error> {
    match day {
        Some(day) => serializer.collect_str(day),
        None => serializer.serialize_none(),
    }
}

/// How much was used. Exchanges whose tokens are unknown count, but add no tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageFigures {
    /// Exchanges.
    pub exchanges: i64,
    /// As [`Tokens::input`].
    pub input_tokens: i64,
    /// As [`Tokens::output`].
    pub output_tokens: i64,
    /// As [`Tokens::cached`].
    pub cached_tokens: i64,
    /// As [`Tokens::cache_creation`].
    pub cache_creation_tokens: i64,
}

impl std::ops::AddAssign for UsageFigures {
    fn add_assign(&mut self, other: Self) {
        self.exchanges += other.exchanges;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cached_tokens += other.cached_tokens;
        self.cache_creation_tokens += other.cache_creation_tokens;
    }
}

/// The sums over what is listed.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct UsageSummary {
    totals: UsageFigures,
}

impl Summary<Usage> for UsageSummary {
    fn count(&mut self, usage: &Usage) {
        self.totals += usage.figures;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "two decimals are written the same way")]
    fn a_rate_has_two_decimals_and_that_of_nothing_is_0() {
        for (part, whole, shown) in [(0, 0, 0.0), (0, 5, 0.0), (5, 5, 1.0), (2, 3, 0.67), (1, 8, 0.13), (49, 50, 0.98)]
        {
            assert_eq!(rate(part, whole), shown, "{part} of {whole}");
        }
    }
}
