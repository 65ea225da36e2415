//! Finds the row of a sheet that has the headings.

use std::{collections::HashSet, iter};

use super::{
    super::{SourceColumn, SourceTable, Value, sheets::Row},
    rejected_rows::RejectedRowColumns,
};
use crate::import::{
    layout::{Content, Layout, heading},
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

/// Returns the place of the row among `rows` whose texts are the headings of most fields.
pub(super) fn find_headings(table: &str, rows: &[Row], mapping: &Mapping) -> Option<usize> {
    let mut best = None;
    for (place, row) in rows.iter().enumerate() {
        let columns = named_columns(&row.cells);
        if RejectedRowColumns::of(&columns).is_some() {
            return Some(place);
        }
        let columns: Vec<_> = columns.into_iter().filter(|(_, name)| !is_id(name)).collect();
        let layout = Layout::of(&described_table(table, &columns), mapping);
        let fields = layout.filter(|_| is_text(row)).map_or(0, |layout| layout.recognized_headings);
        let is_enough = fields > 1 || columns.len() == fields;
        if is_enough && fields > best.map_or(0, |(fields, _)| fields) {
            best = Some((fields, place));
        }
    }
    best.map(|(_, place)| place)
}

pub(super) fn is_text(row: &Row) -> bool {
    row.cells.iter().all(|(_, value)| matches!(value, Value::Text(_)))
}

/// Returns the column of a sheet that only lists part numbers, if the first row is its title: a text with two words of letters, or
/// one without digits.
pub(super) fn title_of_list(rows: &[Row], table: &str, mapping: &Mapping) -> Option<Vec<(u32, String)>> {
    let first = rows.first()?;
    let [(column, Value::Text(title))] = &*first.cells else { return None };
    let is_list = rows.iter().all(|row| matches!(&*row.cells, [(other, _)] if other == column));
    let is_word = |word: &&str| word.chars().all(char::is_alphabetic);
    let is_title = title.split_whitespace().filter(is_word).count() >= 2
        || !title.contains(|character: char| character.is_ascii_digit());
    let columns = named_columns(&first.cells);
    let is_of_parts = Layout::of(&described_table(table, &columns), mapping)
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
