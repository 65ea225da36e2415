//! Cuts long texts, because a client cannot be asked to shorten what the assistant logs.

use crate::{LoggedText, MAX_TEXT_BYTES};

/// The end of a text that was cut.
pub const CUT_MARK: &str = "… [cut]";

/// Makes `text` fit the log. A longer one is cut after the last whole character that fits, and [`CUT_MARK`] is added. NUL, which the
/// log does not take, becomes U+FFFD.
pub fn cut_text(text: &str) -> LoggedText {
    let text = text.replace('\0', "\u{fffd}");
    let fitting = if text.len() > MAX_TEXT_BYTES {
        let kept = text.floor_char_boundary(MAX_TEXT_BYTES - CUT_MARK.len());
        format!("{}{CUT_MARK}", &text[..kept])
    } else {
        text
    };
    // It has no NUL and fits, so it is never the empty text.
    LoggedText::parse(fitting).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_text_is_unchanged() {
        for text in ["", "a", " 'q' \"\n🛩 ", &"x".repeat(MAX_TEXT_BYTES)] {
            assert_eq!(&*cut_text(text), text);
        }
    }

    #[test]
    fn long_text_is_cut_between_characters_and_marked() {
        for character in ["x", "é", "語", "🛩"] {
            let whole = character.repeat(MAX_TEXT_BYTES / character.len() + 1);
            let cut = cut_text(&whole);
            let kept = cut.strip_suffix(CUT_MARK).unwrap();
            assert!(whole.starts_with(kept));
            assert!((MAX_TEXT_BYTES - 3..=MAX_TEXT_BYTES).contains(&cut.len()), "{character}: {}", cut.len());
        }
    }

    #[test]
    fn nul_is_replaced_before_cutting() {
        assert_eq!(&*cut_text("a\0b"), "a\u{fffd}b");
        assert!(cut_text(&"\0".repeat(MAX_TEXT_BYTES)).len() <= MAX_TEXT_BYTES);
    }
}
