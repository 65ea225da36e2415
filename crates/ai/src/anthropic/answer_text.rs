//! The text of an answer as the log of conversations keeps it: the words of the assistant, and a line for each block of another
//! kind.

use serde_json::value::RawValue;

use crate::raw_json::{Block, read};

/// A text that grows with the blocks of an answer. Texts are appended as they are. Every other block is a line of its own: a call of a
/// tool is `[tool_use NAME INPUT]`, and any other block, such as one of thoughts, is `[KIND]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AnswerText {
    text: String,
    /// The call of a tool whose input is being received.
    call: Option<Call>,
    /// Whether the last line is not one of the assistant's words.
    ends_with_mark: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    /// The kind of the block and the name of the tool.
    label: String,
    input: String,
}

impl AnswerText {
    /// Begins a block, or adds a whole one. The parts of its text and input that follow are added by [`push_text`](Self::push_text)
    /// and [`push_input`](Self::push_input).
    pub(super) fn begin_block(&mut self, block: &RawValue) {
        self.end_block();
        let Ok(Block { kind, text, name, input }) = serde_json::from_str(block.get()) else { return };
        let kind = read(kind).unwrap_or_else(|| "block".to_owned());
        match (read::<String>(text), read::<String>(name)) {
            (Some(text), _) => self.push_text(&text),
            (None, Some(name)) => {
                self.call = Some(Call {
                    label: format!("{kind} {name}"),
                    input: input.map(|input| input.get().to_owned()).unwrap_or_default(),
                });
            }
            (None, None) if kind == "text" => {}
            (None, None) => self.push_mark(&kind),
        }
    }

    /// Adds a part of a text.
    pub(super) fn push_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if std::mem::take(&mut self.ends_with_mark) {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }

    /// Adds a part of the JSON that is the input of the current call. A block begins with an empty input, which the parts replace.
    pub(super) fn push_input(&mut self, part: &str) {
        if let Some(Call { input, .. }) = &mut self.call {
            if input == "{}" {
                input.clear();
            }
            input.push_str(part);
        }
    }

    /// Ends the current block.
    pub(super) fn end_block(&mut self) {
        if let Some(Call { label, input }) = self.call.take() {
            self.push_mark(format!("{label} {input}").trim_end());
        }
    }

    /// Adds a line that is none of the assistant's words.
    pub(super) fn push_mark(&mut self, mark: &str) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.push_str(&format!("[{mark}]"));
        self.ends_with_mark = true;
    }

    /// Returns the text. All blocks must have ended.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}
