//! Amounts of money and quantities.

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};

use super::{
    Reading, Rule, Value,
    texts::{is_digits, trim, trimming},
};

/// The largest amount that `DECIMAL(10,2)` holds.
const MAX_AMOUNT: Decimal = Decimal::from_parts(1_410_065_407, 2, 0, false, 2);

const UNITS: [&str; 8] = ["EA", "EACH", "PC", "PCS", "PIECE", "PIECES", "UNIT", "UNITS"];

/// A number, and the rule that was needed to read it.
struct Number {
    number: Decimal,
    rule: Option<Rule>,
}

/// Reads an amount of money. More than two decimals are rounded, halves away from zero.
pub(in crate::import) fn read_money(value: &Value) -> Reading<Decimal> {
    let Number { number, rule } = match read_number(value, parse_amount) {
        Ok(Some(number)) => number,
        Ok(None) => return Reading::Blank,
        Err(()) => return Reading::Unreadable("is no amount".to_owned()),
    };
    if number < Decimal::ZERO {
        return Reading::Unreadable("is negative".to_owned());
    }
    let mut cents = number.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero).abs();
    if cents > MAX_AMOUNT {
        return Reading::Unreadable("is more than 99,999,999.99".to_owned());
    }
    cents.rescale(2);
    // The decimals are counted as they were written: a `1.450` may have been meant as 1,450, and has to be reported.
    let rounding = (number.scale() > 2).then_some(Rule::RoundedToCents);
    Reading::by_rule(cents, rounding.or(rule))
}

/// The amount that a person would read: neither rounded nor limited, also a negative one. For sums over a source.
pub(in crate::import) fn raw_amount(value: &Value) -> Option<Decimal> {
    read_number(value, parse_amount).ok().flatten().map(|found| found.number)
}

/// Reads a quantity, a whole number.
pub(in crate::import) fn read_quantity(value: &Value) -> Reading<i64> {
    let Number { number, rule } = match read_number(value, parse_quantity) {
        Ok(Some(number)) => number,
        Ok(None) => return Reading::Blank,
        Err(()) => return Reading::Unreadable("is no quantity".to_owned()),
    };
    if number < Decimal::ZERO {
        return Reading::Unreadable("is negative".to_owned());
    }
    if !number.is_integer() {
        return Reading::Unreadable("is no whole number".to_owned());
    }
    match number.to_i64().filter(|quantity| *quantity <= i64::from(i32::MAX)) {
        Some(quantity) => Reading::by_rule(quantity, rule.or((number.scale() > 0).then_some(Rule::WholeNumber))),
        None => Reading::Unreadable("is more than 2,147,483,647".to_owned()),
    }
}

/// The quantity that a person would read: not limited, also a fraction or a negative one. For sums over a source.
pub(in crate::import) fn raw_quantity(value: &Value) -> Option<Decimal> {
    read_number(value, parse_quantity).ok().flatten().map(|found| found.number)
}

/// Reads a number, and texts with `parse`. Nothing is `Ok(None)`.
fn read_number(value: &Value, parse: fn(&str) -> Option<Number>) -> Result<Option<Number>, ()> {
    let plain = |number| Ok(Some(Number { number, rule: None }));
    match value {
        Value::Null => Ok(None),
        Value::Text(text) if trim(text).is_empty() => Ok(None),
        Value::Text(text) => {
            let Number { number, rule } = parse(trim(text)).ok_or(())?;
            Ok(Some(Number { number, rule: rule.or(trimming(text)) }))
        }
        Value::Integer(number) => plain((*number).into()),
        // Rounds the tail of numbers such as 5.684341886080802e-14, which calculations leave behind in spreadsheets.
        Value::Double(number) => plain(number.to_string().parse().map_err(|_| ())?),
        Value::Decimal(number) => plain(number.normalize()),
        Value::DateTime(_) | Value::Error(_) => Err(()),
    }
}

/// Parses `4250`, `$1,450.00`, `$ 4250`, `-$5`.
fn parse_amount(text: &str) -> Option<Number> {
    let (text, negative) = strip(text, '-');
    let (text, dollar) = strip(text, '$');
    let (amount, commas) = parse_unsigned(text)?;
    let rules = [(dollar, Rule::DollarSign), (commas, Rule::ThousandsCommas)];
    Some(Number::by_first_rule(if negative { -amount } else { amount }, rules))
}

/// Parses `1200`, `~1,200`, `2 EA`, `-3`.
fn parse_quantity(text: &str) -> Option<Number> {
    let (text, approximate) = strip(text, '~');
    let (text, negative) = strip(text, '-');
    let number = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = text.strip_prefix(number).unwrap_or_default();
    if !unit.is_empty() && !UNITS.iter().any(|known| known.eq_ignore_ascii_case(unit)) {
        return None;
    }
    let (quantity, commas) = parse_unsigned(number.trim_end())?;
    let rules = [(approximate, Rule::Approximate), (!unit.is_empty(), Rule::Unit), (commas, Rule::ThousandsCommas)];
    Some(Number::by_first_rule(if negative { -quantity } else { quantity }, rules))
}

/// Parses digits, with decimals or without, and says whether there are commas between the thousands.
fn parse_unsigned(text: &str) -> Option<(Decimal, bool)> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let groups: Vec<&str> = whole.split(',').collect();
    let commas = groups.len() > 1;
    // `0,200` has a decimal comma.
    let well_grouped =
        || groups[0].len() <= 3 && !groups[0].starts_with('0') && groups[1..].iter().all(|g| g.len() == 3);
    if !groups.iter().all(|group| is_digits(group)) || !is_digits(decimals) || (commas && !well_grouped()) {
        return None;
    }
    Some((Decimal::from_str_exact(&text.replace(',', "")).ok()?, commas))
}

/// Removes `prefix` and the white space after it, and says whether it was there.
fn strip(text: &str, prefix: char) -> (&str, bool) {
    text.strip_prefix(prefix).map_or((text, false), |rest| (rest.trim_start(), true))
}

impl Number {
    fn by_first_rule<const COUNT: usize>(number: Decimal, rules: [(bool, Rule); COUNT]) -> Self {
        Self { number, rule: rules.into_iter().find(|(applies, _)| *applies).map(|(_, rule)| rule) }
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    /// A value, what it is stored as, and by which rule.
    type Readable<'a> = (Value, &'a str, Option<Rule>);

    #[test]
    fn amounts_are_read() {
        let readable: [Readable; 34] = [
            (Value::Integer(4250), "4250.00", None),
            (Value::Integer(0), "0.00", None),
            (Value::Integer(99_999_999), "99999999.00", None),
            (Value::Double(1875.5), "1875.50", None),
            (Value::Double(2210.4), "2210.40", None),
            (Value::Double(0.07), "0.07", None),
            (Value::Double(-0.0), "0.00", None),
            (Value::Double(9800.005), "9800.01", Some(Rule::RoundedToCents)),
            (Value::Double(1.005), "1.01", Some(Rule::RoundedToCents)),
            (Value::Double(1.004_999_999_999_999), "1.00", Some(Rule::RoundedToCents)),
            (Value::Double(5.684_341_886_080_802e-14), "0.00", Some(Rule::RoundedToCents)),
            (Value::Double(99_999_999.99), "99999999.99", None),
            (Value::Double(99_999_999.994), "99999999.99", Some(Rule::RoundedToCents)),
            (Value::Decimal(decimal("42.5000")), "42.50", None),
            (Value::Decimal(decimal("42.125")), "42.13", Some(Rule::RoundedToCents)),
            (Value::text("4250"), "4250.00", None),
            (Value::text("150"), "150.00", None),
            (Value::text("1875.5"), "1875.50", None),
            (Value::text("0"), "0.00", None),
            (Value::text("-0"), "0.00", None),
            (Value::text("$1,450.00"), "1450.00", Some(Rule::DollarSign)),
            (Value::text("$0.04"), "0.04", Some(Rule::DollarSign)),
            (Value::text("$ 4250"), "4250.00", Some(Rule::DollarSign)),
            (Value::text("$\u{A0}4250"), "4250.00", Some(Rule::DollarSign)),
            (Value::text("$1.999"), "2.00", Some(Rule::RoundedToCents)),
            (Value::text("1,900.00"), "1900.00", Some(Rule::ThousandsCommas)),
            (Value::text("99,999,999.99"), "99999999.99", Some(Rule::ThousandsCommas)),
            (Value::text(" 4250\u{200B}"), "4250.00", Some(Rule::Trimmed)),
            (Value::text(" $4250 "), "4250.00", Some(Rule::DollarSign)),
            (Value::text("9800.005"), "9800.01", Some(Rule::RoundedToCents)),
            (Value::text("9800.00499999999999999"), "9800.00", Some(Rule::RoundedToCents)),
            (Value::text("1.450"), "1.45", Some(Rule::RoundedToCents)),
            (Value::text("0.005"), "0.01", Some(Rule::RoundedToCents)),
            (Value::text("007"), "7.00", None),
        ];
        for (found, stored, rule) in readable {
            let reading = read_money(&found);
            assert_eq!(reading, Reading::by_rule(decimal(stored), rule), "{found:?}");
            let (Reading::Same(amount) | Reading::Corrected(amount, _)) = reading else { unreachable!() };
            assert_eq!(amount.to_string(), stored, "{found:?}");
            assert!((raw_amount(&found).unwrap() - amount).abs() <= decimal("0.005"), "{found:?}");
        }
    }

    #[test]
    fn other_amounts_are_not_guessed() {
        for (found, raw) in [
            (Value::Double(-1.0), Some("-1")),
            (Value::Double(-0.001), Some("-0.001")),
            (Value::Double(100_000_000.0), Some("100000000")),
            (Value::Double(99_999_999.995), Some("99999999.995")),
            (Value::text("-1,450.5"), Some("-1450.5")),
            (Value::text("-$5"), Some("-5")),
            (Value::text("100,000,000"), Some("100000000")),
            (Value::Double(f64::NAN), None),
            (Value::Double(f64::INFINITY), None),
            (Value::Double(1e300), None),
            (Value::day(NaiveDate::from_ymd_opt(2025, 11, 3).unwrap()), None),
        ] {
            assert!(matches!(read_money(&found), Reading::Unreadable(_)), "{found:?}");
            assert_eq!(raw_amount(&found), raw.map(decimal), "{found:?}");
        }
        let unreadable = concat!(
            "1450.5 + freight | n/c | TBD | (150) | 1,45 | 1,4500 | 1450,000 | ,450 | 1,,450 | 0,200 | ",
            "1.450,00 | 1.5.0 | 150. | .50 | +5 | 1e3 | 1_000 | 1 450 | $ | $$5 | --5 | 150$ | €150 | ",
            "٣ | 99999999999999999999999999999999 | 1.0049999999999999999999999999999999",
        );
        for found in unreadable.split(" | ").map(Value::text) {
            assert_eq!(read_money(&found), Reading::Unreadable("is no amount".to_owned()), "{found:?}");
            assert_eq!(raw_amount(&found), None, "{found:?}");
        }
        assert_eq!(read_money(&Value::Integer(-1)), Reading::Unreadable("is negative".to_owned()));
        assert_eq!(raw_amount(&Value::Double(9800.005)), Some(decimal("9800.005")));
    }

    #[test]
    fn quantities_are_read() {
        let readable: [(Value, i64, Option<Rule>); 29] = [
            (Value::Integer(0), 0, None),
            (Value::Integer(2_147_483_647), 2_147_483_647, None),
            (Value::Double(2.0), 2, None),
            (Value::Double(-0.0), 0, None),
            (Value::Decimal(decimal("1.00")), 1, None),
            (Value::text("1"), 1, None),
            (Value::text("012"), 12, None),
            (Value::text("1.0"), 1, Some(Rule::WholeNumber)),
            (Value::text("1.00"), 1, Some(Rule::WholeNumber)),
            (Value::text("1,200"), 1200, Some(Rule::ThousandsCommas)),
            (Value::text("1,200.0"), 1200, Some(Rule::ThousandsCommas)),
            (Value::text("~300"), 300, Some(Rule::Approximate)),
            (Value::text("~ 300"), 300, Some(Rule::Approximate)),
            (Value::text("2 EA"), 2, Some(Rule::Unit)),
            (Value::text("2EA"), 2, Some(Rule::Unit)),
            (Value::text("2 ea"), 2, Some(Rule::Unit)),
            (Value::text("2\u{A0}Each"), 2, Some(Rule::Unit)),
            (Value::text("2 PC"), 2, Some(Rule::Unit)),
            (Value::text("2pcs"), 2, Some(Rule::Unit)),
            (Value::text("1 PIECE"), 1, Some(Rule::Unit)),
            (Value::text("2 Pieces"), 2, Some(Rule::Unit)),
            (Value::text("1 unit"), 1, Some(Rule::Unit)),
            (Value::text("2 UNITS"), 2, Some(Rule::Unit)),
            (Value::text("2.0 EA"), 2, Some(Rule::Unit)),
            (Value::text("1,200 EA"), 1200, Some(Rule::Unit)),
            (Value::text("~1,200 EA"), 1200, Some(Rule::Approximate)),
            (Value::text(" 7\t"), 7, Some(Rule::Trimmed)),
            (Value::text("-0"), 0, None),
            (Value::text("2,147,483,647"), 2_147_483_647, Some(Rule::ThousandsCommas)),
        ];
        for (found, quantity, rule) in readable {
            assert_eq!(read_quantity(&found), Reading::by_rule(quantity, rule), "{found:?}");
            assert_eq!(raw_quantity(&found), Some(quantity.into()), "{found:?}");
        }
    }

    #[test]
    fn other_quantities_are_not_guessed() {
        for (found, raw, why) in [
            (Value::Double(1.5), Some("1.5"), "is no whole number"),
            (Value::text("1.5"), Some("1.5"), "is no whole number"),
            (Value::text("~1.5 EA"), Some("1.5"), "is no whole number"),
            (Value::Integer(-3), Some("-3"), "is negative"),
            (Value::text("-3"), Some("-3"), "is negative"),
            (Value::text("-1.5"), Some("-1.5"), "is negative"),
            (Value::Integer(2_147_483_648), Some("2147483648"), "is more than 2,147,483,647"),
            (Value::text("99999999999999999999"), Some("99999999999999999999"), "is more than 2,147,483,647"),
            (Value::Double(f64::NAN), None, "is no quantity"),
            (Value::day(NaiveDate::from_ymd_opt(2025, 11, 3).unwrap()), None, "is no quantity"),
        ] {
            assert_eq!(read_quantity(&found), Reading::Unreadable(why.to_owned()), "{found:?}");
            assert_eq!(raw_quantity(&found), raw.map(decimal), "{found:?}");
        }
        let unreadable = "two | EA | 2 KITS | 2 EA EA | 2 EA. | EA 2 | 12,00 | 2-3 | $2 | ~ | 300~ | ?";
        for found in unreadable.split(" | ").map(Value::text) {
            assert_eq!(read_quantity(&found), Reading::Unreadable("is no quantity".to_owned()), "{found:?}");
            assert_eq!(raw_quantity(&found), None, "{found:?}");
        }
    }

    #[test]
    fn nothing_is_blank() {
        for found in [Value::Null, Value::text(""), Value::text(" \u{A0}\u{200B}")] {
            assert_eq!(read_money(&found), Reading::Blank, "{found:?}");
            assert_eq!(read_quantity(&found), Reading::Blank, "{found:?}");
            assert_eq!(raw_amount(&found), None, "{found:?}");
            assert_eq!(raw_quantity(&found), None, "{found:?}");
        }
    }
}
