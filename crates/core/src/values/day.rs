//! Calendar days in `DATE` columns.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx::{Decode, MySql, Type, error::BoxDynError, mysql::MySqlTypeInfo, mysql::MySqlValueRef};

use super::text::deserialize_str;

/// A calendar day. Requests send `2024-11-15` or an instant, whose UTC date is taken; responses show midnight UTC
/// (`2024-11-15T00:00:00.000Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Type)]
#[sqlx(transparent)]
pub struct Day(pub NaiveDate);

impl Day {
    /// Reads a date or an instant.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()
            // chrono also reads `2024-1-5` and `+2024-01-05`; the API takes ten characters only.
            .filter(|_| text.len() == 10 && !text.starts_with('+'))
            .or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.with_timezone(&Utc).date_naive()))
            .ok_or("must be a date such as \"2024-11-15\" or an instant such as \"2024-11-15T00:00:00.000Z\"")?;
        // What MySQL's DATE supports.
        if !(1000..=9999).contains(&date.year()) {
            return Err("must be a date between the years 1000 and 9999".to_owned());
        }
        Ok(Self(date))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}T00:00:00.000Z", self.0)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // `collect_str` would escape each digit by itself.
        serializer.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_str(deserializer, "a date", |text| Self::parse(&text))
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
    fn a_date_or_the_utc_date_of_an_instant_is_accepted() {
        for (sent, day) in [
            ("2024-11-15", "2024-11-15T00:00:00.000Z"),
            ("2024-11-15T00:00:00.000Z", "2024-11-15T00:00:00.000Z"),
            ("2024-11-15T23:30:00-05:00", "2024-11-16T00:00:00.000Z"),
            ("2024-02-29", "2024-02-29T00:00:00.000Z"),
        ] {
            assert_eq!(Day::parse(sent).unwrap().to_string(), day, "sent as {sent}");
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
            assert!(Day::parse(sent).is_err(), "{sent}");
        }
    }
}
