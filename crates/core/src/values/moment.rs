//! Instants, and the bounds of periods between them (design, readings 4 and 27).

use chrono::{DateTime, NaiveDateTime, NaiveTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

use super::Day;

/// An instant. Answers show it in UTC with milliseconds (`2024-11-15T12:00:00.000Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub DateTime<Utc>);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Moment {
    /// Reads the first instant of a period: an instant, or a date for its midnight in UTC; or says in half a sentence
    /// what is wrong with it.
    pub fn parse_start(text: &str) -> Result<Self, String> {
        Self::parse(text, NaiveTime::MIN)
    }

    /// Reads the last instant of a period: an instant, or a date for the whole of that day in UTC; or says in half a
    /// sentence what is wrong with it.
    pub fn parse_end(text: &str) -> Result<Self, String> {
        // The last instant that MySQL tells from the next midnight.
        Self::parse(text, NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).unwrap_or_default())
    }

    /// An instant as it is, or a date at `time`.
    fn parse(text: &str, time: NaiveTime) -> Result<Self, String> {
        let Day(date) = Day::parse(text)?;
        Ok(Self(match DateTime::parse_from_rfc3339(text) {
            Ok(instant) => instant.with_timezone(&Utc),
            Err(_) => NaiveDateTime::new(date, time).and_utc(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(moment: Result<Moment, String>) -> String {
        moment.unwrap().0.to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    #[test]
    fn a_date_is_a_whole_day_and_an_instant_is_itself() {
        assert_eq!(shown(Moment::parse_start("2024-11-15")), "2024-11-15T00:00:00.000000Z");
        assert_eq!(shown(Moment::parse_end("2024-11-15")), "2024-11-15T23:59:59.999999Z");
        for parse in [Moment::parse_start, Moment::parse_end] {
            assert_eq!(shown(parse("2024-11-15T23:30:00.5-05:00")), "2024-11-16T04:30:00.500000Z");
            for sent in ["", "yesterday", "2024-02-30", "2024-11-15 12:00", "20241115", "0001-01-01"] {
                assert!(parse(sent).unwrap_err().starts_with("must be a date"), "{sent}");
            }
        }
    }

    #[test]
    fn answers_show_milliseconds_in_utc() {
        let moment = Moment("2024-11-15T12:00:00.123456Z".parse().unwrap());
        assert_eq!(serde_json::to_string(&moment).unwrap(), "\"2024-11-15T12:00:00.123Z\"");
    }
}
