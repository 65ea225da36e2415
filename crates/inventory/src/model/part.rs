//! The numbers and ids by which requests name a part.

use app_core::{
    openapi::Digits,
    values::{TrimmedText, exact_integer},
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Unexpected},
};

/// A part number in a request: trimmed, 1 to 100 characters. Numbers are compared in capitals.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct PartNumber(TrimmedText<100>);

impl PartNumber {
    /// Reads a number.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(number: &str) -> Result<Self, String> {
        TrimmedText::parse(number).map(Self)
    }

    /// Returns the number as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether `stored` is the same number.
    pub fn matches(&self, stored: &str) -> bool {
        self.0.to_uppercase() == stored.trim().to_uppercase()
    }
}

app_core::described_as!(PartNumber, TrimmedText<100>);

/// The id of a row of the index. Requests send a string of digits or a number, responses show a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
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
