//! The parts of a response that this program uses, for the log and the metrics. Everything may be missing or of another type, and
//! unknown kinds of events and blocks are allowed: such a part is unknown, and the response is passed on nonetheless.

use app_core::metrics::{self, Metric};
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::Span;

use super::answer_text::AnswerText;
use crate::raw_json::read;

/// The stop reason of an answer that the model or a filter refused to give.
const REFUSAL: &str = "refusal";

/// The parts of a response that this program uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseSummary {
    answer: AnswerText,
    pub usage: Usage,
    /// Why the answer ended.
    pub stop_reason: Option<String>,
    /// Whether Anthropic sent the end of the message.
    pub is_complete: bool,
    /// The message of an error that Anthropic sent as an event.
    pub error: Option<String>,
}

/// The tokens of an exchange, as Anthropic counts them; `None` if unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Reads the counts that are there, and keeps the others. Counts are running totals.
    fn update(&mut self, usage: Option<&RawValue>) {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Counts<'a> {
            #[serde(borrow)]
            input_tokens: Option<&'a RawValue>,
            #[serde(borrow)]
            output_tokens: Option<&'a RawValue>,
            #[serde(borrow)]
            cache_read_input_tokens: Option<&'a RawValue>,
            #[serde(borrow)]
            cache_creation_input_tokens: Option<&'a RawValue>,
        }
        let counts: Counts<'_> = read(usage).unwrap_or_default();
        // A larger number does not fit the log.
        let count = |json: Option<&RawValue>| read::<i32>(json).filter(|count| *count >= 0).map(i64::from);
        self.input_tokens = count(counts.input_tokens).or(self.input_tokens);
        self.output_tokens = count(counts.output_tokens).or(self.output_tokens);
        self.cache_read_input_tokens = count(counts.cache_read_input_tokens).or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens =
            count(counts.cache_creation_input_tokens).or(self.cache_creation_input_tokens);
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

/// An event of any kind.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// A whole message, or the beginning of one.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// A part of a block or of a message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    partial_json: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EventError<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

impl ResponseSummary {
    /// Takes an event into account, its text only with `keep_text`.
    pub fn record(&mut self, data: &str, keep_text: bool) {
        let Ok(event) = serde_json::from_str::<Event<'_>>(data) else { return };
        let kind: String = read(event.kind).unwrap_or_default();
        match &*kind {
            "message_start" => self.record_message(&read(event.message).unwrap_or_default(), keep_text),
            "content_block_start" if keep_text => {
                if let Some(block) = event.content_block {
                    self.answer.begin_block(block);
                }
            }
            "content_block_delta" if keep_text => {
                let delta: Delta<'_> = read(event.delta).unwrap_or_default();
                self.answer.push_text(&read::<String>(delta.text).unwrap_or_default());
                self.answer.push_input(&read::<String>(delta.partial_json).unwrap_or_default());
            }
            "content_block_stop" => self.answer.end_block(),
            "message_delta" => {
                let delta: Delta<'_> = read(event.delta).unwrap_or_default();
                self.stop_reason = read(delta.stop_reason).or(self.stop_reason.take());
                self.usage.update(event.usage);
            }
            "message_stop" => self.is_complete = true,
            "error" => {
                let error: EventError<'_> = read(event.error).unwrap_or_default();
                self.error = Some(read(error.message).unwrap_or_else(|| "no reason given".to_owned()));
            }
            _ => {}
        }
    }

    /// Summarises a whole message. A body that is not a message gives an empty summary.
    pub fn from_message(body: &[u8]) -> Self {
        let mut summary = Self { is_complete: true, ..Self::default() };
        summary.record_message(&serde_json::from_slice(body).unwrap_or_default(), true);
        summary
    }

    fn record_message(&mut self, message: &Message<'_>, keep_text: bool) {
        if keep_text {
            let blocks: Vec<&RawValue> = read(message.content).unwrap_or_default();
            blocks.into_iter().for_each(|block| self.answer.begin_block(block));
        }
        self.stop_reason = read(message.stop_reason);
        self.usage.update(message.usage);
    }

    /// Adds the stop reason to the log line of the request.
    pub(crate) fn record_in_log_line(&self) {
        Span::current().record("upstream.stop_reason", self.stop_reason.as_deref());
    }

    /// Takes the text of the answer, with a line for each call of a tool, and a last one if the answer is a refusal.
    pub fn take_text(&mut self) -> String {
        let mut answer = std::mem::take(&mut self.answer);
        answer.end_block();
        if self.stop_reason.as_deref() == Some(REFUSAL) {
            answer.push_mark(REFUSAL);
        }
        answer.into_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streamed(events: &[&str]) -> ResponseSummary {
        let mut summary = ResponseSummary::default();
        events.iter().for_each(|data| summary.record(data, true));
        summary
    }

    fn whole(body: &str) -> ResponseSummary {
        ResponseSummary::from_message(body.as_bytes())
    }

    #[test]
    fn events_are_summarised_and_unknown_ones_ignored() {
        let mut summary = streamed(&[
            r#"{"type":"message_start","message":{"id":"m","usage":{"input_tokens":245,"output_tokens":1,"cache_read_input_tokens":12}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"new_delta","thing":{}}}"#,
            r#"{"type":"something_new","text":7}"#,
            "not json",
            "[]",
            r#"{"type":["message_stop"]}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" there"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":156}}"#,
        ]);
        assert!(!summary.is_complete);
        summary.record(r#"{"type":"message_stop"}"#, true);
        assert!(summary.is_complete && summary.usage.is_cached());
        assert_eq!(summary.take_text(), "Hi there");
        assert_eq!((summary.usage.input_tokens, summary.usage.output_tokens), (Some(245), Some(156)));
        assert_eq!(summary.stop_reason.as_deref(), Some("end_turn"));
        summary.record(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, true);
        assert_eq!(summary.error.as_deref(), Some("Overloaded"));
        summary.record(r#"{"type":"error","error":null}"#, true);
        assert_eq!(summary.error.as_deref(), Some("no reason given"));
    }

    #[test]
    fn calls_of_tools_are_lines_of_the_text() {
        let mut summary = whole(
            r#"{"content":[{"type":"thinking","thinking":"secret","signature":"x"},{"type":"text","text":"A"},{"type":"text","text":"B"},
                {"type":"tool_use","id":"t","name":"find_orders","input":{"z":1.50,"a":[]}},{"type":"web_search_tool_result","content":[]},
                {"type":"text","text":"C"}], "stop_reason":"tool_use", "usage":{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":0}}"#,
        );
        let expected = "[thinking]\nAB\n[tool_use find_orders {\"z\":1.50,\"a\":[]}]\n[web_search_tool_result]\nC";
        assert_eq!((&*summary.take_text(), summary.usage.output_tokens), (expected, Some(2)));
        assert_eq!(summary.stop_reason.as_deref(), Some("tool_use"));
        assert!(!summary.usage.is_cached());
        assert_eq!(whole("x").take_text(), "");
    }

    #[test]
    fn streamed_inputs_of_tools_are_put_together() {
        let mut events = vec![
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"secret"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"Look"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"ing."}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"server_tool_use","name":"web_search","input":{}}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"query\": \"MS2"}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"0470\"}"}}"#,
            r#"{"type":"content_block_stop","index":2}"#,
            r#"{"type":"content_block_start","index":3,"content_block":{"type":"mcp_tool_use","name":"list","input":{}}}"#,
        ];
        let expected =
            "[thinking]\nLooking.\n[server_tool_use web_search {\"query\": \"MS20470\"}]\n[mcp_tool_use list {}]";
        assert_eq!(streamed(&events).take_text(), expected);
        events.push(
            r#"{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}"#,
        );
        assert!(streamed(&events).take_text().ends_with("[mcp_tool_use list {\"a\"]"), "what had arrived");
        let mut unneeded = ResponseSummary::default();
        events.iter().for_each(|data| unneeded.record(data, false));
        assert_eq!(unneeded.take_text(), "");
    }

    #[test]
    fn a_refusal_leaves_a_line() {
        assert_eq!(whole(r#"{"content":[],"stop_reason":"refusal"}"#).take_text(), "[refusal]");
        let mut summary = streamed(&[
            r#"{"type":"content_block_delta","delta":{"text":"First"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"refusal"}}"#,
        ]);
        assert_eq!(summary.take_text(), "First\n[refusal]");
    }

    #[test]
    fn tokens_that_are_no_numbers_are_unknown() {
        for usage in [
            "null",
            "5",
            "[]",
            r#"{"input_tokens":"12","output_tokens":null}"#,
            r#"{"input_tokens":-1,"output_tokens":1e40}"#,
        ] {
            let body = format!(r#"{{"content":[{{"type":"text","text":"A"}}],"usage":{usage}}}"#);
            let mut summary = whole(&body);
            assert_eq!((summary.usage, &*summary.take_text()), (Usage::default(), "A"), "{usage}");
            let start = format!(r#"{{"type":"message_start","message":{body}}}"#);
            let end = format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{usage}}}"#);
            let summary = streamed(&[&start, &end]);
            assert_eq!(
                (summary.usage, summary.stop_reason.as_deref()),
                (Usage::default(), Some("end_turn")),
                "{usage}"
            );
        }
        let partly =
            whole(r#"{"usage":{"input_tokens":12,"output_tokens":{},"service_tier":"standard","iterations":null}}"#);
        assert_eq!((partly.usage.input_tokens, partly.usage.output_tokens), (Some(12), None));
    }
}
