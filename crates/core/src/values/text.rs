//! Text that fits its column.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, de};
use unicode_normalization::UnicodeNormalization;

use super::{is_invisible, plain_dash};

/// Text of at most `MAX` characters, as a `VARCHAR(MAX)` column counts them, without NUL. Kept byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Checks `value`.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(value: String) -> Result<Self, String> {
        reject_nul(&value)?;
        if value.chars().count() > MAX {
            return Err(format!("must be at most {MAX} characters long"));
        }
        Ok(Self(value))
    }

    pub fn into_inner(self) -> String {
        self.0
    }
}

/// Text of 1 to `MAX` characters without white space around it: a number or a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TrimmedText<const MAX: usize>(String);

impl<const MAX: usize> TrimmedText<MAX> {
    /// Trims `value` and checks it.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(value: &str) -> Result<Self, String> {
        let value = Text::<MAX>::parse(value.trim().to_owned())?.into_inner();
        if value.is_empty() { Err("must not be empty".to_owned()) } else { Ok(Self(value)) }
    }

    pub fn into_inner(self) -> String {
        self.0
    }
}

/// A number or a name of 1 to `MAX` characters that people type, in the one form in which it is stored and compared: Unicode's
/// NFC, trimmed, with one blank for each run of white space, without invisible characters, and with `-` for each typographic dash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct NormalizedText<const MAX: usize>(String);

impl<const MAX: usize> NormalizedText<MAX> {
    /// Brings `value` into that form and checks it.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(value: &str) -> Result<Self, String> {
        reject_nul(value)?;
        // Normalizing megabytes would take seconds. No text that people type becomes so much shorter by it.
        if value.len() > MAX * 64 {
            return Err(format!("must be at most {MAX} characters long"));
        }
        let visible: String =
            value.chars().filter(|character| !is_invisible(*character)).map(plain_dash).nfc().collect();
        let words: Vec<&str> = visible.split_whitespace().collect();
        Ok(Self(TrimmedText::<MAX>::parse(&words.join(" "))?.into_inner()))
    }

    pub fn into_inner(self) -> String {
        self.0
    }
}

/// Text that fits a `TEXT` column.
pub type LongText = BoundedText<65_535>;

/// Text of at most `MAX_BYTES` bytes in UTF-8, as `TEXT` columns count them, without NUL. Kept byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct BoundedText<const MAX_BYTES: usize>(String);

impl<const MAX_BYTES: usize> BoundedText<MAX_BYTES> {
    /// Checks `value`.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(value: String) -> Result<Self, String> {
        reject_nul(&value)?;
        if value.len() > MAX_BYTES {
            return Err(format!("must be at most {MAX_BYTES} bytes long in UTF-8"));
        }
        Ok(Self(value))
    }

    pub fn into_inner(self) -> String {
        self.0
    }
}

fn reject_nul(value: &str) -> Result<(), String> {
    if value.contains('\0') { Err("must not contain the NUL character".to_owned()) } else { Ok(()) }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Deref for TrimmedText<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Deref for NormalizedText<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX_BYTES: usize> Deref for BoundedText<MAX_BYTES> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Reads a JSON string with `parse`. For other JSON the error says that it must be `expected`.
///
/// # Errors
/// The error of `parse`, as the rest of a sentence that begins with the field's name.
pub fn deserialize_str<'de, D, T>(
    deserializer: D,
    expected: &'static str,
    parse: impl FnOnce(String) -> Result<T, String>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    struct StringVisitor(&'static str);

    impl de::Visitor<'_> for StringVisitor {
        type Value = String;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }

        fn visit_str<E>(self, value: &str) -> Result<String, E> {
            Ok(value.to_owned())
        }

        fn visit_string<E>(self, value: String) -> Result<String, E> {
            Ok(value)
        }
    }

    parse(deserializer.deserialize_string(StringVisitor(expected))?).map_err(de::Error::custom)
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_str(deserializer, "text", Self::parse)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for TrimmedText<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_str(deserializer, "text", |value| Self::parse(&value))
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for NormalizedText<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_str(deserializer, "text", |value| Self::parse(&value))
    }
}

impl<'de, const MAX_BYTES: usize> Deserialize<'de> for BoundedText<MAX_BYTES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_str(deserializer, "text", Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varchar_counts_characters_and_text_counts_bytes() {
        assert!(Text::<3>::parse("日本語".to_owned()).is_ok());
        assert!(Text::<3>::parse("日本語!".to_owned()).is_err());
        assert!(LongText::parse("x".repeat(65_535)).is_ok());
        assert!(LongText::parse("é".repeat(32_768)).is_err());
    }

    #[test]
    fn trimmed_text_is_not_empty_or_too_long() {
        assert_eq!(&*TrimmedText::<50>::parse(" RO 1\n").unwrap(), "RO 1");
        assert!(TrimmedText::<50>::parse(&format!(" {} ", "9".repeat(50))).is_ok());
        for sent in ["", " \t ", &"9".repeat(51), "a\0b"] {
            assert!(TrimmedText::<50>::parse(sent).is_err(), "{sent:?}");
        }
    }

    #[test]
    fn normalized_text_has_one_form() {
        for (sent, kept) in [
            (" PCX 8001\n", "PCX 8001"),
            ("PCX\t8001", "PCX 8001"),
            ("PCX  8001", "PCX 8001"),
            ("PCX\u{a0}8001", "PCX 8001"),
            ("PCX \u{200b} 8001", "PCX 8001"),
            ("\u{feff}PCX\u{1} 8001\u{202d}", "PCX 8001"),
            ("RO\u{2010}1\u{2212}2", "RO-1-2"),
            ("Cafe\u{301}", "Café"),
            ("Café", "Café"),
            ("x-Ä1", "x-Ä1"),
        ] {
            assert_eq!(&*NormalizedText::<50>::parse(sent).unwrap(), kept, "{sent:?}");
        }
        for sent in ["", " \t ", "\u{200b}", "\u{1}\u{a0}", &"9".repeat(51), "a\0b"] {
            assert!(NormalizedText::<50>::parse(sent).is_err(), "{sent:?}");
        }
        assert!(NormalizedText::<50>::parse(&"9\u{200b}".repeat(50)).is_ok());
        // It would be short enough once it is normalized.
        assert!(NormalizedText::<50>::parse(&format!("9{}9", " ".repeat(10_000))).is_err());
    }

    #[test]
    fn only_nul_is_rejected() {
        assert!(Text::<10>::parse("a\0b".to_owned()).is_err());
        assert!(LongText::parse("\0".to_owned()).is_err());
        assert_eq!(&*Text::<20>::parse(" 'q' \"\n🛩 ".to_owned()).unwrap(), " 'q' \"\n🛩 ");
    }
}
