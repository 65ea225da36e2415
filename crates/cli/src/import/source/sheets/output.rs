//! The lines that the process writes, and the limits that hold for all formats.

use std::{
    collections::HashSet,
    io::{self, BufWriter, StdoutLock, Write},
};

use anyhow::{Result, bail};

use super::protocol::{Area, Item, Line, NotRead, Row, Sheet, Table};
use crate::import::Value;

/// The most columns of a sheet that may have values.
const MAX_COLUMNS: usize = 1_000;
/// The most bytes of a cell.
pub(super) const MAX_CELL: usize = 1_000_000;
/// The most bytes of the texts of a row. In JSON, a byte takes up to six.
const MAX_ROW: usize = 8_000_000;
/// The most merged areas of a sheet.
const MAX_MERGED: usize = 300_000;
/// Excel's own limits.
const LAST_ROW: u32 = 1_048_576;
const LAST_COLUMN: u32 = 16_384;

/// Standard output.
pub(super) struct Output {
    lines: BufWriter<StdoutLock<'static>>,
    sheet: String,
    last_row: u32,
    columns_with_values: HashSet<u32>,
}

impl Output {
    pub(super) fn new() -> Self {
        Self {
            lines: BufWriter::with_capacity(1 << 16, io::stdout().lock()),
            sheet: String::new(),
            last_row: 0,
            columns_with_values: HashSet::new(),
        }
    }

    /// Writes a line. [`Line::End`] and [`Line::Failed`] also write what is in the buffer.
    pub(super) fn write(&mut self, line: &Line) -> Result<()> {
        serde_json::to_writer(&mut self.lines, line)?;
        self.lines.write_all(b"\n")?;
        if !matches!(line, Line::Item(_)) {
            self.lines.flush()?;
        }
        Ok(())
    }

    pub(super) fn begin_sheet(&mut self, sheet: Sheet) -> Result<()> {
        if sheet.merged_cells.len() > MAX_MERGED {
            bail!("has more than {MAX_MERGED} merged areas in the sheet {}, which is too many to read", sheet.name);
        }
        self.sheet.clone_from(&sheet.name);
        self.last_row = 0;
        self.columns_with_values.clear();
        self.write(&Line::Item(Item::Sheet(sheet)))
    }

    pub(super) fn not_read(&mut self, name: &str, reason: &str) -> Result<()> {
        self.write(&Line::Item(Item::NotRead(NotRead { name: name.to_owned(), reason: reason.to_owned() })))
    }

    /// Writes a row of the sheet that was begun last, without its empty cells. A row without values is not written.
    ///
    /// # Errors
    /// When the row exceeds a limit, or does not follow the row before it.
    pub(super) fn row(&mut self, number: u32, is_hidden: bool, mut cells: Vec<(u32, Value)>) -> Result<()> {
        cells.retain(|(_, value)| {
            !matches!(value, Value::Null) && !matches!(value, Value::Text(text) if text.is_empty())
        });
        if cells.is_empty() {
            return Ok(());
        }
        let sheet = &self.sheet;
        if number > LAST_ROW {
            bail!("has more than {LAST_ROW} rows in the sheet {sheet}, which is more than Excel can show");
        }
        cells.sort_by_key(|(column, _)| *column);
        let is_each_once = cells.is_sorted_by(|(left, _), (right, _)| left < right);
        if number <= self.last_row || !is_each_once {
            bail!("is damaged: row {number} of the sheet {sheet} is there twice or in the wrong place");
        }
        let mut length = 0;
        for (column, value) in &cells {
            self.columns_with_values.insert(*column);
            let (Value::Text(text) | Value::Error(text)) = value else { continue };
            if text.len() > MAX_CELL {
                bail!("has a cell with more than {MAX_CELL} bytes of text in row {number} of the sheet {sheet}");
            }
            length += text.len();
        }
        if length > MAX_ROW {
            bail!("has more than {MAX_ROW} bytes of text in row {number} of the sheet {sheet}");
        }
        if self.columns_with_values.len() > MAX_COLUMNS {
            bail!("has more than {MAX_COLUMNS} columns with values in the sheet {sheet}, which is too many to read");
        }
        self.last_row = number;
        self.write(&Line::Item(Item::Row(Row { number, is_hidden, cells })))
    }
}

impl Area {
    /// Makes an area of the first and the last cell, counted from 0. Returns `None` if Excel has no such cells.
    pub(super) fn new(first: (u32, u32), last: (u32, u32)) -> Option<Self> {
        let is_area = first.0 <= last.0 && first.1 <= last.1 && last.0 < LAST_ROW && last.1 < LAST_COLUMN;
        is_area.then(|| Self {
            first_row: first.0 + 1,
            last_row: last.0 + 1,
            first_column: first.1 + 1,
            last_column: last.1 + 1,
        })
    }

    /// Reads `B2:D9` or `B2`, with or without dollar signs.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        Self::new(parse_cell(first)?, parse_cell(last)?)
    }
}

/// Returns row and column of `B2`, counted from 0.
fn parse_cell(text: &str) -> Option<(u32, u32)> {
    let text = text.replace('$', "").to_ascii_uppercase();
    let digits = text.find(|character: char| character.is_ascii_digit())?;
    let (letters, digits) = text.split_at_checked(digits)?;
    if letters.is_empty() || letters.len() > 3 || !letters.bytes().all(|letter| letter.is_ascii_uppercase()) {
        return None;
    }
    let column = letters.bytes().fold(0, |column, letter| column * 26 + u32::from(letter - b'A') + 1);
    Some((digits.parse::<u32>().ok()?.checked_sub(1)?, column - 1))
}

impl Table {
    /// Makes a table of an area without its row of totals.
    pub(super) fn new(name: String, has_headings: bool, area: Area) -> Self {
        let Area { first_row, last_row, first_column, last_column } = area;
        Self { name, has_headings, first_row, last_row, first_column, last_column }
    }
}
