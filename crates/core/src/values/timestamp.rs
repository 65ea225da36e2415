//! Instants, and the bounds of periods between them.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, NaiveTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde::{Serialize, Serializer};

use super::{Day, RequestDay};

/// An instant. Responses show it in UTC with milliseconds (`2024-11-15T12:00:00.000Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct Timestamp(pub DateTime<Utc>);

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // `collect_str` would escape each digit by itself.
        serializer.serialize_str(&self.to_string())
    }
}

impl Timestamp {
    /// Reads the first instant of a period: an instant, or a date, which stands for its midnight in UTC.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse_start(text: &str) -> Result<Self, String> {
        Self::parse(text, NaiveTime::MIN)
    }

    /// Reads the last instant of a period: an instant, or a date, whose whole day in UTC is part of the period.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse_end(text: &str) -> Result<Self, String> {
        // The last instant of a day in MySQL, which keeps microseconds.
        Self::parse(text, NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).unwrap_or_default())
    }

    /// Reads an instant, or a date at `time`.
    fn parse(text: &str, time: NaiveTime) -> Result<Self, String> {
        let Day(date) = RequestDay::parse(text)?.in_zone(Tz::UTC);
        Ok(Self(match DateTime::parse_from_rfc3339(text) {
            Ok(instant) => instant.with_timezone(&Utc),
            Err(_) => NaiveDateTime::new(date, time).and_utc(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(timestamp: Result<Timestamp, String>) -> String {
        timestamp.unwrap().0.to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    #[test]
    fn a_date_stands_for_its_whole_day() {
        assert_eq!(shown(Timestamp::parse_start("2024-11-15")), "2024-11-15T00:00:00.000000Z");
        assert_eq!(shown(Timestamp::parse_end("2024-11-15")), "2024-11-15T23:59:59.999999Z");
        for parse in [Timestamp::parse_start, Timestamp::parse_end] {
            assert_eq!(shown(parse("2024-11-15T23:30:00.5-05:00")), "2024-11-16T04:30:00.500000Z");
            for sent in ["", "yesterday", "2024-02-30", "2024-11-15 12:00", "20241115", "0001-01-01"] {
                assert!(parse(sent).unwrap_err().starts_with("must be a date"), "{sent}");
            }
        }
    }

    #[test]
    fn milliseconds_are_shown_in_utc() {
        let timestamp = Timestamp("2024-11-15T12:00:00.123456Z".parse().unwrap());
        assert_eq!(serde_json::to_string(&timestamp).unwrap(), "\"2024-11-15T12:00:00.123Z\"");
    }
}
