//! Integers within bounds, and ids.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, Unexpected},
};

/// An integer from `MIN` to `MAX`: a JSON number in a body, digits in a query string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BoundedInt<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> BoundedInt<MIN, MAX> {
    /// Reads decimal digits.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|_| is_number)
            .and_then(Self::new)
            .ok_or_else(|| format!("must be {}", Expected(MIN, MAX)))
    }

    pub fn get(self) -> i64 {
        self.0
    }

    /// Returns `number` if it is within the bounds.
    pub fn new(number: i64) -> Option<Self> {
        (MIN..=MAX).contains(&number).then_some(Self(number))
    }
}

/// Converts a number such as `12.0`, which some programs write for the integer 12. Beyond the integers that a float represents exactly
/// it returns `None`.
#[expect(clippy::cast_possible_truncation, reason = "it is whole, and small enough")]
pub fn exact_integer(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_991.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// Reads an id in a path: decimal digits. An id that is too large for any row becomes the largest number, which no row has.
///
/// # Errors
/// The problem, as the rest of a sentence that begins with the field's name.
pub fn parse_id(text: &str) -> Result<i64, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("must be a string of decimal digits".to_owned());
    }
    Ok(text.parse().unwrap_or(i64::MAX))
}

/// The expected number, as part of a sentence.
struct Expected(i64, i64);

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a whole number from {}", self.0)?;
        if self.1 == i64::MAX { Ok(()) } else { write!(formatter, " to {}", self.1) }
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for BoundedInt<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const MIN: i64, const MAX: i64>;

        impl<const MIN: i64, const MAX: i64> de::Visitor<'_> for Visitor<MIN, MAX> {
            type Value = BoundedInt<MIN, MAX>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}", Expected(MIN, MAX))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                BoundedInt::new(number).ok_or_else(|| E::custom(format_args!("must be {}", Expected(MIN, MAX))))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
                let whole = exact_integer(number).ok_or_else(|| E::invalid_type(Unexpected::Float(number), &self))?;
                self.visit_i64(whole)
            }
        }

        deserializer.deserialize_i64(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Dozen = BoundedInt<1, 12>;

    #[test]
    fn numbers_within_the_bounds_are_accepted() {
        for (sent, number) in [("1", 1), ("12", 12), ("007", 7)] {
            assert_eq!(Dozen::parse(sent).unwrap().get(), number, "{sent}");
        }
        for (sent, number) in [("12", 12), ("12.0", 12), ("1e1", 10)] {
            assert_eq!(serde_json::from_str::<Dozen>(sent).unwrap().get(), number, "{sent}");
        }
    }

    #[test]
    fn other_numbers_are_rejected_with_the_bounds() {
        for sent in ["", "0", "13", "-1", "+1", " 1", "1.0", "1e1", "ten", "99999999999999999999"] {
            assert_eq!(Dozen::parse(sent).unwrap_err(), "must be a whole number from 1 to 12", "{sent}");
        }
        for sent in ["0", "13", "-1", "1.5", "0.0", "1e30", "99999999999999999999", "\"1\"", "null", "true"] {
            let error = serde_json::from_str::<Dozen>(sent).unwrap_err().to_string();
            assert!(error.contains("a whole number from 1 to 12"), "{sent}: {error}");
        }
        assert_eq!(BoundedInt::<0, { i64::MAX }>::parse("x").unwrap_err(), "must be a whole number from 0");
    }
}
