//! Reads a row of a source as a row of ours, and remembers every correction.

use app_core::values::{BoundedText, Text};
use chrono::NaiveDate;
use chrono_tz::Tz;
use conversations::User;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    convert::{self, Reading, Rule, Step},
    layout::Layout,
    merge::Fields,
    parts::IndexRow,
    source::{SourceRow, SourceTable, Value},
};

/// A value that was not stored as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Correction {
    /// The column of the source.
    pub column: String,
    pub found: String,
    /// The stored value; `None` if the field was left empty.
    pub stored: Option<String>,
    pub rule: String,
}

/// The result of reading a row by itself.
pub(super) enum ReadRow {
    Row(Box<ConvertedRow>),
    /// The row is blank or repeats the headings.
    Skipped(String),
    /// The row cannot come in as it is.
    Rejected {
        reason: String,
        /// What the row is known by, if that can be read.
        key: Option<String>,
    },
}

/// A row of the source, converted into the values that the database stores.
#[derive(Clone, Debug, Default)]
pub(super) struct ConvertedRow {
    /// What the row is known by among the rows of its kind, such as the number of an order.
    pub(super) key: String,
    /// The values to store.
    pub(super) fields: Fields,
    pub(super) corrections: Vec<Correction>,
    /// The statuses that an order had before, oldest first.
    pub(super) steps: Vec<Step>,
    /// The notes of the row of the active table that an order had before a move. They are part of its notes.
    pub(super) earlier_notes: Option<String>,
    /// The row of the source's index, if it is one that a person has mended.
    pub(super) mended_index_row: Option<Box<IndexRow>>,
}

impl ConvertedRow {
    /// Creates a row without a history.
    pub(super) fn new(key: String, fields: Fields) -> Self {
        Self { key, fields, ..Self::default() }
    }
}

/// Returns the notes of two rows of one order: all that `earlier` has, and what `own` has beside it. Texts that begin with the same
/// lines have those lines once.
pub(super) fn join_notes(earlier: Option<&str>, own: Option<&str>) -> Option<String> {
    let (earlier, own) = match (earlier, own) {
        (None, notes) | (notes, None) => return notes.map(str::to_owned),
        (Some(earlier), Some(own)) => (earlier, own),
    };
    if own.contains(earlier) {
        return Some(own.to_owned());
    }
    if earlier.contains(own) {
        return Some(earlier.to_owned());
    }
    let mut rest = own.split('\n');
    let in_common = earlier.split('\n').zip(own.split('\n')).take_while(|(earlier, own)| earlier == own).count();
    for _ in 0..in_common {
        rest.next();
    }
    let added: Vec<&str> = rest.collect();
    Some(format!("{earlier}\n{}", added.join("\n")))
}

/// Checks that notes fit their column.
///
/// # Errors
/// The reason for which the row is rejected.
pub(super) fn check_notes(notes: Option<&str>) -> Result<(), String> {
    match notes {
        Some(notes) if notes.len() > TEXT_BYTES => {
            Err(format!("the notes, together with those of its copy, must be at most {TEXT_BYTES} bytes long in UTF-8"))
        }
        _ => Ok(()),
    }
}

/// The bytes that a TEXT column holds.
pub(super) const TEXT_BYTES: usize = 65_535;

/// The prefix of the notes that keep a value that does not fit its column.
const IMPORT_NOTE: &str = "[import]";

/// Reads the fields of a row. The first problem that it meets rejects the row.
pub(super) struct RowReader<'row> {
    table: &'row SourceTable,
    layout: &'row Layout,
    row: &'row SourceRow,
    zone: Tz,
    corrections: Vec<Correction>,
    /// Lines for the notes of the order: values that do not fit their column.
    kept_values: Vec<String>,
    problem: Option<String>,
}

impl<'row> RowReader<'row> {
    pub(super) fn new(table: &'row SourceTable, layout: &'row Layout, row: &'row SourceRow, zone: Tz) -> Self {
        Self { table, layout, row, zone, corrections: Vec::new(), kept_values: Vec::new(), problem: None }
    }

    pub(super) fn value(&self, field: &str) -> &'row Value {
        self.layout.value(self.row, field)
    }

    /// Returns the name that the source has for the field.
    fn column(&self, field: &str) -> String {
        let position = self.layout.position(field);
        position.map_or(field, |position| &self.table.columns[position].name).to_owned()
    }

    pub(super) fn reject(&mut self, problem: impl Into<String>) {
        self.problem.get_or_insert_with(|| problem.into());
    }

    pub(super) fn correct(&mut self, field: &str, stored: Option<String>, rule: impl Into<String>) {
        let found = self.value(field).to_string();
        self.corrections.push(Correction { column: self.column(field), found, stored, rule: rule.into() });
    }

    fn corrected<T: ToString>(&mut self, field: &str, value: T, rule: Rule) -> Option<T> {
        self.correct(field, Some(value.to_string()), rule.name());
        Some(value)
    }

    /// Reads text. One that is longer than `max` characters rejects the row.
    pub(super) fn text<const MAX: usize>(&mut self, field: &str) -> Option<String> {
        let text = self.any_text(field)?;
        self.fitting(field, Text::<MAX>::parse(text).map(Text::into_inner))
    }

    /// Reads the name of a user of the assistant, as requests are read.
    pub(super) fn user(&mut self, field: &str) -> Option<String> {
        let found = self.any_text(field)?;
        let user = self.fitting(field, User::from_name(&found).map(User::into_inner))?;
        if user != found {
            self.correct(field, Some(user.clone()), "users are in lower case and in Unicode's NFC");
        }
        Some(user)
    }

    /// Reads text of at most `MAX_BYTES` bytes.
    pub(super) fn long_text<const MAX_BYTES: usize>(&mut self, field: &str) -> Option<String> {
        let text = self.any_text(field)?;
        self.fitting(field, BoundedText::<MAX_BYTES>::parse(text).map(BoundedText::into_inner))
    }

    /// Reads the number of a part.
    pub(super) fn part_number(&mut self, field: &str) -> Option<String> {
        self.reject_date(field);
        let text = match convert::read_number_text(self.value(field)) {
            Reading::Same(text) => text,
            Reading::Corrected(text, rule) => self.corrected(field, text, rule)?,
            Reading::Blank => return None,
            Reading::Unreadable(problem) => {
                self.reject(format!("{} {problem}: {}", self.column(field), self.value(field)));
                return None;
            }
        };
        self.fitting(field, Text::<100>::parse(text).map(Text::into_inner))
    }

    /// Rejects a row whose number is a date: Excel has probably turned a number such as `3-4` into one.
    pub(super) fn reject_date(&mut self, field: &str) {
        if matches!(self.value(field), Value::DateTime(_)) {
            self.reject(format!(
                "{} is a date, into which Excel may have turned a number: {}",
                self.column(field),
                self.value(field)
            ));
        }
    }

    fn any_text(&mut self, field: &str) -> Option<String> {
        match convert::read_text(self.value(field)) {
            Reading::Same(text) => Some(text),
            Reading::Corrected(text, rule) => self.corrected(field, text, rule),
            Reading::Blank => None,
            Reading::Unreadable(problem) => {
                self.correct(field, None, format!("left empty, since it {problem}"));
                None
            }
        }
    }

    fn fitting(&mut self, field: &str, text: Result<String, String>) -> Option<String> {
        text.map_err(|problem| self.reject(format!("{} {problem}", self.column(field)))).ok()
    }

    /// Reads a date. What is none leaves the field empty and goes into the notes, after `label`.
    pub(super) fn day(&mut self, field: &str, label: &str) -> Option<NaiveDate> {
        let reading = convert::read_day(self.value(field), self.zone);
        self.value_or_note(field, label, reading)
    }

    /// Reads an amount of money, as [`day`](Self::day) reads a date.
    pub(super) fn money(&mut self, field: &str, label: &str) -> Option<Decimal> {
        let reading = convert::read_money(self.value(field));
        self.value_or_note(field, label, reading)
    }

    fn value_or_note<T: ToString>(&mut self, field: &str, label: &str, reading: Reading<T>) -> Option<T> {
        match reading {
            Reading::Blank => None,
            Reading::Same(value) => Some(value),
            Reading::Corrected(value, rule) => self.corrected(field, value, rule),
            Reading::Unreadable(_) => {
                self.kept_values.push(format!("{IMPORT_NOTE} {label}: {}", self.value(field)));
                self.correct(field, None, "kept in the notes");
                None
            }
        }
    }

    /// Reads a quantity; blank is an unknown one. What is no quantity rejects the row.
    pub(super) fn quantity(&mut self, field: &str) -> Option<i64> {
        match convert::read_quantity(self.value(field)) {
            Reading::Blank => None,
            Reading::Same(quantity) => Some(quantity),
            Reading::Corrected(quantity, rule) => self.corrected(field, quantity, rule),
            Reading::Unreadable(problem) => {
                self.reject(format!("{} {problem}: {}", self.column(field), self.value(field)));
                None
            }
        }
    }

    /// Reads notes, which may begin with the statuses that the order had, and adds the values that other fields could not take.
    /// Call it after all other fields.
    pub(super) fn notes(&mut self, field: &str) -> (Option<String>, Vec<Step>) {
        let found = self.any_text(field).unwrap_or_default();
        let notes = convert::read_notes(&found, self.zone);
        if notes.unreadable_history {
            self.correct(field, Some(found), "the status history in the notes cannot be read, so they stay whole");
        } else if notes.text.as_deref().unwrap_or_default() != found {
            self.correct(
                field,
                notes.text.clone(),
                "the status history in the notes became steps of the order's history",
            );
        }
        let text = notes.text.filter(|text| !text.is_empty());
        let lines: Vec<String> = text.into_iter().chain(self.kept_values.drain(..)).collect();
        let all = (!lines.is_empty()).then(|| lines.join("\n"));
        let all = all.and_then(|notes| {
            self.fitting(field, BoundedText::<TEXT_BYTES>::parse(notes).map(BoundedText::into_inner))
        });
        (all, notes.steps)
    }

    /// Returns the row, or why it is rejected. An empty `key` is none.
    pub(super) fn finish(self, row: ConvertedRow) -> ReadRow {
        match self.problem {
            Some(reason) => ReadRow::Rejected { reason, key: Some(row.key).filter(|key| !key.is_empty()) },
            None => ReadRow::Row(Box::new(ConvertedRow { corrections: self.corrections, ..row })),
        }
    }
}
