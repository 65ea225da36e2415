//! Amounts of money in `DECIMAL(10,2)` columns: exact decimals, never floats.

use std::{fmt, ops::AddAssign};

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

/// A non-negative amount with at most two decimals, up to 99,999,999.99. Responses carry it as a string with two
/// digits (`"2500.00"`).
///
/// An amount from the database is shown as it is, whatever its size: sums may be larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct Money(Decimal);

impl Money {
    /// The largest amount that `DECIMAL(10,2)` holds, in cents.
    const MAX_CENTS: i64 = 9_999_999_999;

    const EXPECTED: &str = "must be an amount such as \"2500.00\"";

    /// Takes an amount that was computed from amounts of the database.
    pub fn from_database(amount: Decimal) -> Self {
        Self(amount)
    }

    pub fn amount(self) -> Decimal {
        self.0
    }

    /// Reads a decimal such as `2500`, `2500.5` or `2500.00`.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole.strip_prefix('-').unwrap_or(whole)) || !is_number(decimals) {
            return Err(Self::EXPECTED.to_owned());
        }
        // A number that has the form and is still refused has more digits than a decimal can hold.
        let amount = Decimal::from_str_exact(text)
            .map_err(|_| if decimals.len() > 2 { Self::too_precise() } else { Self::too_large() })?;
        Self::checked(amount)
    }

    /// Writes the amount into `text` as [`Display`](fmt::Display) shows it, but faster, because each order of a list has two amounts.
    /// `None` if it is negative, has not exactly two decimals, or is more than `u64::MAX` cents.
    fn with_two_decimals(self, text: &mut [u8; 24]) -> Option<&str> {
        let Self(amount) = self;
        let mut cents = u64::try_from(amount.mantissa()).ok().filter(|_| amount.scale() == 2)?;
        let mut start = text.len();
        while cents > 0 || text.len() - start < "0.00".len() {
            start -= 1;
            if text.len() - start == ".00".len() {
                text[start] = b'.';
            } else {
                text[start] = b'0' + (cents % 10) as u8;
                cents /= 10;
            }
        }
        std::str::from_utf8(&text[start..]).ok()
    }

    fn checked(amount: Decimal) -> Result<Self, String> {
        if amount.is_sign_negative() && !amount.is_zero() {
            return Err("must not be negative".to_owned());
        }
        if amount.scale() > 2 {
            return Err(Self::too_precise());
        }
        if amount > Decimal::new(Self::MAX_CENTS, 2) {
            return Err(Self::too_large());
        }
        Ok(Self(amount.abs()))
    }

    fn too_large() -> String {
        "must be at most 99999999.99".to_owned()
    }

    fn too_precise() -> String {
        "must have at most two decimals".to_owned()
    }
}

/// Adds an amount of the database to a sum.
impl AddAssign<Decimal> for Money {
    fn add_assign(&mut self, amount: Decimal) {
        self.0 += amount;
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.2}", self.0)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.with_two_decimals(&mut [0; 24]) {
            Some(text) => serializer.serialize_str(text),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Money {
    /// A JSON string or number. The number is read from its digits as they were sent: through a float, some amounts
    /// would arrive as others.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let literal = raw.get();
        // No amount has a hundred digits. Without this, millions of digits would be parsed before they are refused.
        if literal.len() > 100 {
            return Err(de::Error::custom(Self::EXPECTED));
        }
        let parsed = match literal.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<String>(literal)
                .map_err(|_| "must be a string or a number".to_owned())
                .and_then(|text| Self::parse(&text)),
            Some(b'-' | b'0'..=b'9') if literal.contains(['e', 'E']) => Decimal::from_scientific(literal)
                .map_err(|_| "must be an amount between 0 and 99999999.99 with at most two decimals".to_owned())
                .and_then(Self::checked),
            Some(b'-' | b'0'..=b'9') => Self::parse(literal),
            _ => Err("must be a string or a number".to_owned()),
        };
        parsed.map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_two_decimals_with_two_decimals() {
        for (amount, shown) in [
            (Decimal::new(0, 2), "0.00"),
            (Decimal::new(7, 2), "0.07"),
            (Decimal::new(45, 2), "0.45"),
            (Decimal::new(100, 2), "1.00"),
            (Decimal::new(250_000, 2), "2500.00"),
            (Decimal::new(i64::MAX, 2), "92233720368547758.07"),
            (Decimal::from(u64::MAX), "18446744073709551615.00"),
            (Decimal::new(-150, 2), "-1.50"),
            (Decimal::new(25, 1), "2.50"),
            (Decimal::new(12_345, 3), "12.34"),
        ] {
            let money = Money::from_database(amount);
            assert_eq!(serde_json::to_value(money).unwrap(), shown);
            assert_eq!(money.to_string(), shown);
        }
    }

    #[test]
    fn amounts_are_read_exactly_from_strings_and_numbers() {
        for (sent, kept) in [
            ("\"2500.00\"", "2500.00"),
            ("2500", "2500.00"),
            ("0.1", "0.10"),
            ("1.5e2", "150.00"),
            ("99999999.99", "99999999.99"),
            ("\"0\"", "0.00"),
            ("-0", "0.00"),
        ] {
            let money: Money = serde_json::from_str(sent).unwrap();
            assert_eq!(money.to_string(), kept, "sent as {sent}");
        }
    }

    #[test]
    fn amounts_that_would_be_rounded_are_rejected() {
        for (sent, said) in [
            ("\"abc\"", "an amount"),
            ("\"\"", "an amount"),
            ("\"1_000\"", "an amount"),
            ("\"1e3\"", "an amount"),
            ("\"1.2.3\"", "an amount"),
            ("1e400", "between 0 and"),
            ("1e-3", "two decimals"),
            ("2500.005", "two decimals"),
            ("\"2500.000\"", "two decimals"),
            ("99999999.990000001", "two decimals"),
            ("0.00000000000000000000000000000000001", "two decimals"),
            ("-1", "negative"),
            ("\"-0.01\"", "negative"),
            ("100000000", "at most"),
            ("999999999999999999999999999999999999999999", "at most"),
            ("true", "string or a number"),
            ("[]", "string or a number"),
        ] {
            let error = serde_json::from_str::<Money>(sent).unwrap_err().to_string();
            assert!(error.contains(said), "{sent}: {error}");
        }
        let error = serde_json::from_str::<Money>(&"9".repeat(101)).unwrap_err().to_string();
        assert!(error.contains("an amount"), "{error}");
    }
}
