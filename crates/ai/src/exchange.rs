//! The end of an exchange, at which its log entry is inserted and its tokens are added to those of the day.

use app_core::telemetry;

use crate::{
    anthropic::ResponseSummary,
    conversation_log::{Outcome, PendingEntry},
    limiter::PendingTokens,
};

/// A running exchange.
pub(crate) struct RunningExchange {
    pub(crate) log_entry: PendingEntry,
    pub(crate) tokens: PendingTokens,
}

impl RunningExchange {
    /// Returns whether the end needs the text of the response.
    pub(crate) fn needs_text(&self) -> bool {
        self.log_entry.needs_text()
    }

    /// Inserts the log entry and adds the tokens, side by side, so that the tokens do not wait for a database that is down. Await it
    /// before the response ends, because the instance may be frozen then. A failure goes to the function's own log, because the
    /// response matters more.
    pub(crate) async fn end(self, summary: ResponseSummary, outcome: Outcome) {
        let used = used_tokens(&summary);
        // First, so that the log names the tokens also if the process ends before they are added.
        self.tokens.announce(used);
        // In a task of its own, so that it goes on if the client leaves meanwhile.
        let ended = telemetry::spawn(async move {
            tokio::join!(self.log_entry.insert(summary, outcome), self.tokens.add(used));
        });
        // It fails only if the task panicked, which is logged.
        let _ = ended.await;
    }
}

/// Returns the tokens that count towards the limit of a day: all that Anthropic counts, each as one. These are the input and output
/// tokens, and those read from and written to the prompt cache. Reading a cached token costs a tenth of an uncached one, so the limit
/// bounds the text that a user's requests process, and their cost from above.
fn used_tokens(summary: &ResponseSummary) -> u64 {
    let usage = &summary.usage;
    let counts =
        [usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens];
    counts.into_iter().flatten().filter_map(|tokens| u64::try_from(tokens).ok()).fold(0, u64::saturating_add)
}
