//! The rows of a table below its headings.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use chrono::{NaiveDate, TimeDelta};

use super::{
    super::{
        SourceColumn, SourceTable, Value,
        sheets::{Area, Row},
    },
    FileTable,
    headings::{described_table, is_id, letters},
    rejected_rows::RejectedRowColumns,
    row_file::RowFileWriter,
    sheet::SheetContext,
};
use crate::import::layout::Layout;

/// The rows of a table whose headings are known.
pub(super) struct RowsReading {
    table: SourceTable,
    columns: Vec<(u32, String)>,
    known_columns: HashSet<u32>,
    rejected_row_columns: Option<RejectedRowColumns>,
    /// Whether a row has said of which source and table they are.
    knows_rejected_table: bool,
    written: RowFileWriter,
    /// The column that numbers the rows by itself, such as `id`, with its values so far.
    ids: Option<(u32, Vec<i64>)>,
    /// Columns whose merged cells hold a value for each of their rows, with the value and the last row.
    merged: HashMap<u32, (Value, u32)>,
    /// The columns with amounts and quantities.
    summed: Vec<u32>,
    /// The columns with dates, if numbers in them count the days from 1904.
    dates_from_1904: Vec<u32>,
    filled_rows: u64,
    /// Whether texts may have an apostrophe before them, as in the CSV files that this program exports.
    has_escaped_texts: bool,
}

impl RowsReading {
    pub(super) fn new(name: &str, columns: Vec<(u32, String)>, context: &SheetContext<'_>) -> Result<Self> {
        let rejected_row_columns = RejectedRowColumns::of(&columns);
        let ids = columns.iter().find(|(_, name)| is_id(name)).map(|(column, _)| (*column, Vec::new()));
        let names_rejected_row = |column: u32| rejected_row_columns.is_some_and(|columns| columns.contains(column));
        let known_columns = columns.iter().map(|(column, _)| *column).collect();
        let columns: Vec<_> = columns.into_iter().filter(|(column, _)| !names_rejected_row(*column)).collect();
        let table = SourceTable {
            source: context.file.to_owned(),
            stored_name: format!("{}: {name}", context.file),
            is_mended: rejected_row_columns.is_some(),
            ..described_table(name, &columns)
        };
        let layout = Layout::of(&table, context.mapping);
        let columns_of = |fields: &[&str]| -> Vec<u32> {
            let positions = fields.iter().filter_map(|field| layout.as_ref()?.position(field));
            positions.map(|position| columns[position].0).collect()
        };
        let content = layout.as_ref().map(|layout| layout.content);
        let summed = columns_of(content.map_or(&[], |content| content.summed_fields()));
        let dates = columns_of(content.map_or(&[], |content| content.date_fields()));
        Ok(Self {
            table,
            known_columns,
            rejected_row_columns,
            knows_rejected_table: false,
            written: RowFileWriter::new()?,
            ids,
            merged: HashMap::new(),
            summed,
            dates_from_1904: if context.has_1904_dates { dates } else { Vec::new() },
            columns,
            filled_rows: 0,
            has_escaped_texts: context.is_csv && rejected_row_columns.is_none(),
        })
    }

    pub(super) fn add(&mut self, mut row: Row, merged_cells: &HashMap<u32, Vec<Area>>) -> Result<()> {
        self.fill_merged_cells(&mut row, merged_cells);
        for (column, value) in &mut row.cells {
            if self.dates_from_1904.contains(column) {
                *value = date_from_1904(value);
            }
            if self.has_escaped_texts {
                unescape(value);
            }
            if self.known_columns.insert(*column) {
                self.columns.push((*column, letters(*column)));
            }
        }
        // Every row of a file of rejected rows names the source and the table. They are the same in all of them.
        if let Some(columns) = self.rejected_row_columns
            && !self.knows_rejected_table
            && let Some((source, table)) = columns.source_and_table(&row.cells)
        {
            (self.table.source, self.table.name) = (source, table);
            self.knows_rejected_table = true;
        }
        if let Some((column, ids)) = &mut self.ids {
            let value = row.cells.iter().find(|(number, _)| number == column).map(|(_, value)| value);
            match value.and_then(whole_number) {
                Some(id) => ids.push(id),
                None => self.ids = None,
            }
        }
        self.written.add(&row)
    }

    /// Gives a row the values of merged cells that begin above it. Amounts are not repeated, since they would count twice.
    fn fill_merged_cells(&mut self, row: &mut Row, merged_cells: &HashMap<u32, Vec<Area>>) {
        self.merged.retain(|_, (_, last_row)| *last_row >= row.number);
        let mut is_filled = false;
        for (column, (value, _)) in &self.merged {
            let is_blank = !row.cells.iter().any(|(number, _)| number == column);
            if is_blank && !self.summed.contains(column) {
                row.cells.push((*column, value.clone()));
                is_filled = true;
            }
        }
        row.cells.sort_by_key(|(column, _)| *column);
        self.filled_rows += u64::from(is_filled);
        for merged in merged_cells.get(&row.number).into_iter().flatten() {
            if let Some((_, value)) = row.cells.iter().find(|(column, _)| *column == merged.first_column) {
                self.merged.insert(merged.first_column, (value.clone(), merged.last_row));
            }
        }
    }

    /// Ends the table. Returns `None` if it has neither headings nor rows.
    pub(super) fn finish(self, mut remarks: Vec<String>) -> Result<Option<FileTable>> {
        let Self { mut table, mut columns, rejected_row_columns, written, ids, filled_rows, .. } = self;
        let mut rows = written.finish()?;
        if columns.is_empty() {
            return Ok(None);
        }
        if filled_rows > 0 {
            remarks.push(format!("rows that have the value of a merged cell which begins above them: {filled_rows}"));
        }
        if !self.dates_from_1904.is_empty() {
            remarks.push("numbers in columns of dates count the days from 1904, as the workbook does".to_owned());
        }
        if let Some((column, positions)) = ids {
            let mut distinct = HashSet::new();
            if positions.iter().all(|position| distinct.insert(*position)) && !table.is_mended {
                let name = columns.iter().find(|(number, _)| *number == column).map(|(_, name)| name.clone());
                remarks.push(format!(
                    "rows are recognized by the column {}, not by their place",
                    name.unwrap_or_default()
                ));
                rows.renumber(&positions);
                columns.retain(|(number, _)| *number != column);
            }
        }
        table.columns =
            columns.iter().map(|(_, name)| SourceColumn { name: name.clone(), data_type: String::new() }).collect();
        table.rows = rows.len() as u64;
        table.remarks = remarks;
        let places = columns.iter().enumerate().map(|(place, (column, _))| (*column, place)).collect();
        Ok(Some(FileTable { table, rows, places, rejected_row_columns }))
    }
}

/// Takes away the apostrophe that keeps spreadsheets from reading a text as a formula.
fn unescape(value: &mut Value) {
    if let Value::Text(text) = value
        && let Some(rest) = text.strip_prefix('\'')
        && rest.starts_with(['=', '+', '-', '@', '\'', '\t', '\r'])
    {
        *text = rest.to_owned();
    }
}

fn whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Returns the date for a number of days since 1904, also for one that is a text. Other values stay.
fn date_from_1904(value: &Value) -> Value {
    /// About ten thousand years.
    const MOST_DAYS: f64 = 4e6;
    let days = match value {
        Value::Integer(_) | Value::Double(_) | Value::Text(_) => value.to_string().trim().parse::<f64>().ok(),
        _ => None,
    };
    let date = days.filter(|days| days.abs() < MOST_DAYS).and_then(|days| {
        #[expect(clippy::cast_possible_truncation, reason = "the number of days is small")]
        let since = TimeDelta::milliseconds((days * 86_400_000.0).round() as i64);
        NaiveDate::from_ymd_opt(1904, 1, 1)?.and_hms_opt(0, 0, 0)?.checked_add_signed(since)
    });
    date.map_or_else(|| value.clone(), Value::DateTime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apostrophes_before_formulas_are_taken_away() {
        for (found, expected) in
            [("'=1+1", "=1+1"), ("''90s", "'90s"), ("'-5", "-5"), ("'90s", "'90s"), ("O'Hara", "O'Hara"), ("'", "'")]
        {
            let mut value = Value::text(found);
            unescape(&mut value);
            assert_eq!(value, Value::text(expected), "{found}");
        }
    }

    #[test]
    fn numbers_and_texts_of_days_since_1904_are_dates() {
        let date = |text: &str| Value::DateTime(text.parse().unwrap());
        for (value, expected) in [
            (Value::Integer(44_502), date("2025-11-03T00:00:00")),
            (Value::Double(44_502.5), date("2025-11-03T12:00:00")),
            (Value::text(" 44502 "), date("2025-11-03T00:00:00")),
            (Value::text("11/03/25"), Value::text("11/03/25")),
            (Value::text("9".repeat(40)), Value::text("9".repeat(40))),
            (Value::Null, Value::Null),
        ] {
            assert_eq!(date_from_1904(&value), expected);
        }
    }
}
