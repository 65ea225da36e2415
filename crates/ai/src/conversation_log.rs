//! Logs exchanges with the assistant. An exchange is logged when its request names a conversation and `AI_LOG_CONVERSATIONS` is on.

use app_core::{
    clock::Clock,
    db::{self, Pool},
    lambda::CheckResult,
    metrics::{self, Metric},
    telemetry,
};
use conversations::{Count, Exchange, Model, StopReason, Tokens, User, cut_text};
use tokio::time::Instant;

use crate::{anthropic::ResponseSummary, chat_request::ChatRequest};

/// The log of conversations, if it is turned on.
#[derive(Clone)]
pub struct ConversationLog {
    db: Option<Pool>,
    clock: Clock,
}

/// The end of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The whole response was sent.
    Complete,
    /// The client disconnected before the end.
    ClientDisconnected,
    /// There was no whole response, for this reason.
    Failed(String),
}

/// The log entry of a running exchange, which is inserted at its end. `None` if the exchange is not logged.
pub struct PendingEntry(Option<PendingExchange>);

struct PendingExchange {
    db: Pool,
    clock: Clock,
    started: Instant,
    exchange: Exchange,
}

impl ConversationLog {
    /// Creates the log in the database `db`; without one nothing is logged.
    pub fn new(db: Option<Pool>, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Opens a connection ahead of the first request.
    pub async fn warm_up(&self) {
        if let Some(db) = &self.db {
            db.warm_up().await;
        }
    }

    /// Checks that the table of entries is there, if exchanges are logged.
    ///
    /// # Errors
    /// The reason why entries cannot be inserted.
    pub async fn check(&self) -> CheckResult {
        let Some(db) = &self.db else { return Ok(()) };
        let checked = db::read!(db, |connection| conversations::check(connection).await);
        checked.map_err(|error| telemetry::error_chain(&error).to_string())
    }

    /// Begins the log entry of a request.
    pub fn begin(&self, user: &User, request: &ChatRequest) -> PendingEntry {
        let (Some(db), Some(conversation_id)) = (&self.db, &request.conversation_id) else { return PendingEntry(None) };
        let exchange = Exchange {
            conversation_id: conversation_id.clone(),
            user: user.clone(),
            user_message: cut_text(&request.question),
            ai_response: cut_text(""),
            success: false,
            error: None,
            model: Model::parse(request.model.clone()).ok(),
            duration_ms: None,
            context_ro_count: request.context_ro_count,
            tokens: Tokens::default(),
            stop_reason: None,
            tools: Some(cut_text(&lines(&request.tools))),
        };
        PendingEntry(Some(PendingExchange {
            db: db.clone(),
            clock: self.clock.clone(),
            started: Instant::now(),
            exchange,
        }))
    }
}

impl PendingEntry {
    /// Returns whether the entry needs the text of the response.
    pub fn needs_text(&self) -> bool {
        self.0.is_some()
    }

    /// Inserts the entry. A failure goes to the function's own log, because the response matters more.
    pub async fn insert(self, mut summary: ResponseSummary, outcome: Outcome) {
        let Some(PendingExchange { db, clock, started, mut exchange }) = self.0 else { return };
        exchange.ai_response = cut_text(&summary.take_text());
        exchange.success = outcome == Outcome::Complete;
        exchange.error = match outcome {
            Outcome::Complete => None,
            Outcome::ClientDisconnected => Some(cut_text("The client left before the end of the answer.")),
            Outcome::Failed(reason) => Some(cut_text(&reason)),
        };
        exchange.duration_ms = i64::try_from(started.elapsed().as_millis()).ok().and_then(Count::new);
        exchange.tokens = Tokens {
            input: summary.usage.input_tokens,
            output: summary.usage.output_tokens,
            cached: summary.usage.cache_read_input_tokens,
            cache_creation: summary.usage.cache_creation_input_tokens,
        };
        exchange.stop_reason = summary.stop_reason.and_then(|reason| StopReason::parse(reason).ok());
        let ended = clock.now();
        let inserted = db::transaction!(db, |connection| conversations::insert(connection, &exchange, ended).await);
        metrics::count(Metric::JournalFailures, inserted.is_err().into());
        if let Err(error) = inserted {
            tracing::error!(error = %telemetry::error_chain(&error), "an exchange could not be inserted into the log");
        }
    }
}

/// Joins `names` with one a line.
fn lines(names: &[String]) -> String {
    names.iter().map(|name| name.replace(['\r', '\n'], " ")).collect::<Vec<_>>().join("\n")
}
