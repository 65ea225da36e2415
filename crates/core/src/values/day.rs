//! Calendar days in `DATE` columns.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx::{Decode, MySql, Type, error::BoxDynError, mysql::MySqlTypeInfo, mysql::MySqlValueRef};

use super::text::deserialize_str;

/// A calendar day. Responses show midnight UTC (`2024-11-15T00:00:00.000Z`). Requests send a [`RequestDay`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Type)]
#[sqlx(transparent)]
pub struct Day(pub NaiveDate);

/// A day as requests send it: a date, or an instant, which is a date only in a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestDay {
    /// `2024-11-15`, or midnight UTC of that date, as responses show it.
    Date(Day),
    /// Any other instant.
    Instant(DateTime<Utc>),
}

impl RequestDay {
    /// Reads a date or an instant.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()
            // chrono also reads `2024-1-5` and `+2024-01-05`; the API takes ten characters only.
            .filter(|_| text.len() == 10 && !text.starts_with('+'));
        let instant = || DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.with_timezone(&Utc));
        let day = match (date, instant()) {
            (Some(date), _) => Self::Date(Day(date)),
            (None, Some(instant)) if instant.time() == NaiveTime::MIN => Self::Date(Day(instant.date_naive())),
            (None, Some(instant)) => Self::Instant(instant),
            (None, None) => {
                return Err("must be a date such as \"2024-11-15\" or an instant such as \"2024-11-15T00:00:00.000Z\""
                    .to_owned());
            }
        };
        if is_storable(day.in_zone(Tz::UTC).0) {
            Ok(day)
        } else {
            Err("must be a date between the years 1000 and 9999".to_owned())
        }
    }

    /// Returns the day on which the instant is in `zone`, the time zone of the business.
    pub fn in_zone(self, zone: Tz) -> Day {
        match self {
            Self::Date(day) => day,
            Self::Instant(instant) => {
                let date = instant.with_timezone(&zone).date_naive();
                Day(if is_storable(date) { date } else { instant.date_naive() })
            }
        }
    }
}

/// Returns whether MySQL's DATE supports the date.
fn is_storable(date: NaiveDate) -> bool {
    (1000..=9999).contains(&date.year())
}

impl Serialize for RequestDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Date(day) => day.serialize(serializer),
            Self::Instant(instant) => serializer.collect_str(&instant.to_rfc3339()),
        }
    }
}

impl<'de> Deserialize<'de> for RequestDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_str(deserializer, "a date", |text| Self::parse(&text))
    }
}

impl Day {
    /// Returns the day as [`Display`](fmt::Display) shows it, or `None` if the year has not four digits. This takes a third of the time,
    /// and each order of a list has six days.
    fn in_json(self) -> Option<[u8; 24]> {
        let Self(date) = self;
        let year = u32::try_from(date.year()).ok().filter(|year| *year <= 9999)?;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (digits, mut number) in [(0..4, year), (5..7, date.month()), (8..10, date.day())] {
            for digit in text[digits].iter_mut().rev() {
                *digit += (number % 10) as u8;
                number /= 10;
            }
        }
        Some(text)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}T00:00:00.000Z", self.0)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.in_json().as_ref().map(|text| std::str::from_utf8(text)) {
            Some(Ok(text)) => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
    }
}

/// Reads a day that this service has written.
impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_str(deserializer, "a date", |text| match RequestDay::parse(&text)? {
            RequestDay::Date(day) => Ok(day),
            RequestDay::Instant(_) => Err("must be a date".to_owned()),
        })
    }
}

/// A `DATE` column as it is read. Older programs wrote zero dates (`0000-00-00`, `2024-00-00`) for missing ones, and those
/// are read as `None`, too.
#[derive(Clone, Copy, Debug)]
pub struct StoredDay(pub Option<Day>);

impl Type<MySql> for StoredDay {
    fn type_info() -> MySqlTypeInfo {
        <NaiveDate as Type<MySql>>::type_info()
    }

    fn compatible(ty: &MySqlTypeInfo) -> bool {
        <NaiveDate as Type<MySql>>::compatible(ty)
    }
}

impl<'r> Decode<'r, MySql> for StoredDay {
    fn decode(value: MySqlValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(<NaiveDate as Decode<MySql>>::decode(value).ok().map(Day)))
    }
}

impl From<StoredDay> for Option<Day> {
    fn from(StoredDay(day): StoredDay) -> Self {
        day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_its_day_in_the_zone_unless_it_is_midnight_utc() {
        use chrono_tz::{America::New_York, Pacific::Auckland};
        for (sent, zone, day) in [
            ("2024-11-15", New_York, "2024-11-15"),
            ("2024-11-15T00:00:00.000Z", New_York, "2024-11-15"),
            ("2024-11-15T00:00:00Z", Auckland, "2024-11-15"),
            ("2024-11-15T01:30:00.000Z", New_York, "2024-11-14"),
            ("2024-11-15T00:00:00.001Z", New_York, "2024-11-14"),
            ("2024-11-15T05:00:00.000Z", New_York, "2024-11-15"),
            ("2024-11-15T23:30:00-05:00", New_York, "2024-11-15"),
            ("2024-11-15T23:30:00-05:00", Tz::UTC, "2024-11-16"),
            ("2024-11-15T12:00:00Z", Auckland, "2024-11-16"),
            ("2024-02-29", Tz::UTC, "2024-02-29"),
            // Days that MySQL cannot store are those of UTC.
            ("1000-01-01T01:00:00Z", New_York, "1000-01-01"),
            ("9999-12-31T23:00:00Z", Auckland, "9999-12-31"),
        ] {
            let Day(read) = RequestDay::parse(sent).unwrap().in_zone(zone);
            assert_eq!(read.to_string(), day, "{sent} in {zone}");
        }
    }

    #[test]
    fn days_in_json_are_midnights_in_utc() {
        for (date, shown) in [
            ((2024, 11, 5), "2024-11-05T00:00:00.000Z"),
            ((1, 1, 31), "0001-01-31T00:00:00.000Z"),
            ((9999, 12, 31), "9999-12-31T00:00:00.000Z"),
            ((10000, 1, 1), "+10000-01-01T00:00:00.000Z"),
            ((-1, 1, 1), "-0001-01-01T00:00:00.000Z"),
        ] {
            let day = Day(NaiveDate::from_ymd_opt(date.0, date.1, date.2).unwrap());
            assert_eq!(serde_json::to_value(day).unwrap(), shown);
            assert_eq!(day.to_string(), shown);
        }
    }

    #[test]
    fn invalid_dates_are_rejected() {
        for sent in [
            "",
            "0000-00-00",
            "2024-13-45",
            "2023-02-29",
            "2024-1-5",
            "15/11/2024",
            "2024-11-15T00:00:00",
            "tomorrow",
            "0999-12-31",
            "+2024-1-15",
            "9999-12-31T23:59:59-12:00",
        ] {
            assert!(RequestDay::parse(sent).is_err(), "{sent}");
        }
    }
}
