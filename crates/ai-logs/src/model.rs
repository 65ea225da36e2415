//! The domain: log entries, usage, and the rules that need no database.

use app_core::{
    http::{ApiError, Caller, FieldProblems, Period, Summary},
    values::{Timestamp, blank_as_none},
};
use chrono::NaiveDate;
use conversations::{ConversationId, Count, Exchange, LoggedText, Model, Tokens, User, UserName};
use serde::{Deserialize, Serialize, Serializer};
use sqlx::FromRow;
use utoipa::ToSchema;

/// The body of `POST /api/ai-logs`. Other members are ignored, and a blank optional one counts as absent.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewLog {
    /// The conversation that the exchange belongs to.
    #[schema(value_type = ConversationId)]
    conversation_id: Option<ConversationId>,
    /// The user who asked.
    #[schema(value_type = UserName)]
    user: Option<UserName>,
    /// The question.
    #[schema(value_type = LoggedText)]
    user_message: Option<LoggedText>,
    /// The answer; empty if there was none.
    #[schema(value_type = LoggedText)]
    ai_response: Option<LoggedText>,
    /// Whether the exchange succeeded.
    #[schema(value_type = bool)]
    success: Option<bool>,
    #[serde(default, deserialize_with = "blank_as_none")]
    error: Option<LoggedText>,
    #[serde(default, deserialize_with = "blank_as_none")]
    model: Option<Model>,
    #[serde(default, deserialize_with = "blank_as_none")]
    duration_ms: Option<Count>,
    #[serde(default, deserialize_with = "blank_as_none")]
    context_ro_count: Option<Count>,
    #[serde(default, deserialize_with = "blank_as_none")]
    input_tokens: Option<Count>,
    #[serde(default, deserialize_with = "blank_as_none")]
    output_tokens: Option<Count>,
    #[serde(default, deserialize_with = "blank_as_none")]
    cached_tokens: Option<Count>,
    #[serde(default, deserialize_with = "blank_as_none")]
    cache_creation_tokens: Option<Count>,
}

impl NewLog {
    /// Returns the exchange to be inserted, as `caller` sent it. The answer may be empty but not missing.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming each field that is missing or wrong.
    pub fn into_exchange(self, caller: &Caller) -> Result<Exchange, ApiError> {
        let mut problems = FieldProblems::default();
        let conversation_id = problems.require("conversationId", self.conversation_id);
        let user = problems.require("user", self.user.as_deref());
        let user = problems.parse("user", user, |user| User::named_by(caller, user));
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
            stop_reason: None,
            tools: None,
        })
    }
}

/// A log entry as responses show it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    pub id: i64,
    /// The conversation that the exchange belongs to.
    pub conversation_id: String,
    /// The time at which the entry was inserted.
    pub timestamp: Option<Timestamp>,
    /// The user who asked.
    pub user: String,
    /// The question.
    pub user_message: String,
    /// The answer.
    pub ai_response: String,
    /// Whether the exchange succeeded; null if another program did not say.
    pub success: Option<bool>,
    /// The error, if it failed.
    pub error: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The milliseconds from the question to the end of the answer.
    pub duration_ms: Option<i64>,
    /// The number of repair orders that the question told the model about.
    pub context_ro_count: Option<i64>,
    /// The input tokens that were neither read from the prompt cache nor written to it.
    pub input_tokens: Option<i64>,
    /// The output tokens.
    pub output_tokens: Option<i64>,
    /// The input tokens that were read from the prompt cache.
    pub cached_tokens: Option<i64>,
    /// The input tokens that were written to the prompt cache.
    pub cache_creation_tokens: Option<i64>,
    /// Why the answer ended, such as `end_turn`, `tool_use` or `refusal`; null if unknown.
    pub stop_reason: Option<String>,
    /// The names of the tools that the model could use; null if unknown.
    #[sqlx(try_from = "Option<String>")]
    #[schema(value_type = Option<Vec<String>>)]
    pub tools: ToolNames,
}

/// The names of the tools of an exchange, which the column has one a line; `None` if unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ToolNames(Option<Vec<String>>);

impl From<Option<String>> for ToolNames {
    fn from(lines: Option<String>) -> Self {
        Self(lines.map(|lines| lines.lines().map(str::to_owned).collect()))
    }
}

/// The entries to list; `None` filters nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// The user who asked.
    pub user: Option<User>,
    pub conversation_id: Option<ConversationId>,
    pub period: Period,
}

impl LogFilter {
    /// Returns whether the filter selects all entries, or all of one user.
    pub fn selects_whole_logs(&self) -> bool {
        self.conversation_id.is_none() && self.period == Period::default()
    }
}

/// The members of a conversation beside its entries.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationSummary {
    conversation_id: String,
    message_count: u64,
    first_message: Option<Timestamp>,
    last_message: Option<Timestamp>,
}

impl ConversationSummary {
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

/// The figures of the log.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LogStats)]
pub struct Stats {
    /// The number of entries.
    pub total_logs: i64,
    /// The number of conversations.
    pub total_conversations: i64,
    /// The number of users.
    pub total_users: i64,
    /// The share of the exchanges that succeeded, from 0 to 1 with two decimals; 0 if there are none.
    pub success_rate: f64,
    /// The average duration in milliseconds of those whose duration is known.
    pub average_duration: Option<i64>,
    /// The ten models that answered most often.
    pub top_models: Vec<ModelCount>,
    /// The ten users who asked most often.
    pub top_users: Vec<UserCount>,
}

/// The number of answers of a model.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelCount {
    pub model: String,
    pub count: i64,
}

/// The number of questions of a user.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserCount {
    pub user: String,
    pub count: i64,
}

/// Returns `part` divided by `whole`, rounded to two decimals; 0 if `whole` is 0.
#[expect(clippy::cast_precision_loss, reason = "shown to two decimals")]
pub fn rate(part: i64, whole: i64) -> f64 {
    (part as f64 / whole.max(1) as f64 * 100.0).round() / 100.0
}

/// The usage to list; `None` filters nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// The user who asked.
    pub user: Option<User>,
    /// The model that answered.
    pub model: Option<Model>,
    pub period: Period,
}

/// The usage of a model by a user on a day.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[schema(as = UsageOfDay)]
pub struct Usage {
    /// The date in UTC.
    #[serde(serialize_with = "as_date")]
    #[schema(value_type = Option<String>, format = Date)]
    pub day: Option<NaiveDate>,
    /// The user who asked.
    #[sqlx(rename = "user_name")]
    pub user: String,
    /// The model that answered.
    #[sqlx(rename = "model_name")]
    pub model: Option<String>,
    #[sqlx(flatten)]
    #[serde(flatten)]
    pub figures: UsageFigures,
}

fn as_date<S: Serializer>(day: &Option<NaiveDate>, serializer: S) -> Result<S::Ok, S::Error> {
    match day {
        Some(day) => serializer.collect_str(day),
        None => serializer.serialize_none(),
    }
}

/// The number of exchanges and their tokens. Exchanges with unknown tokens are counted, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageFigures {
    /// The number of exchanges.
    pub exchanges: i64,
    /// The input tokens that were neither read from the prompt cache nor written to it.
    pub input_tokens: i64,
    /// The output tokens.
    pub output_tokens: i64,
    /// The input tokens that were read from the prompt cache.
    pub cached_tokens: i64,
    /// The input tokens that were written to the prompt cache.
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

/// The sums of the list.
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
    fn rates_have_two_decimals() {
        for (part, whole, shown) in [(0, 0, 0.0), (0, 5, 0.0), (5, 5, 1.0), (2, 3, 0.67), (1, 8, 0.13), (49, 50, 0.98)]
        {
            assert_eq!(rate(part, whole), shown, "{part} of {whole}");
        }
    }
}
