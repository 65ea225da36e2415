//! The events of a streamed response, and their summary.

use std::time::Duration;

use app_core::metrics::{self, Metric};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use serde::Deserialize;
use sse_stream::{Error, Sse, SseByteStream};
use tokio::time::{Instant, timeout_at};

use super::UpstreamError;

/// The events of a streamed response.
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

    /// Returns the data of the next event, of any kind, byte for byte, or `None` at the end.
    ///
    /// # Errors
    /// When the connection is lost, the next event does not come in time, or the body is not a stream of events.
    pub async fn next(&mut self) -> Result<Option<String>, UpstreamError> {
        loop {
            let by = self.deadline.min(Instant::now() + self.between_events);
            match timeout_at(by, self.events.next()).await {
                Err(_) => return Err(UpstreamError::TimedOut),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(UpstreamError::ConnectionLost(error.into())),
                Ok(Some(Ok(Sse { data: Some(data), .. }))) => return Ok(Some(data)),
                // A comment, or a name without data.
                Ok(Some(Ok(_))) => {}
            }
        }
    }
}

/// The parts of a response that this program uses. Unknown kinds of events and blocks are ignored, and everything may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseSummary {
    /// The text, if it is needed.
    pub text: String,
    pub usage: Usage,
    /// Whether Anthropic sent the end of the message.
    pub is_complete: bool,
    /// The message of an error that Anthropic sent as an event.
    pub error: Option<String>,
}

/// The tokens of an exchange, as Anthropic counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Usage {
    /// The input tokens that were neither read from the prompt cache nor written to it.
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    /// The input tokens read from the prompt cache.
    pub cache_read_input_tokens: Option<i64>,
    /// The input tokens written to the prompt cache.
    pub cache_creation_input_tokens: Option<i64>,
}

impl Usage {
    /// Takes over the counts of `later` that are there. Counts are running totals.
    fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens = later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
    }

    /// Adds the tokens to the metrics of `model`, if they are known.
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

    /// Returns whether tokens were read from the prompt cache.
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

/// A whole message, or the beginning of one.
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

impl ResponseSummary {
    /// Takes an event into account, its text only with `keep_text`.
    pub fn record(&mut self, data: &str, keep_text: bool) {
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

    /// Summarises a whole message. A body that is not a message gives an empty summary.
    pub fn from_message(body: &[u8]) -> Self {
        let Message { content, usage } = serde_json::from_slice(body).unwrap_or_default();
        let text = content.into_iter().filter_map(|block| block.text).collect();
        Self { text, usage, is_complete: true, error: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_summarised_and_unknown_ones_ignored() {
        let mut summary = ResponseSummary::default();
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
            summary.record(data, true);
        }
        assert!(!summary.is_complete);
        summary.record(r#"{"type":"message_stop"}"#, true);
        assert!(summary.is_complete && summary.usage.is_cached());
        assert_eq!(summary.text, "Hi there");
        assert_eq!((summary.usage.input_tokens, summary.usage.output_tokens), (Some(245), Some(156)));
        summary.record(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, true);
        assert_eq!(summary.error.as_deref(), Some("Overloaded"));
    }

    #[test]
    fn whole_messages_are_summarised() {
        let body = r#"{"content":[{"type":"text","text":"A"},{"type":"tool_use","name":"x"},{"type":"text","text":"B"}],
                       "usage":{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":0}}"#;
        let summary = ResponseSummary::from_message(body.as_bytes());
        assert_eq!((&*summary.text, summary.usage.output_tokens), ("AB", Some(2)));
        assert!(!summary.usage.is_cached());
        assert_eq!(ResponseSummary::from_message(b"x").text, "");
    }
}
