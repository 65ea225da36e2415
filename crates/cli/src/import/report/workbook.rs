//! A workbook with the rejected rows of a table, in which people mend them.

use std::{fs::File, path::Path};

use anyhow::Result;
use rust_xlsxwriter::{Format, IgnoreError, Workbook, Worksheet, XlsxError};

/// The most UTF-16 units of a text that a cell of Excel holds.
const MOST_UNITS: usize = 32_767;

/// The number of Excel's own format `@`, by which a cell is text.
const TEXT_FORMAT: u8 = 49;

/// The most columns and rows of a sheet.
const MOST_COLUMNS: usize = 16_384;
const MOST_ROWS: u32 = 1_048_576;

/// The texts of a workbook, in bytes, from which on it may need the form of ZIP files over 4 GB. LibreOffice 7 does not open that form,
/// so smaller workbooks do not have it.
const LARGE: usize = 512 * 1024 * 1024;

/// The characters that fit a column, at least and at most.
const NARROWEST: usize = 8;
const WIDEST: usize = 50;

/// A workbook whose cells are all texts, so that a spreadsheet turns no part number into a date or a formula. Rows are written to
/// a temporary file as they come.
pub(super) struct RejectedWorkbook {
    workbook: Workbook,
    table: String,
    headings: Vec<String>,
    text: Format,
    heading: Format,
    /// The longest line of each column, in characters.
    widths: Vec<usize>,
    /// The sheets that are full.
    full_sheets: usize,
    /// The row of the sheet that is written next.
    next_row: u32,
    rows_of_sheet: u32,
    /// The bytes of all texts.
    bytes: usize,
}

impl RejectedWorkbook {
    /// Begins a workbook. Its temporary files are in `directory`. Returns None if it would have more columns, or a longer heading,
    /// than Excel allows.
    pub(super) fn new(directory: &Path, table: &str, columns: &[&str]) -> Result<Option<Self>> {
        if columns.len() > MOST_COLUMNS || !columns.iter().all(|column| fits(column)) {
            return Ok(None);
        }
        let mut workbook = Workbook::new();
        workbook.set_tempdir(directory)?;
        let text = Format::new().set_num_format_index(TEXT_FORMAT);
        let mut started = Self {
            workbook,
            table: table.to_owned(),
            headings: columns.iter().map(|column| (*column).to_owned()).collect(),
            heading: text.clone().set_bold(),
            text,
            widths: columns.iter().map(|column| width(column)).collect(),
            full_sheets: 0,
            next_row: 0,
            rows_of_sheet: MOST_ROWS,
            bytes: 0,
        };
        started.begin_sheet()?;
        Ok(Some(started))
    }

    fn begin_sheet(&mut self) -> Result<()> {
        let name = sheet_name(&self.table, self.full_sheets + 1);
        let sheet = self.workbook.add_worksheet_with_constant_memory()?;
        sheet.set_name(name)?;
        sheet.set_freeze_panes(1, 0)?;
        write_row(sheet, 0, &self.headings, &self.heading)?;
        self.next_row = 1;
        Ok(())
    }

    /// Adds a row. Returns false, and adds nothing, if a text is longer than a cell may be.
    pub(super) fn add(&mut self, record: &[String]) -> Result<bool> {
        if !record.iter().all(|text| fits(text)) {
            return Ok(false);
        }
        if self.next_row == self.rows_of_sheet {
            self.finish_sheet()?;
            self.full_sheets += 1;
            self.begin_sheet()?;
        }
        write_row(self.workbook.worksheet_from_index(self.full_sheets)?, self.next_row, record, &self.text)?;
        self.next_row += 1;
        for (widest, text) in self.widths.iter_mut().zip(record) {
            self.bytes += text.len();
            if *widest < WIDEST {
                *widest = width(text).max(*widest);
            }
        }
        Ok(true)
    }

    /// Sets what a sheet has for all its rows. Cells that people fill in below the rows are texts, too.
    fn finish_sheet(&mut self) -> Result<()> {
        let sheet = self.workbook.worksheet_from_index(self.full_sheets)?;
        let (last_row, mut last_column) = (self.next_row - 1, 0);
        for (column, width) in (0..).zip(&self.widths) {
            sheet.set_column_format(column, &self.text)?;
            sheet.set_column_width(column, u32::try_from((width + 2).clamp(NARROWEST, WIDEST))?)?;
            last_column = column;
        }
        sheet.autofilter(0, 0, last_row, last_column)?;
        // Numbers as texts are meant to be so, and Excel need not warn of them.
        sheet.ignore_error_range(0, 0, last_row, last_column, IgnoreError::NumberStoredAsText)?;
        Ok(())
    }

    /// Writes the workbook into `file`.
    pub(super) fn save(mut self, file: File) -> Result<()> {
        self.finish_sheet()?;
        self.workbook.use_zip_large_file(self.bytes >= LARGE);
        self.workbook.save_to_writer(file)?;
        Ok(())
    }
}

fn write_row(sheet: &mut Worksheet, row: u32, record: &[String], format: &Format) -> Result<(), XlsxError> {
    for (column, text) in (0..).zip(record) {
        if text.is_empty() {
            sheet.write_blank(row, column, format)?;
        } else {
            sheet.write_string_with_format(row, column, text, format)?;
        }
    }
    Ok(())
}

/// Returns whether a cell holds the text.
fn fits(text: &str) -> bool {
    text.len() <= MOST_UNITS || text.encode_utf16().count() <= MOST_UNITS
}

/// Returns the characters of the longest line, as far as a column shows them.
fn width(text: &str) -> usize {
    text.lines().map(|line| line.chars().take(WIDEST).count()).max().unwrap_or_default()
}

/// Returns the name of the sheet with this number. Excel allows 31 UTF-16 units, and neither some characters nor an apostrophe at an
/// end.
fn sheet_name(table: &str, number: usize) -> String {
    let ending = if number == 1 { String::new() } else { format!(" ({number})") };
    let mut name = String::new();
    let mut free = 31 - ending.len();
    for character in table.chars() {
        let is_allowed = !"[]:*?/\\'".contains(character) && !character.is_control();
        let character = if is_allowed { character } else { '_' };
        if free < character.len_utf16() {
            break;
        }
        free -= character.len_utf16();
        name.push(character);
    }
    if name.trim().is_empty() {
        name = "rows".to_owned();
    }
    // Excel keeps this name for itself.
    if name.eq_ignore_ascii_case("history") {
        name.push('_');
    }
    name + &ending
}

#[cfg(test)]
mod tests {
    use calamine::{Reader, Xlsx, open_workbook};

    use super::*;

    #[test]
    fn rows_that_do_not_fit_a_sheet_are_in_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let mut workbook = RejectedWorkbook::new(directory.path(), "active", &["RO", "reason"]).unwrap().unwrap();
        workbook.rows_of_sheet = 3;
        for row in 1..=4 {
            assert!(workbook.add(&[row.to_string(), String::new()]).unwrap());
        }
        let path = directory.path().join("rejected.xlsx");
        workbook.save(File::create(&path).unwrap()).unwrap();
        let mut read: Xlsx<_> = open_workbook(path).unwrap();
        for (name, rows) in [("active", ["1", "2"]), ("active (2)", ["3", "4"])] {
            let sheet = read.worksheet_range(name).unwrap();
            let cells: Vec<String> = sheet.rows().map(|row| row[0].to_string()).collect();
            assert_eq!(cells, ["RO", rows[0], rows[1]], "{name}");
        }
    }

    #[test]
    fn sheets_have_names_that_excel_allows() {
        for (table, number, expected) in [
            ("active", 1, "active"),
            ("a[b]:c*d?e/f\\g'h\u{7}", 1, "a_b__c_d_e_f_g_h_"),
            ("a_table_with_a_name_that_is_far_too_long", 1, "a_table_with_a_name_that_is_far"),
            ("a_table_with_a_name_that_is_far_too_long", 2, "a_table_with_a_name_that_is (2)"),
            ("✈️ 🛩️🛩️🛩️🛩️🛩️🛩️🛩️🛩️🛩️🛩️", 1, "✈️ 🛩️🛩️🛩️🛩️🛩️🛩️🛩️🛩️🛩️"),
            (" ", 1, "rows"),
            ("History", 1, "History_"),
        ] {
            let name = sheet_name(table, number);
            assert_eq!(name, expected);
            assert!(Worksheet::new().set_name(&name).is_ok(), "{name}");
        }
    }
}
