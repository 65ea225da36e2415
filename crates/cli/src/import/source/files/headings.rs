//! Finds the row of a sheet that has the headings.

use std::{collections::HashSet, iter};

use super::{
    super::{SourceColumn, SourceTable, Value, sheets::Row},
    rejected_rows::RejectedRowColumns,
};
use crate::import::{
    layout::{Content, Layout, heading, is_loader_column},
    mapping::Mapping,
};

/// Returns the columns with their headings. A heading that is there twice gets a number.
pub(super) fn named_columns(cells: &[(u32, Value)]) -> Vec<(u32, String)> {
    let mut names = HashSet::new();
    let mut columns = Vec::new();
    for (column, value) in cells {
        let text = value.to_string();
        let mut name = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() {
            name = letters(*column);
        }
        let numbered = (2..).map(|number| format!("{name} {number}"));
        let name = iter::once(name.clone()).chain(numbered).find(|name| names.insert(name.to_lowercase()));
        columns.extend(name.map(|name| (*column, name)));
    }
    columns
}

/// Returns the letters by which Excel names a column.
pub(super) fn letters(column: u32) -> String {
    let mut rest = column;
    let mut letters = Vec::new();
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'A' + u8::try_from(rest % 26).unwrap_or_default()));
        rest /= 26;
    }
    letters.iter().rev().collect()
}

/// Returns the place of the first row among `rows` that has headings: those of two fields, or that of the field which the table must
/// have. A cell with a digit is data, unless it is exactly a heading.
pub(super) fn find_headings(table: &str, rows: &[Row], mapping: &Mapping) -> Option<usize> {
    let is_list = rows.iter().all(|row| row.cells.len() == 1);
    rows.iter().position(|row| {
        let columns = named_columns(&row.cells);
        if RejectedRowColumns::of(&columns).is_some() {
            return true;
        }
        let columns: Vec<_> = columns.into_iter().filter(|(_, name)| !is_id(name)).collect();
        let Some(layout) = Layout::of(&described_table(table, &columns), mapping) else { return false };
        let has_digit = |field: &str| {
            let name = layout.position(field).map(|position| columns[position].1.as_str()).unwrap_or_default();
            name.contains(|character: char| character.is_ascii_digit())
        };
        let recognized = layout.recognized_headings.iter();
        let fields: Vec<_> = recognized.filter(|(field, is_exact)| *is_exact || !has_digit(field)).collect();
        let has_required =
            fields.iter().any(|(field, is_exact)| *field == layout.content.required_field() && *is_exact);
        fields.len() > 1 || (has_required && is_text(row)) || (is_list && fields.len() == 1)
    })
}

pub(super) fn is_text(row: &Row) -> bool {
    row.cells.iter().all(|(_, value)| matches!(value, Value::Text(_)))
}

/// Returns the column of a sheet that only lists part numbers, if the first row is its title: a text with two words of letters, or
/// one without digits.
pub(super) fn title_of_list(rows: &[Row], table: &str, mapping: &Mapping) -> Option<Vec<(u32, String)>> {
    let first = rows.first()?;
    let cells: Vec<_> = named_columns(&first.cells).into_iter().filter(|(_, name)| !is_id(name)).collect();
    let described: Vec<_> = cells.iter().filter(|(_, name)| !is_loader_column(name)).collect();
    let [(column, title)] = &*described else { return None };
    let is_list =
        first.cells.len() > 1 || rows.iter().all(|row| matches!(&*row.cells, [(other, _)] if other == column));
    let is_word = |word: &&str| word.chars().all(char::is_alphabetic);
    let is_title = title.split_whitespace().filter(is_word).count() >= 2
        || !title.contains(|character: char| character.is_ascii_digit());
    let columns = named_columns(&first.cells);
    let is_of_parts = Layout::of(&described_table(table, &cells), mapping)
        .is_some_and(|layout| matches!(layout.content, Content::Parts(_)));
    (is_list && is_title && is_of_parts).then_some(columns)
}

/// Returns whether a column may number the rows, as the databases do by which sheets are filled.
pub(super) fn is_id(name: &str) -> bool {
    matches!(heading(name).as_str(), "ID" | "INDEXID" | "TXNID")
}

/// Returns a table with these columns, without rows.
pub(super) fn described_table(name: &str, columns: &[(u32, String)]) -> SourceTable {
    let column = |name: &String| SourceColumn { name: name.clone(), data_type: String::new() };
    SourceTable {
        name: name.to_owned(),
        stored_name: name.to_owned(),
        columns: columns.iter().map(|(_, name)| column(name)).collect(),
        ..SourceTable::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_letters_of_excel() {
        for (column, expected) in [(1, "A"), (26, "Z"), (27, "AA"), (702, "ZZ"), (16_384, "XFD")] {
            assert_eq!(letters(column), expected);
        }
    }

    #[test]
    fn a_repeated_heading_gets_a_number() {
        let cells: Vec<_> = (1..).zip(["QTY", "qty", " ", "QTY 2"].map(Value::text)).collect();
        let names: Vec<String> = named_columns(&cells).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["QTY", "qty 2", "C", "QTY 2 2"]);
    }
}
