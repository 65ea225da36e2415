//! Turns the cells of `calamine` into values.

use calamine::Data;
use chrono::{Duration, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use crate::import::Value;

/// Stands for a formula whose value was not saved. Programs other than Excel leave it to Excel to calculate.
pub(super) const FORMULA_WITHOUT_VALUE: &str = "formula without a saved value: open the file in Excel and save it";

/// The whole numbers below this one, and their negatives, are exact in an `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;
const MILLISECONDS_OF_DAY: f64 = 86_400_000.0;
/// The day after 9999-12-31, Excel's last day, since 1899-12-30.
const AFTER_LAST_DAY: f64 = 2_958_466.0;
/// The days from 1899-12-30 to 1904-01-01.
const DAYS_TO_1904: f64 = 1_462.0;

/// Turns a cell into a value. The day 0 of dates depends on the workbook.
pub(super) fn value(data: Data, has_1904_dates: bool) -> Value {
    match data {
        Data::Empty => Value::Null,
        Data::Int(whole) => Value::Integer(whole),
        Data::Float(found) => number(found),
        Data::String(text) => Value::Text(text),
        Data::Bool(found) => Value::Text(if found { "TRUE" } else { "FALSE" }.to_owned()),
        Data::DateTime(serial) if serial.is_duration() => Value::Text(duration(serial.as_f64())),
        Data::DateTime(serial) => date(serial.as_f64(), has_1904_dates),
        Data::DateTimeIso(text) => iso_date(text),
        Data::DurationIso(text) => Value::Text(iso_duration(&text).unwrap_or(text)),
        Data::Error(error) => Value::Error(error.to_string()),
    }
}

fn number(found: f64) -> Value {
    if !found.is_finite() {
        Value::Text(found.to_string())
    } else if found.fract() == 0.0 && found.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "the number is whole and fits")]
        Value::Integer(found as i64)
    } else {
        Value::Double(found)
    }
}

/// Reads a number that has the format of a date. A number under 1 is a time of day. What Excel itself cannot show as a date stays
/// a number.
fn date(serial: f64, has_1904_dates: bool) -> Value {
    if (0.0..1.0).contains(&serial) {
        return Value::Text(duration(serial));
    }
    let days = if has_1904_dates {
        serial + DAYS_TO_1904
    } else if serial < 60.0 {
        // Excel takes 1900 for a leap year, so that its days before 1900-03-01 are one too low.
        serial + 1.0
    } else {
        serial
    };
    let is_leap_day_of_1900 = !has_1904_dates && serial.floor() == 60.0;
    let is_date = serial >= 1.0 && days < AFTER_LAST_DAY && !is_leap_day_of_1900;
    let epoch = NaiveDate::from_ymd_opt(1899, 12, 30).map(|day| day.and_time(NaiveTime::MIN));
    let instant = epoch.filter(|_| is_date).and_then(|epoch| epoch.checked_add_signed(milliseconds(days)));
    instant.map_or_else(|| number(serial), Value::DateTime)
}

fn milliseconds(days: f64) -> Duration {
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
    Duration::milliseconds((days * MILLISECONDS_OF_DAY).round().clamp(-1e17, 1e17) as i64)
}

/// Shows a time of day or a duration, `14:05:00` or `27:30:00.500`.
fn duration(days: f64) -> String {
    let length = milliseconds(days);
    let sign = if length < Duration::zero() { "-" } else { "" };
    let length = length.abs();
    let seconds = length.num_seconds();
    let text = format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match length.subsec_millis() {
        0 => text,
        milliseconds => format!("{text}.{milliseconds:03}"),
    }
}

fn iso_date(text: String) -> Value {
    let zoneless = text.trim_end_matches('Z');
    let day = || zoneless.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN));
    let instant = zoneless.parse::<NaiveDateTime>().ok().or_else(day).and_then(rounded);
    instant.map_or(Value::Text(text), Value::DateTime)
}

/// Rounds to milliseconds.
fn rounded(instant: NaiveDateTime) -> Option<NaiveDateTime> {
    let milliseconds = (i64::from(instant.nanosecond()) + 500_000) / 1_000_000;
    instant.with_nanosecond(0)?.checked_add_signed(Duration::milliseconds(milliseconds))
}

/// Shows `PT14H05M00S` as `14:05:00`.
fn iso_duration(text: &str) -> Option<String> {
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |text| (-1.0, text));
    let (hours, rest) = text.strip_prefix("PT")?.split_once('H')?;
    let (minutes, rest) = rest.split_once('M')?;
    let seconds = rest.strip_suffix('S')?.replace(',', ".");
    let number = |text: &str| text.parse::<f64>().ok().filter(|found| found.is_finite());
    let seconds = number(hours)? * 3600.0 + number(minutes)? * 60.0 + number(&seconds)?;
    Some(duration(sign * seconds / 86_400.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_that_excel_shows() {
        let cases = [
            (1.0, false, "1900-01-01"),
            (59.0, false, "1900-02-28"),
            (60.0, false, "60"),
            (61.0, false, "1900-03-01"),
            (45_964.0, false, "2025-11-03"),
            (45_964.586_805_555_555, false, "2025-11-03 14:05:00"),
            (44_502.0, true, "2025-11-03"),
            (45_964.999_999_999_9, false, "2025-11-04"),
            (45_964.000_000_011_6, false, "2025-11-03 00:00:00.001"),
            (2_958_465.0, false, "9999-12-31"),
            (2_958_466.0, false, "2958466"),
            (-1.0, false, "-1"),
            (0.0, false, "00:00:00"),
            (0.75, false, "18:00:00"),
        ];
        for (serial, has_1904_dates, shown) in cases {
            assert_eq!(date(serial, has_1904_dates).to_string(), shown, "{serial}");
        }
        assert_eq!(duration(1.145_839_120_370_370_4), "27:30:00.500");
        assert_eq!(duration(-0.5), "-12:00:00");
    }

    #[test]
    fn dates_of_open_document_are_read() {
        for (text, shown) in [
            ("2025-11-03", "2025-11-03"),
            ("2025-11-03T14:05:00", "2025-11-03 14:05:00"),
            ("2025-11-03T14:05:00.123600000", "2025-11-03 14:05:00.124"),
            ("2025-12-31T23:59:59.9999", "2026-01-01"),
            ("0000-00-00", "0000-00-00"),
        ] {
            assert_eq!(iso_date(text.to_owned()).to_string(), shown);
        }
        assert_eq!(iso_duration("PT14H05M00S").as_deref(), Some("14:05:00"));
        assert_eq!(iso_duration("PT27H30M00.5S").as_deref(), Some("27:30:00.500"));
        assert_eq!(iso_duration("P1D"), None);
    }
}
