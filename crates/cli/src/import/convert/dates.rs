//! Dates and instants.

use std::ops::RangeInclusive;

use chrono::{
    DateTime, Datelike, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike,
    Utc,
};
use chrono_tz::Tz;
use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::{
    Reading, Rule, Value,
    texts::{is_digits, trim, trimming},
};

/// Dates in other years are typing errors, or numbers that were never dates.
const PLAUSIBLE_YEARS: RangeInclusive<i32> = 1950..=2099;

const NO_DATE: &str = "is no date";
const NO_PLAUSIBLE_DATE: &str = "is no plausible date";

/// A date or an instant as it was written, and the rule for its notation.
enum DateOrInstant {
    Local { date: NaiveDate, since_midnight: Option<TimeDelta>, rule: Option<Rule> },
    Instant(DateTime<FixedOffset>),
}

/// Reads a date. An instant is read as its day in `zone`, unless it is midnight UTC, which stands for the date itself.
pub(in crate::import) fn read_day(value: &Value, zone: Tz) -> Reading<NaiveDate> {
    let (day, rule) = match read_date_or_instant(value) {
        Ok(None) => return Reading::Blank,
        Err(why) => return Reading::Unreadable(why.to_owned()),
        Ok(Some(DateOrInstant::Local { date, since_midnight: Some(time), .. })) if !time.is_zero() => {
            (date, Some(Rule::TimeDropped))
        }
        Ok(Some(DateOrInstant::Local { date, rule, .. })) => (date, rule),
        Ok(Some(DateOrInstant::Instant(instant))) if is_utc_midnight(instant) => (instant.date_naive(), None),
        Ok(Some(DateOrInstant::Instant(instant))) => {
            (instant.with_timezone(&zone).date_naive(), Some(Rule::DayOfInstant))
        }
    };
    if !PLAUSIBLE_YEARS.contains(&day.year()) {
        return Reading::Unreadable(NO_PLAUSIBLE_DATE.to_owned());
    }
    Reading::by_rule(day, rule.or(trimming_of(value)))
}

/// Reads a date with a time of day. Without an offset, it is a time in `zone`.
pub(in crate::import) fn read_instant(value: &Value, zone: Tz) -> Reading<DateTime<Utc>> {
    let (instant, rule) = match read_date_or_instant(value) {
        Ok(None) => return Reading::Blank,
        Err(why) => return Reading::Unreadable(why.to_owned()),
        Ok(Some(DateOrInstant::Local { since_midnight: None, .. })) => {
            return Reading::Unreadable("has no time of day".to_owned());
        }
        Ok(Some(DateOrInstant::Local { date, since_midnight: Some(time), rule })) => {
            let local = date.and_time(NaiveTime::MIN).checked_add_signed(time);
            match local.map(|local| zone.from_local_datetime(&local)) {
                Some(LocalResult::Single(instant)) => (instant.to_utc(), rule.or(Some(Rule::LocalTime))),
                Some(LocalResult::Ambiguous(first, _)) => (first.to_utc(), Some(Rule::RepeatedHour)),
                Some(LocalResult::None) => {
                    return Reading::Unreadable("is in an hour that daylight saving time skipped".to_owned());
                }
                None => return Reading::Unreadable(NO_PLAUSIBLE_DATE.to_owned()),
            }
        }
        Ok(Some(DateOrInstant::Instant(instant))) => (instant.to_utc(), None),
    };
    if !PLAUSIBLE_YEARS.contains(&instant.with_timezone(&zone).year()) {
        return Reading::Unreadable(NO_PLAUSIBLE_DATE.to_owned());
    }
    Reading::by_rule(instant, rule.or(trimming_of(value)))
}

fn trimming_of(value: &Value) -> Option<Rule> {
    if let Value::Text(text) = value { trimming(text) } else { None }
}

/// Only `…Z` or `…+00:00`: midnight UTC at another offset is written as another time of day.
fn is_utc_midnight(instant: DateTime<FixedOffset>) -> bool {
    instant.offset().local_minus_utc() == 0 && instant.time() == NaiveTime::MIN
}

fn read_date_or_instant(value: &Value) -> Result<Option<DateOrInstant>, &'static str> {
    match value {
        Value::Null => Ok(None),
        Value::DateTime(local) => Ok(Some(moment_of(*local, None))),
        Value::Integer(number) => excel_date((*number).into()).map(Some),
        Value::Double(number) => excel_date(number.to_string().parse().map_err(|_| NO_DATE)?).map(Some),
        Value::Decimal(number) => excel_date(*number).map(Some),
        Value::Text(text) => match trim(text) {
            "" => Ok(None),
            text => parse_moment(text).map(Some),
        },
        Value::Error(_) => Err(NO_DATE),
    }
}

fn parse_moment(text: &str) -> Result<DateOrInstant, &'static str> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        // chrono reads leap seconds, which a DATETIME column cannot hold.
        return if instant.nanosecond() < 1_000_000_000 { Ok(DateOrInstant::Instant(instant)) } else { Err(NO_DATE) };
    }
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if is_digits(whole) && is_digits(decimals) {
        return excel_date(text.parse().map_err(|_| NO_PLAUSIBLE_DATE)?);
    }
    parse_local(text).ok_or(NO_DATE)
}

/// Excel counts days since 1899-12-30. The fraction is the time of day.
fn excel_date(days: Decimal) -> Result<DateOrInstant, &'static str> {
    let whole = days.trunc().to_i64().and_then(TimeDelta::try_days).ok_or(NO_PLAUSIBLE_DATE)?;
    let epoch = NaiveDate::from_ymd_opt(1899, 12, 30).ok_or(NO_PLAUSIBLE_DATE)?;
    let date = epoch.checked_add_signed(whole).ok_or(NO_PLAUSIBLE_DATE)?;
    let milliseconds = (days.fract() * Decimal::from(86_400_000)).round().to_i64();
    Ok(DateOrInstant::Local {
        date,
        since_midnight: milliseconds.map(TimeDelta::milliseconds),
        rule: Some(Rule::ExcelDate),
    })
}

fn moment_of(local: NaiveDateTime, rule: Option<Rule>) -> DateOrInstant {
    DateOrInstant::Local { date: local.date(), since_midnight: Some(local.time() - NaiveTime::MIN), rule }
}

/// Parses a date, with a time of day or without: `2025-11-03`, `2025-11-03 14:05:09`, `11/3/25, 2:05 PM`.
fn parse_local(text: &str) -> Option<DateOrInstant> {
    let end = text.find(|character: char| matches!(character, 'T' | ',') || character.is_whitespace());
    let (date, time) = text.split_at(end.unwrap_or(text.len()));
    let (date, rule) = match parse_iso_date(date) {
        Some(date) => (date, None),
        None => (parse_us_date(date)?, Some(Rule::UsDate)),
    };
    if time.is_empty() {
        return Some(DateOrInstant::Local { date, since_midnight: None, rule });
    }
    let time = parse_time(time.strip_prefix(['T', ',']).unwrap_or(time).trim())?;
    Some(moment_of(date.and_time(time), rule))
}

fn parse_iso_date(text: &str) -> Option<NaiveDate> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let year = i32::try_from(parse_digits(year, 4..=4)?).ok()?;
    NaiveDate::from_ymd_opt(year, parse_digits(month, 2..=2)?, parse_digits(day, 2..=2)?)
}

/// Parses month, day and year. Years of two digits are 1950 to 2049.
fn parse_us_date(text: &str) -> Option<NaiveDate> {
    let separator = if text.contains('/') { '/' } else { '-' };
    let (month, rest) = text.split_once(separator)?;
    let (day, year) = rest.split_once(separator)?;
    let year = match (year.len(), i32::try_from(parse_digits(year, 2..=4)?).ok()?) {
        (2, year @ ..50) => 2000 + year,
        (2, year) => 1900 + year,
        (4, year) => year,
        _ => return None,
    };
    NaiveDate::from_ymd_opt(year, parse_digits(month, 1..=2)?, parse_digits(day, 1..=2)?)
}

/// Parses `14:05`, `14:05:09`, `14:05:09.123` and `2:05:09 PM`.
fn parse_time(text: &str) -> Option<NaiveTime> {
    let upper = text.to_ascii_uppercase();
    let (clock, afternoon) = match (upper.strip_suffix("AM"), upper.strip_suffix("PM")) {
        (Some(clock), _) => (clock.trim_end(), Some(false)),
        (_, Some(clock)) => (clock.trim_end(), Some(true)),
        _ => (upper.as_str(), None),
    };
    let (hour, rest) = clock.split_once(':')?;
    let (minute, second) = rest.split_once(':').unwrap_or((rest, "0"));
    let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
    let hour = match (parse_digits(hour, 1..=2)?, afternoon) {
        (hour, None) => hour,
        (hour @ 1..=12, Some(afternoon)) => hour % 12 + if afternoon { 12 } else { 0 },
        _ => return None,
    };
    parse_digits(fraction, 1..=9)?;
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    NaiveTime::from_hms_nano_opt(hour, parse_digits(minute, 2..=2)?, parse_digits(second, 1..=2)?, nanoseconds)
        // Leap seconds.
        .filter(|time| time.nanosecond() < 1_000_000_000)
}

fn parse_digits(text: &str, length: RangeInclusive<usize>) -> Option<u32> {
    if is_digits(text) && length.contains(&text.len()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use chrono_tz::America::New_York;

    use super::*;

    fn local(text: &str) -> Value {
        Value::DateTime(text.parse().unwrap())
    }

    #[test]
    fn dates_are_read() {
        let us = Some(Rule::UsDate);
        let excel = Some(Rule::ExcelDate);
        let dropped = Some(Rule::TimeDropped);
        let instant = Some(Rule::DayOfInstant);
        for (found, day, rule) in [
            (local("2024-03-04T00:00:00"), "2024-03-04", None),
            (local("2024-03-04T23:59:59"), "2024-03-04", dropped),
            (Value::Integer(45_965), "2025-11-04", excel),
            (Value::Double(45_968.0), "2025-11-07", excel),
            (Value::Double(45_965.999_999_999), "2025-11-04", dropped),
            (Value::Decimal(Decimal::new(459_655, 1)), "2025-11-04", dropped),
            (Value::Integer(18_264), "1950-01-01", excel),
            (Value::Integer(73_050), "2099-12-31", excel),
            (Value::text("45965"), "2025-11-04", excel),
            (Value::text(" 45965.0"), "2025-11-04", excel),
            (Value::text("45965.75"), "2025-11-04", dropped),
            (Value::text("11/03/25"), "2025-11-03", us),
            (Value::text("1/9/26"), "2026-01-09", us),
            (Value::text("11/24/2025"), "2025-11-24", us),
            (Value::text("11-10-2025"), "2025-11-10", us),
            (Value::text("1-9-26"), "2026-01-09", us),
            (Value::text("1/2/03"), "2003-01-02", us),
            (Value::text("2/29/24"), "2024-02-29", us),
            (Value::text("1/1/00"), "2000-01-01", us),
            (Value::text("1/1/49"), "2049-01-01", us),
            (Value::text("1/1/50"), "1950-01-01", us),
            (Value::text("12/31/99"), "1999-12-31", us),
            (Value::text("12/31/2099"), "2099-12-31", us),
            (Value::text("\u{A0}11/03/25\n"), "2025-11-03", us),
            (Value::text("11/3/2025 12:00:00 AM"), "2025-11-03", us),
            (Value::text("11/3/2025 2:05 PM"), "2025-11-03", dropped),
            (Value::text("2025-11-03"), "2025-11-03", None),
            (Value::text("2025-11-03 "), "2025-11-03", Some(Rule::Trimmed)),
            (Value::text("\u{FEFF}2025-11-03"), "2025-11-03", Some(Rule::Trimmed)),
            (Value::text("2025-11-03 00:00:00"), "2025-11-03", None),
            (Value::text("2025-11-03 00:00:00.000"), "2025-11-03", None),
            (Value::text("2025-11-03T00:00:00"), "2025-11-03", None),
            (Value::text("2025-11-03 14:05:09"), "2025-11-03", dropped),
            (Value::text("2025-11-03 14:05"), "2025-11-03", dropped),
            (Value::text("2025-11-10T00:00:00.000Z"), "2025-11-10", None),
            (Value::text("2025-11-10T05:00:00.000Z"), "2025-11-10", instant),
            (Value::text("2025-11-10T04:59:59.999Z"), "2025-11-09", instant),
            (Value::text("2025-11-10T00:00:00.001Z"), "2025-11-09", instant),
            (Value::text("2025-07-10T04:00:00.000Z"), "2025-07-10", instant),
            (Value::text("2025-11-10T00:00:00-05:00"), "2025-11-10", instant),
            (Value::text("2025-11-09T19:00:00-05:00"), "2025-11-09", instant),
        ] {
            let day = day.parse().unwrap();
            assert_eq!(read_day(&found, New_York), Reading::by_rule(day, rule), "{found:?}");
        }
        for found in [Value::Null, Value::text(""), Value::text("\u{A0}\u{200B}")] {
            assert_eq!(read_day(&found, New_York), Reading::Blank, "{found:?}");
            assert_eq!(read_instant(&found, New_York), Reading::Blank, "{found:?}");
        }
    }

    #[test]
    fn other_dates_are_not_guessed() {
        let unreadable = concat!(
            "TBD | 11/31/25 | 2/29/25 | 13/1/25 | 0/5/25 | 1/0/25 | 11/3 | 11/3/5 | 11/3/025 | 11/3-25 | ",
            "11-3/25 | 011/3/25 | +1/3/25 | 11 / 3 / 25 | 111/3/25 | 11/003/25 | 11/3/25/1 | 2025/11/03 | ",
            "2025-1-3 | 2025-1-03 | 25-11-03 | 2025-11-31 | 2025-11-03Z | 2025-11-03 25:00 | 2025-11-03 14 | ",
            "2025-11-03 x | 2025-11-03, | +11/3/25 | 11/3/-25 | -45965 | 1e5 | 45965. | 45965 + 7 | Nov 3 2025 | ",
            "11/3/25? | ١/٣/٢٥ | 14:05 | 2025-11-03T23:59:60Z",
        );
        for found in unreadable.split(" | ") {
            assert_eq!(
                read_day(&Value::text(found), New_York),
                Reading::Unreadable("is no date".to_owned()),
                "{found:?}"
            );
        }
        for found in [f64::NAN, f64::INFINITY] {
            assert_eq!(read_day(&Value::Double(found), New_York), Reading::Unreadable("is no date".to_owned()));
        }
    }

    #[test]
    fn dates_in_other_centuries_are_not_plausible() {
        for found in [
            Value::Integer(0),
            Value::Integer(-1),
            Value::Integer(2025),
            Value::Integer(18_263),
            Value::Integer(73_051),
            Value::Integer(i64::MAX),
            Value::Double(1e20),
            Value::text("20251103"),
            Value::text("99999999999999999999999999999999"),
            Value::text("11/3/1949"),
            Value::text("1/1/2100"),
            Value::text("0202-11-03"),
            Value::text("1949-12-31T00:00:00Z"),
            local("1900-01-01T00:00:00"),
        ] {
            let reading = Reading::Unreadable("is no plausible date".to_owned());
            assert_eq!(read_day(&found, New_York), reading, "{found:?}");
        }
        for found in [Value::Integer(2025), Value::text("1949-12-31T00:00:00Z"), local("2100-01-01T00:00:00")] {
            let reading = Reading::Unreadable("is no plausible date".to_owned());
            assert_eq!(read_instant(&found, New_York), reading, "{found:?}");
        }
    }

    #[test]
    fn instants_are_read() {
        let zone = Some(Rule::LocalTime);
        let us = Some(Rule::UsDate);
        let excel = Some(Rule::ExcelDate);
        for (found, instant, rule) in [
            (Value::text("2025-11-03T19:05:09.123Z"), "2025-11-03T19:05:09.123Z", None),
            (Value::text("2025-11-03T14:05:09-05:00"), "2025-11-03T19:05:09Z", None),
            (Value::text("2025-11-03T19:05:09Z\n"), "2025-11-03T19:05:09Z", Some(Rule::Trimmed)),
            (Value::text("2025-11-03 14:05:09"), "2025-11-03T19:05:09Z", zone),
            (Value::text("2025-11-03 14:05:09.25"), "2025-11-03T19:05:09.250Z", zone),
            (Value::text("2025-07-03 14:05:09"), "2025-07-03T18:05:09Z", zone),
            (local("2025-11-03T14:05:09"), "2025-11-03T19:05:09Z", zone),
            (local("2025-11-03T00:00:00"), "2025-11-03T05:00:00Z", zone),
            (Value::text("11/3/2025, 2:05:09 PM"), "2025-11-03T19:05:09Z", us),
            (Value::text("11/3/2025, 2:05:09\u{202F}PM"), "2025-11-03T19:05:09Z", us),
            (Value::text("11/3/2025, 2:05:09 am"), "2025-11-03T07:05:09Z", us),
            (Value::text("11/3/2025, 12:05:09 AM"), "2025-11-03T05:05:09Z", us),
            (Value::text("11/3/2025, 12:05:09 PM"), "2025-11-03T17:05:09Z", us),
            (Value::text("11/3/25 14:05"), "2025-11-03T19:05:00Z", us),
            (Value::text("11/3/25\u{A0}14:05"), "2025-11-03T19:05:00Z", us),
            (Value::text("11/3/25 9:05"), "2025-11-03T14:05:00Z", us),
            (Value::Double(45_964.586_909_722_2), "2025-11-03T19:05:09Z", excel),
            (Value::text("45964.5"), "2025-11-03T17:00:00Z", excel),
            (Value::Integer(45_964), "2025-11-03T05:00:00Z", excel),
            (Value::text("45964.999999999999"), "2025-11-04T05:00:00Z", excel),
            (Value::text("11/2/25 1:30"), "2025-11-02T05:30:00Z", Some(Rule::RepeatedHour)),
        ] {
            let instant = instant.parse().unwrap();
            assert_eq!(read_instant(&found, New_York), Reading::by_rule(instant, rule), "{found:?}");
        }
    }

    #[test]
    fn other_instants_are_not_guessed() {
        for (found, why) in [
            ("2025-11-03", "has no time of day"),
            ("11/3/25", "has no time of day"),
            ("3/9/25 2:30", "is in an hour that daylight saving time skipped"),
        ] {
            assert_eq!(read_instant(&Value::text(found), New_York), Reading::Unreadable(why.to_owned()), "{found:?}");
        }
        let unreadable = concat!(
            "13/1/25 14:05 | 11/3/25 13:05 PM | 11/3/25 0:05 AM | 11/3/25 24:00 | 11/3/25 14:60 | ",
            "11/3/25 14:05:60 | 11/3/25 14:5 | 11/3/25 PM | 11/3/25 14:05:09. | ",
            "11/3/25 14:05:09.1234567891 | 11/3/25 14:05 EST | 2025-11-03T23:59:60Z | yesterday",
        );
        for found in unreadable.split(" | ") {
            let reading = Reading::Unreadable("is no date".to_owned());
            assert_eq!(read_instant(&Value::text(found), New_York), reading, "{found:?}");
        }
    }
}
