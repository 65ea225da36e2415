//! A value of a source, as it was found.

use std::fmt;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

/// A value of a source, as it was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL, or an empty cell.
    Null,
    Text(String),
    Integer(i64),
    /// A floating-point number. It stands for its shortest decimal form: `9800.005`, not `9800.00499999999919`.
    Double(f64),
    Decimal(Decimal),
    /// A date with a time of day, in no particular time zone.
    DateTime(NaiveDateTime),
    /// A cell of a sheet that shows an error instead of a value, such as `#N/A`.
    Error(String),
}

impl Value {
    #[cfg(test)]
    pub(in crate::import) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(in crate::import) fn day(day: NaiveDate) -> Self {
        Self::DateTime(day.and_time(NaiveTime::MIN))
    }

    pub(in crate::import) fn is_null(&self) -> bool {
        *self == Self::Null
    }
}

/// Shows the value as people would type it: numbers in their shortest decimal form, dates as `2025-11-03` or
/// `2025-11-03 14:05:00`, NULL as nothing.
impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Text(text) | Self::Error(text) => formatter.write_str(text),
            Self::Integer(number) => number.fmt(formatter),
            Self::Double(number) => number.fmt(formatter),
            Self::Decimal(number) => number.fmt(formatter),
            Self::DateTime(instant) if instant.time() == NaiveTime::MIN => instant.date().fmt(formatter),
            Self::DateTime(instant) => instant.format("%Y-%m-%d %H:%M:%S%.f").fmt(formatter),
        }
    }
}

/// Numbers become JSON numbers, if JSON has them, everything else strings.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Text(text) | Self::Error(text) => serializer.serialize_str(text),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Double(number) if number.is_finite() => serializer.serialize_f64(*number),
            Self::Double(_) | Self::Decimal(_) | Self::DateTime(_) => serializer.collect_str(self),
        }
    }
}
