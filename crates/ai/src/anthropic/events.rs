//! The events of a streamed answer, and what of them is worth knowing.

use std::time::Duration;

use app_core::metrics::{self, Metric};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use serde::Deserialize;
use sse_stream::{Error, Sse, SseByteStream};
use tokio::time::{Instant, timeout_at};

use super::UpstreamError;

/// The events of a streamed answer.
pub struct Events {
    events: BoxStream<'static, Result<Sse, Error>>,
    deadline: Instant,
    between_events: Duration,
}

impl Events {
    pub(super) fn new(
        bytes: impl Stream<Item = reqwest::Result<Bytes>> + Send + 'static,
        deadline: Instant,
        between_events: Duration,
    ) -> Self {
        Self { events: SseByteStream::new(bytes.boxed()).boxed(), deadline, between_events }
    }

    /// The data of the next event, of whatever kind, as it was sent; none when the answer is over.
    ///
    /// # Errors
    /// When the connection breaks, nothing comes in time, or what comes is no stream of events.
    pub async fn next(&mut self) -> Result<Option<String>, UpstreamError> {
        loop {
            let by = self.deadline.min(Instant::now() + self.between_events);
            match timeout_at(by, self.events.next()).await {
                Err(_) => return Err(UpstreamError::TimedOut),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(UpstreamError::Broken(error.into())),
                Ok(Some(Ok(Sse { data: Some(data), .. }))) => return Ok(Some(data)),
                // A comment or a name alone.
                Ok(Some(Ok(_))) => {}
            }
        }
    }
}

/// What an answer turned out to be, learnt from its events or its body. Everything may be missing: kinds of events and
/// blocks that nobody knows yet pass by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The answer's text, if it was asked for.
    pub text: String,
    /// Tokens that were read and written.
    pub usage: Usage,
    /// Whether Anthropic said that the answer is complete.
    pub is_complete: bool,
    /// The error that Anthropic sent in the middle of the answer.
    pub error: Option<String>,
}

/// Tokens of an exchange, as Anthropic counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Usage {
    /// Read, and neither found in the cache nor written to it.
    pub input_tokens: Option<i64>,
    /// Written.
    pub output_tokens: Option<i64>,
    /// Read from the cache.
    pub cache_read_input_tokens: Option<i64>,
    /// Read and written to the cache.
    pub cache_creation_input_tokens: Option<i64>,
}

impl Usage {
    /// Takes over what `later` knows: counts are running totals.
    fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens = later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
    }

    /// Counts the tokens of an exchange with `model`, if they are known.
    pub(crate) fn count(&self, model: &str) {
        let counts = [
            (Metric::InputTokens, self.input_tokens),
            (Metric::OutputTokens, self.output_tokens),
            (Metric::CacheReadTokens, self.cache_read_input_tokens),
            (Metric::CacheWriteTokens, self.cache_creation_input_tokens),
        ];
        if counts.iter().all(|(_, tokens)| tokens.is_none()) {
            return;
        }
        metrics::name_model(model);
        for (metric, tokens) in counts {
            metrics::count(metric, tokens.and_then(|tokens| tokens.try_into().ok()).unwrap_or(0));
        }
    }

    /// Whether tokens were read from the prompt cache (design, reading 25).
    pub fn is_cached(&self) -> bool {
        self.cache_read_input_tokens.is_some_and(|tokens| tokens > 0)
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Message,
    },
    ContentBlockDelta {
        delta: Delta,
    },
    MessageDelta {
        #[serde(default)]
        usage: Usage,
    },
    MessageStop,
    Error {
        error: EventError,
    },
    #[serde(other)]
    Other,
}

/// A message, whole or at its beginning.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    content: Vec<Block>,
    usage: Usage,
}

#[derive(Deserialize)]
struct Block {
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
struct EventError {
    #[serde(default)]
    message: String,
}

impl Observed {
    /// Takes notice of an event; of its text only with `keep_text`, so that it need not be kept for nothing.
    pub fn note(&mut self, data: &str, keep_text: bool) {
        match serde_json::from_str(data) {
            Ok(Event::MessageStart { message }) => self.usage.update(message.usage),
            Ok(Event::ContentBlockDelta { delta: Delta { text: Some(text) } }) if keep_text => {
                self.text.push_str(&text)
            }
            Ok(Event::MessageDelta { usage }) => self.usage.update(usage),
            Ok(Event::MessageStop) => self.is_complete = true,
            Ok(Event::Error { error }) => self.error = Some(error.message),
            _ => {}
        }
    }

    /// What a whole message says; nothing of a body that is none.
    pub fn of_message(body: &[u8]) -> Self {
        let Message { content, usage } = serde_json::from_slice(body).unwrap_or_default();
        let text = content.into_iter().filter_map(|block| block.text).collect();
        Self { text, usage, is_complete: true, error: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_tokens_and_the_end_are_learnt_and_the_unknown_passes_by() {
        let mut observed = Observed::default();
        for data in [
            r#"{"type":"message_start","message":{"id":"m","usage":{"input_tokens":245,"output_tokens":1,"cache_read_input_tokens":12}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"new_delta","thing":{}}}"#,
            r#"{"type":"something_new","text":7}"#,
            "not json",
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" there"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":156}}"#,
        ] {
            observed.note(data, true);
        }
        assert!(!observed.is_complete);
        observed.note(r#"{"type":"message_stop"}"#, true);
        assert!(observed.is_complete && observed.usage.is_cached());
        assert_eq!(observed.text, "Hi there");
        assert_eq!((observed.usage.input_tokens, observed.usage.output_tokens), (Some(245), Some(156)));
        observed.note(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, true);
        assert_eq!(observed.error.as_deref(), Some("Overloaded"));
    }

    #[test]
    fn a_whole_message_says_the_same() {
        let body = r#"{"content":[{"type":"text","text":"A"},{"type":"tool_use","name":"x"},{"type":"text","text":"B"}],
                       "usage":{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":0}}"#;
        let observed = Observed::of_message(body.as_bytes());
        assert_eq!((&*observed.text, observed.usage.output_tokens), ("AB", Some(2)));
        assert!(!observed.usage.is_cached());
        assert_eq!(Observed::of_message(b"x").text, "");
    }
}
