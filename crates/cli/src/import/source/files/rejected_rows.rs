//! The columns that files of rejected rows have beside those of the source.

use super::super::{RejectedRow, SourceTable, Value};
use crate::import::matching::RowDigest;

/// The columns by which a mended row names the row that was rejected, and the reason.
pub(in crate::import) const REJECTED_ROW_COLUMNS: [&str; 5] =
    ["source", "source_table", "source_row", "source_digest", "reason"];

/// The columns of a sheet that are [`REJECTED_ROW_COLUMNS`].
#[derive(Clone, Copy)]
pub(super) struct RejectedRowColumns {
    source: u32,
    table: u32,
    row: u32,
    digest: u32,
    /// People may have deleted it.
    reason: Option<u32>,
}

impl RejectedRowColumns {
    /// Returns the columns, if the headings are those of a file of rejected rows.
    pub(super) fn of(columns: &[(u32, String)]) -> Option<Self> {
        let [source, table, row, digest, reason] = REJECTED_ROW_COLUMNS;
        let column = |name: &str| columns.iter().find(|(_, heading)| heading == name).map(|(column, _)| *column);
        Some(Self {
            source: column(source)?,
            table: column(table)?,
            row: column(row)?,
            digest: column(digest)?,
            reason: column(reason),
        })
    }

    pub(super) fn contains(self, column: u32) -> bool {
        [self.source, self.table, self.row, self.digest].contains(&column) || self.reason == Some(column)
    }

    /// Returns the source and the table that a row names, if it names both.
    pub(super) fn source_and_table(self, cells: &[(u32, Value)]) -> Option<(String, String)> {
        let (source, table) = (text_of(cells, self.source), text_of(cells, self.table));
        (!source.is_empty() && !table.is_empty()).then_some((source, table))
    }

    /// Returns the row for which a mended row of `table` stands. A row that a person has added, or that is of another table, stands
    /// for none.
    pub(super) fn rejected_row(self, cells: &[(u32, Value)], table: &SourceTable) -> Option<RejectedRow> {
        let (source, name) = self.source_and_table(cells)?;
        if source != table.source || name != table.name {
            return None;
        }
        let position = text_of(cells, self.row).parse().ok()?;
        let digest = parse_digest(&text_of(cells, self.digest))?;
        Some(RejectedRow { position, digest })
    }
}

fn parse_digest(text: &str) -> Option<RowDigest> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 2 * size_of::<RowDigest>())?;
    Some(number.to_be_bytes())
}

fn text_of(cells: &[(u32, Value)], column: u32) -> String {
    let cell = cells.iter().find(|(number, _)| *number == column);
    cell.map(|(_, value)| value.to_string().trim().to_owned()).unwrap_or_default()
}
