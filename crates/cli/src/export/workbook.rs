//! Writes Excel workbooks. The rows go to disk while they are written, so that memory does not grow with their number.

use std::{fmt, path::Path, pin::pin};

use anyhow::{Context, Result, bail};
use app_core::{
    http::{ApiError, Cell, Record},
    values::{Day, Timestamp},
};
use chrono::{NaiveDate, NaiveTime};
use futures_util::{Stream, TryStreamExt};
use rust_xlsxwriter::{Format, IgnoreError, Workbook, Worksheet, XlsxError};
use tempfile::NamedTempFile;

/// The most characters of a cell, counted in UTF-16.
const MAX_CELL_LENGTH: usize = 32_767;

/// The most rows of a sheet, with the headings.
const MAX_ROWS: u32 = 1_048_576;

/// The widest column that is set, in characters.
const MAX_WIDTH: usize = 60;

/// The largest number all of whose digits Excel keeps.
const MAX_INTEGER: i64 = 999_999_999_999_999;

/// A row that is not in the workbook, because a text is too long for a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutRow {
    /// The heading of the column with the id, and the id.
    pub id: (&'static str, String),
    /// The heading of the column with the text.
    pub column: &'static str,
    /// The characters of the text, counted as Excel does.
    pub length: usize,
}

impl fmt::Display for LeftOutRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id: (heading, id), column, length } = self;
        write!(
            formatter,
            "the row with the {heading} {id} is left out: {column} has {length} characters, and a cell of Excel holds \
             {MAX_CELL_LENGTH}; --format csv exports it"
        )
    }
}

/// Writes a workbook with one sheet into `file`, and returns the rows that it does not have. Temporary files are in `directory`.
///
/// # Errors
/// When a record cannot be read, the file cannot be written, or there are more rows than a sheet has.
pub(super) async fn write<T: Record>(
    file: &mut NamedTempFile,
    directory: &Path,
    sheet_name: &str,
    blank: &T,
    records: impl Stream<Item = Result<T, ApiError>>,
) -> Result<Vec<LeftOutRow>> {
    let mut records = pin!(records);
    let mut workbook = Workbook::new();
    workbook.set_tempdir(directory)?;
    let sheet = workbook.add_worksheet_with_constant_memory()?;
    sheet.set_name(sheet_name)?;
    let mut table = TableWriter::begin(sheet, &blank.cells())?;
    let mut left_out = Vec::new();
    while let Some(record) = records.try_next().await? {
        let cells = record.cells();
        match row_that_does_not_fit(&cells) {
            Some(row) => left_out.push(row),
            None => table.write(&cells)?,
        }
    }
    let size = table.finish()?;
    // LibreOffice 7 does not open files of the format for 4 GB and more.
    workbook.use_zip_large_file(size > u64::from(u32::MAX));
    workbook.save_to_writer(file.as_file_mut()).context("the workbook cannot be written")?;
    Ok(left_out)
}

/// Returns how a row is known and which of its texts is too long, if one is. The id is in the last column.
fn row_that_does_not_fit(cells: &[(&'static str, Cell<'_>)]) -> Option<LeftOutRow> {
    cells.iter().find_map(|(column, cell)| {
        let length = text(*cell)?.encode_utf16().count();
        let (heading, id) = cells.last()?;
        let id = if let Cell::Integer(Some(id)) = id { id.to_string() } else { String::new() };
        (length > MAX_CELL_LENGTH).then_some(LeftOutRow { id: (heading, id), column, length })
    })
}

fn text(cell: Cell<'_>) -> Option<&str> {
    match cell {
        Cell::Text(text) | Cell::Identifier(text) => text,
        _ => None,
    }
}

/// A table that fills a sheet.
struct TableWriter<'sheet> {
    sheet: &'sheet mut Worksheet,
    formats: Formats,
    /// The characters of the longest line in each column.
    widths: Vec<usize>,
    next_row: u32,
    /// An upper bound for the bytes of the sheet, before they are compressed.
    size: u64,
}

struct Formats {
    text: Format,
    money: Format,
    day: Format,
    instant: Format,
}

impl<'sheet> TableWriter<'sheet> {
    /// Writes the headings.
    fn begin(sheet: &'sheet mut Worksheet, blank: &[(&'static str, Cell<'_>)]) -> Result<Self, XlsxError> {
        /// The number of Excel's own format `@`, for texts: digits that people type into such a cell stay a text, too.
        const TEXT: u8 = 49;
        /// The number of Excel's own format `0.00`.
        const TWO_DECIMALS: u8 = 2;
        /// Beside a heading, a column has room for the button of the filter.
        const FILTER_WIDTH: usize = 3;

        let formats = Formats {
            text: Format::new().set_num_format_index(TEXT),
            money: Format::new().set_num_format_index(TWO_DECIMALS),
            day: Format::new().set_num_format("yyyy-mm-dd"),
            instant: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss"),
        };
        let bold = Format::new().set_bold();
        for (column, (heading, cell)) in (0..).zip(blank) {
            if let Cell::Identifier(_) = cell {
                sheet.set_column_format(column, &formats.text)?;
            }
            sheet.write_string_with_format(0, column, *heading, &bold)?;
        }
        sheet.set_freeze_panes(1, 0)?;
        let widths = blank.iter().map(|(heading, _)| heading.len() + FILTER_WIDTH).collect();
        Ok(Self { sheet, formats, widths, next_row: 1, size: 0 })
    }

    fn write(&mut self, cells: &[(&'static str, Cell<'_>)]) -> Result<()> {
        if self.next_row >= MAX_ROWS {
            bail!("a sheet has at most {MAX_ROWS} rows with the headings; --format csv exports them all");
        }
        for (column, (_, cell)) in (0..).zip(cells) {
            let width = self.write_cell(column, *cell)?;
            let widest = &mut self.widths[usize::from(column)];
            *widest = width.max(*widest);
            // The tags around a value are shorter than this, and no character is escaped with more than seven bytes.
            self.size += 100 + 7 * text(*cell).map_or(0, str::len) as u64;
        }
        self.next_row += 1;
        Ok(())
    }

    /// Writes a cell of the next row and returns its width in characters.
    fn write_cell(&mut self, column: u16, cell: Cell<'_>) -> Result<usize> {
        let Self { sheet, formats, next_row, .. } = self;
        let row = *next_row;
        let shown = match cell {
            Cell::Text(Some(text)) => {
                sheet.write_string(row, column, text)?;
                return Ok(longest_line(text));
            }
            Cell::Identifier(Some(text)) => {
                sheet.write_string_with_format(row, column, text, &formats.text)?;
                return Ok(longest_line(text));
            }
            Cell::Integer(Some(number)) => {
                if (-MAX_INTEGER..=MAX_INTEGER).contains(&number) {
                    #[expect(clippy::cast_precision_loss, reason = "at most 15 digits")]
                    sheet.write_number(row, column, number as f64)?;
                } else {
                    sheet.write_string_with_format(row, column, number.to_string(), &formats.text)?;
                }
                number.to_string()
            }
            Cell::Money(Some(amount)) => {
                let amount = amount.to_string();
                sheet.write_number_with_format(row, column, amount.parse::<f64>()?, &formats.money)?;
                amount
            }
            Cell::Day(Some(Day(date))) => {
                match serial_number(date) {
                    Some(day) => sheet.write_number_with_format(row, column, day, &formats.day)?,
                    None => sheet.write_string_with_format(row, column, date.to_string(), &formats.text)?,
                };
                date.to_string()
            }
            Cell::Instant(Some(instant)) => {
                let Timestamp(time) = instant;
                let of_day = time.time().signed_duration_since(NaiveTime::MIN);
                match serial_number(time.date_naive()) {
                    Some(day) => {
                        let serial_number = day + of_day.as_seconds_f64() / 86_400.0;
                        sheet.write_number_with_format(row, column, serial_number, &formats.instant)?
                    }
                    None => sheet.write_string_with_format(row, column, instant.to_string(), &formats.text)?,
                };
                instant.to_string()
            }
            Cell::Text(None)
            | Cell::Identifier(None)
            | Cell::Integer(None)
            | Cell::Money(None)
            | Cell::Day(None)
            | Cell::Instant(None) => return Ok(0),
        };
        Ok(shown.len())
    }

    /// Sets what depends on all rows, and returns the upper bound for the bytes of the sheet.
    fn finish(self) -> Result<u64, XlsxError> {
        let Self { sheet, widths, next_row, size, .. } = self;
        let last_row = next_row - 1;
        for (column, width) in (0..).zip(&widths) {
            sheet.set_column_width(column, u32::try_from(width + 1).unwrap_or(u32::MAX).min(MAX_WIDTH as u32))?;
        }
        let last_column = u16::try_from(widths.len().saturating_sub(1)).unwrap_or(u16::MAX);
        sheet.autofilter(0, 0, last_row, last_column)?;
        // Excel would mark each part number that consists of digits.
        sheet.ignore_error_range(0, 0, last_row, last_column, IgnoreError::NumberStoredAsText)?;
        Ok(size)
    }
}

fn longest_line(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

/// Returns the number by which Excel knows a day. Before March 1900 programs disagree about it, since Excel counts a day that
/// did not exist.
fn serial_number(date: NaiveDate) -> Option<f64> {
    let first = NaiveDate::from_ymd_opt(1900, 3, 1)?;
    let start = NaiveDate::from_ymd_opt(1899, 12, 30)?;
    let days = i32::try_from(date.signed_duration_since(start).num_days()).ok()?;
    (date >= first).then_some(f64::from(days))
}
