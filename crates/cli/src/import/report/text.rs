//! Numbers as people read them.

use std::fmt::Display;

/// Writes a number with the word for one thing or for several.
pub(super) fn counted(number: u64, one: &str, several: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {several}", grouped(&number)) }
}

/// Writes a number with commas between the thousands.
pub(super) fn grouped(number: &impl Display) -> String {
    let text = number.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", &*text), |digits| ("-", digits));
    let (whole, decimals) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut written = sign.to_owned();
    for (place, digit) in whole.char_indices() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written + decimals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas_between_the_thousands() {
        for (number, expected) in
            [("0", "0"), ("999", "999"), ("1000", "1,000"), ("-1234567.505", "-1,234,567.505"), ("-100.5", "-100.5")]
        {
            assert_eq!(grouped(&number), expected);
        }
    }
}
