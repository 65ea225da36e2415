//! Texts, and numbers that are texts, such as those of orders and parts.

use app_core::values::is_invisible;

use super::{Reading, Rule, Value};

/// Reads a text without the white space and the invisible characters at its ends.
pub(in crate::import) fn read_text(value: &Value) -> Reading<String> {
    match value {
        Value::Null => Reading::Blank,
        Value::Text(text) => match trim(text) {
            "" => Reading::Blank,
            trimmed => Reading::by_rule(trimmed.to_owned(), trimming(text)),
        },
        Value::Double(number) if !number.is_finite() => Reading::Unreadable("is no number".to_owned()),
        // Adding zero turns -0 into 0.
        Value::Double(number) => Reading::Same((number + 0.0).to_string()),
        Value::Decimal(number) => Reading::Same(number.normalize().to_string()),
        Value::Integer(_) | Value::DateTime(_) => Reading::Same(value.to_string()),
        Value::Error(_) => Reading::Unreadable("is an error that the sheet shows instead of a value".to_owned()),
    }
}

/// Reads the number of an order or a part, like [`read_text`]. A text such as `38462.0`, as Excel writes whole numbers,
/// loses its `.0`. Excel writes no leading zeros, so `00123.0` was typed and stays.
pub(in crate::import) fn read_number_text(value: &Value) -> Reading<String> {
    let reading = read_text(value);
    let (Reading::Same(text) | Reading::Corrected(text, _)) = &reading else { return reading };
    match text.strip_suffix(".0") {
        Some(whole) if is_digits(whole) && (whole == "0" || !whole.starts_with('0')) => {
            Reading::Corrected(whole.to_owned(), Rule::WholeNumber)
        }
        _ => reading,
    }
}

/// Removes white space and invisible characters from both ends.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || is_invisible(character))
}

/// The rule by which [`trim`] changes `text`.
pub(super) fn trimming(text: &str) -> Option<Rule> {
    (trim(text).len() < text.len()).then_some(Rule::Trimmed)
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use rust_decimal::Decimal;

    use super::*;

    fn same(text: &str) -> Reading<String> {
        Reading::Same(text.to_owned())
    }

    fn trimmed(text: &str) -> Reading<String> {
        Reading::Corrected(text.to_owned(), Rule::Trimmed)
    }

    #[test]
    fn texts_lose_white_space_and_invisible_characters_at_their_ends_only() {
        for (found, expected) in [
            ("APPROVED >>>>", same("APPROVED >>>>")),
            ("WAITING QUOTE ", trimmed("WAITING QUOTE")),
            ("3214-1  ", trimmed("3214-1")),
            ("3214-1\n", trimmed("3214-1")),
            ("\t3214-1\r\n", trimmed("3214-1")),
            ("\u{FEFF}2119620-8", trimmed("2119620-8")),
            ("\u{A0}3800-2\u{200B}\u{A0}", trimmed("3800-2")),
            ("3800\u{A0}-2", same("3800\u{A0}-2")),
            ("38\u{200B}00 - 2", same("38\u{200B}00 - 2")),
            ("2119620\u{2013}8", same("2119620\u{2013}8")),
            ("quote ok\ncall Fri", same("quote ok\ncall Fri")),
            ("\0A12\u{7F}\u{85}", trimmed("A12")),
            ("\u{202A}A12\u{202C}\u{200E}\u{AD}\u{2060}", trimmed("A12")),
            ("\u{3000}A12\u{2028}", trimmed("A12")),
            ("A12\u{2065}", same("A12\u{2065}")),
            ("38462.0", same("38462.0")),
            ("", Reading::Blank),
            (" \t\u{A0}\u{FEFF}\u{200D} ", Reading::Blank),
        ] {
            assert_eq!(read_text(&Value::text(found)), expected, "{found:?}");
        }
        assert_eq!(read_text(&Value::Null), Reading::Blank);
    }

    #[test]
    fn numbers_become_texts_in_their_shortest_decimal_form() {
        for (found, expected) in [
            (Value::Double(38_462.0), "38462"),
            (Value::Double(38_464.1), "38464.1"),
            (Value::Double(9800.005), "9800.005"),
            (Value::Double(1e16), "10000000000000000"),
            (Value::Double(-0.0), "0"),
            (Value::Integer(-7), "-7"),
            (Value::Decimal(Decimal::new(3_846_200, 2)), "38462"),
            (Value::Decimal(Decimal::new(150, 2)), "1.5"),
            (Value::day(NaiveDate::from_ymd_opt(2025, 11, 3).unwrap()), "2025-11-03"),
        ] {
            assert_eq!(read_text(&found), same(expected), "{found:?}");
            assert_eq!(read_number_text(&found), same(expected), "{found:?}");
        }
        for found in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(read_text(&Value::Double(found)), Reading::Unreadable(_)), "{found}");
            assert!(matches!(read_number_text(&Value::Double(found)), Reading::Unreadable(_)), "{found}");
        }
    }

    #[test]
    fn numbers_of_orders_and_parts_lose_the_decimal_that_excel_wrote() {
        let whole = |text: &str| Reading::Corrected(text.to_owned(), Rule::WholeNumber);
        for (found, expected) in [
            ("38462.0", whole("38462")),
            (" 38462.0\n", whole("38462")),
            ("0.0", whole("0")),
            ("38462", same("38462")),
            ("38462 ", trimmed("38462")),
            ("38464.1", same("38464.1")),
            ("38462.00", same("38462.00")),
            ("00123.0", same("00123.0")),
            ("-1.0", same("-1.0")),
            ("A12.0", same("A12.0")),
            ("1.2.0", same("1.2.0")),
            (".0", same(".0")),
            ("65-90305-11", same("65-90305-11")),
            ("\u{A0}", Reading::Blank),
        ] {
            assert_eq!(read_number_text(&Value::text(found)), expected, "{found:?}");
        }
    }
}
