//! The numbers and ids by which requests name a part.

use app_core::{
    openapi::{Digits, Visible},
    values::{TrimmedText, capital, deserialize_str, exact_integer, significant_characters},
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Unexpected},
};

/// A part number in a request: trimmed, 1 to 100 characters. Two numbers with one key are the same part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartNumber(TrimmedText<100>);

impl PartNumber {
    /// Reads a number.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(number: &str) -> Result<Self, String> {
        let number = Self(TrimmedText::parse(number)?);
        if number.in_any_case().is_empty() { Err("must not be empty".to_owned()) } else { Ok(number) }
    }

    /// Returns the number as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the key of the number: see [`part_number_key`].
    pub fn key(&self) -> String {
        part_number_key(&self.0)
    }

    /// Returns the key before it is put in capitals. Statements do that, so that a key which the database computed is compared with
    /// one that it computed: `UPPER(? COLLATE utf8mb4_bin)`.
    pub fn in_any_case(&self) -> String {
        significant_characters(&self.0).collect()
    }

    /// Returns whether `stored` is the number of the same part.
    pub fn matches(&self, stored: &str) -> bool {
        self.key() == part_number_key(stored)
    }
}

impl<'de> Deserialize<'de> for PartNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_str(deserializer, "text", |number| Self::parse(&number))
    }
}

app_core::described_as!(PartNumber, Visible<100>);

/// Returns the key of a part number: in capitals, without white space, control and invisible format characters, and with `-` for
/// each typographic dash. Two numbers with one key are the same part. The database computes it alike, in the columns
/// `PartNumberKey`; the two may differ in the capitals of rare letters only, so a key from here is never compared with one from
/// there.
pub fn part_number_key(number: &str) -> String {
    significant_characters(number).map(capital).collect()
}

/// The id of a row of the index. Requests send a string of digits or a number, responses show a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct IndexId(pub i64);

impl Serialize for IndexId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

app_core::described_as!(IndexId, Digits);

impl<'de> Deserialize<'de> for IndexId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = IndexId;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a string of decimal digits or a whole number")
            }

            fn visit_u64<E>(self, id: u64) -> Result<IndexId, E> {
                // An id that is too large for any row is not malformed: it is one that no row has.
                Ok(IndexId(i64::try_from(id).unwrap_or(i64::MAX)))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<IndexId, E> {
                Err(E::custom("must not be negative"))
            }

            fn visit_f64<E: de::Error>(self, id: f64) -> Result<IndexId, E> {
                let whole = exact_integer(id).ok_or_else(|| E::invalid_type(Unexpected::Float(id), &self))?;
                match u64::try_from(whole) {
                    Ok(id) => self.visit_u64(id),
                    Err(_) => self.visit_i64(whole),
                }
            }

            fn visit_str<E: de::Error>(self, id: &str) -> Result<IndexId, E> {
                if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(E::custom("must be a string of decimal digits or a whole number"));
                }
                Ok(IndexId(id.parse().unwrap_or(i64::MAX)))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_with_one_key_are_the_same_part() {
        let number = PartNumber::parse("65-90305-11a").unwrap();
        for same in [
            "65-90305-11A",
            " 65-90305-11A\n",
            "65 - 90305\u{a0}-11a\t",
            "\u{feff}65-\u{200b}90305-11A\u{202d}",
            "65\u{2010}90305\u{2212}11A",
        ] {
            assert!(number.matches(same), "{same:?}");
            assert_eq!(part_number_key(same), "65-90305-11A", "{same:?}");
        }
        for other in ["65-90305-11", "6590305-11A", "65-90305-11Ä", ""] {
            assert!(!number.matches(other), "{other:?}");
        }
        assert_eq!(part_number_key("straße 🛩-ä"), "STRAßE🛩-Ä");
    }

    #[test]
    fn a_number_of_nothing_that_can_be_seen_is_blank() {
        for sent in ["", "  ", "\u{200b}", "\u{1}\u{a0}\u{feff}", "a\0b", &"9".repeat(101)] {
            assert!(PartNumber::parse(sent).is_err(), "{sent:?}");
        }
    }
}
