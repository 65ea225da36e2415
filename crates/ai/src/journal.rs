//! Exchanges with the assistant, entered in the log of conversations by themselves where a request names one
//! (specification, "Log request/response").

use app_core::{
    clock::Clock,
    db::{self, Pool, Transaction},
    metrics::{self, Metric},
    telemetry,
};
use conversations::{Count, Exchange, Model, Tokens, User, cut_text};
use tokio::time::Instant;

use crate::{anthropic::Observed, chat::ChatRequest};

/// The log of conversations, if it is kept.
#[derive(Clone)]
pub struct Journals {
    db: Option<Pool>,
    clock: Clock,
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The whole answer was sent.
    Complete,
    /// The client left before the end.
    ClientLeft,
    /// There was no whole answer, for that reason.
    Failed(String),
}

/// The entry of one exchange, to be made when it is over; none where none is wanted.
pub struct Journal(Option<Entry>);

struct Entry {
    db: Pool,
    clock: Clock,
    started: Instant,
    exchange: Exchange,
}

impl Journals {
    /// The log in the database `db`, or none.
    pub fn new(db: Option<Pool>, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Opens a connection ahead of the first request.
    pub async fn warm_up(&self) {
        if let Some(db) = &self.db {
            db.warm_up().await;
        }
    }

    /// Begins the entry of `request` by `user`, if it is part of a conversation and the log is kept.
    pub fn begin(&self, user: &User, request: &ChatRequest) -> Journal {
        let (Some(db), Some(conversation_id)) = (&self.db, &request.conversation_id) else { return Journal(None) };
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
        };
        Journal(Some(Entry { db: db.clone(), clock: self.clock.clone(), started: Instant::now(), exchange }))
    }
}

impl Journal {
    /// Whether the answer's text is wanted.
    pub fn keeps_text(&self) -> bool {
        self.0.is_some()
    }

    /// Enters the exchange. A failure is only logged: the answer is more important.
    pub async fn enter(self, observed: Observed, outcome: Outcome) {
        let Some(Entry { db, clock, started, mut exchange }) = self.0 else { return };
        exchange.ai_response = cut_text(&observed.text);
        exchange.success = outcome == Outcome::Complete;
        exchange.error = match outcome {
            Outcome::Complete => None,
            Outcome::ClientLeft => Some(cut_text("The client left before the end of the answer.")),
            Outcome::Failed(reason) => Some(cut_text(&reason)),
        };
        exchange.duration_ms = i64::try_from(started.elapsed().as_millis()).ok().and_then(Count::new);
        exchange.tokens = Tokens {
            input: observed.usage.input_tokens,
            output: observed.usage.output_tokens,
            cached: observed.usage.cache_read_input_tokens,
            cache_creation: observed.usage.cache_creation_input_tokens,
        };
        let at = clock.now();
        let entered = db::retry(|| async {
            let mut transaction = Transaction::begin(&db).await?;
            let entered = conversations::insert(&mut transaction, &exchange, at).await;
            transaction.commit_or_roll_back(entered).await
        });
        let entered = entered.await;
        metrics::count(Metric::JournalFailures, entered.is_err().into());
        if let Err(error) = entered {
            tracing::error!(error = %telemetry::error_chain(&error), "an exchange was not entered in the log");
        }
    }
}
