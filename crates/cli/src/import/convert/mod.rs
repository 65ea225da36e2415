//! Reads values of a source as values of ours.
//!
//! Spreadsheets hold dates, amounts and quantities in many notations. Each notation that is read has a rule here. A
//! value that no rule reads is unreadable: none is ever guessed.

mod amounts;
mod dates;
mod notes;
mod texts;

use super::source::Value;

pub(super) use amounts::{raw_amount, raw_quantity, read_money, read_quantity};
pub(super) use dates::{read_day, read_instant};
pub(super) use notes::{Step, read_notes};
pub(super) use texts::{read_number_text, read_text};

/// The result of reading a value of a source as a value of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) enum Reading<T> {
    /// NULL, or nothing but white space and invisible characters.
    Blank,
    Same(T),
    /// The value is written in another notation, or some of it was dropped.
    Corrected(T, Rule),
    /// Why, as the rest of a sentence that begins with the value.
    Unreadable(String),
}

impl<T> Reading<T> {
    fn by_rule(value: T, rule: Option<Rule>) -> Self {
        match rule {
            Some(rule) => Self::Corrected(value, rule),
            None => Self::Same(value),
        }
    }
}

/// The rules by which values are corrected. Where several apply to a value, the one that changes most is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::import) enum Rule {
    Trimmed,
    UsDate,
    ExcelDate,
    TimeDropped,
    DayOfInstant,
    LocalTime,
    RepeatedHour,
    RoundedToCents,
    DollarSign,
    ThousandsCommas,
    Approximate,
    Unit,
    WholeNumber,
}

impl Rule {
    /// The rule as the reports name it.
    pub(in crate::import) fn name(self) -> &'static str {
        match self {
            Self::Trimmed => "white space or invisible characters at the ends removed",
            Self::UsDate => "date in US order",
            Self::ExcelDate => "Excel's number of a date",
            Self::TimeDropped => "time of day dropped",
            Self::DayOfInstant => "instant read as its day in the business's time zone",
            Self::LocalTime => "time in the business's time zone",
            Self::RepeatedHour => "hour that came twice when the clocks went back, read as the first",
            Self::RoundedToCents => "rounded to cents",
            Self::DollarSign => "dollar sign removed",
            Self::ThousandsCommas => "commas between thousands removed",
            Self::Approximate => "approximate quantity read as exact",
            Self::Unit => "unit after the quantity removed",
            Self::WholeNumber => "whole number written with decimals",
        }
    }
}
