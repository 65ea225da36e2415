//! A sheet while it is read: which tables it has, and the rows above their headings.

use std::{collections::HashMap, mem, ops::RangeInclusive, path::Path};

use anyhow::{Result, bail};

use super::{
    super::{
        Value,
        sheets::{Area, Row, Sheet, Table},
    },
    FileTable,
    headings::{find_headings, is_text, named_columns, title_of_list},
    rows::RowsReading,
};
use crate::import::{layout::Content, mapping::Mapping};

/// The rows of a sheet among which its headings are looked for.
const HEADING_SEARCH_ROWS: usize = 50;

/// The hidden rows, and those outside of tables, that a report names one by one.
const NAMED_ROWS: usize = 10;

/// A sheet while it is read.
pub(super) struct SheetReading<'run> {
    context: SheetContext<'run>,
    is_hidden: bool,
    tables: Vec<TableReading>,
    hidden_rows: usize,
    /// The numbers of the first of them.
    first_hidden_rows: Vec<String>,
    /// Rows with values that belong to no table: their number, and the numbers of the first.
    rows_outside: usize,
    first_rows_outside: Vec<String>,
}

/// What is known of a sheet before its rows.
pub(super) struct SheetContext<'run> {
    /// The name of the file.
    pub(super) file: &'run str,
    pub(super) is_csv: bool,
    pub(super) has_1904_dates: bool,
    /// The merged cells of several rows, by their first row.
    pub(super) merged_cells: HashMap<u32, Vec<Area>>,
    pub(super) mapping: &'run Mapping,
}

/// A table of a sheet while it is read.
struct TableReading {
    name: String,
    /// The rows and columns of the sheet that belong to it.
    rows: RangeInclusive<u32>,
    columns: RangeInclusive<u32>,
    state: TableState,
    remarks: Vec<String>,
}

enum TableState {
    BeforeHeadings { headings: HeadingsRow, rows: Vec<Row> },
    Rows(Box<RowsReading>),
}

/// Where the headings of a table are.
#[derive(Clone, Copy)]
enum HeadingsRow {
    Unknown,
    Number(u32),
    /// The table has none.
    Missing,
}

impl HeadingsRow {
    fn of_table(table: &Table) -> Self {
        if table.has_headings { Self::Number(table.first_row) } else { Self::Missing }
    }

    /// Returns what a mapping says of the table called `name`.
    fn mapped(name: &str, mapping: &Mapping) -> Option<Self> {
        let row = mapping.of_table(name)?.headings_row?;
        Some(if row == 0 { Self::Missing } else { Self::Number(row) })
    }
}

impl<'run> SheetReading<'run> {
    pub(super) fn new(file: &'run str, sheet: Sheet, mapping: &'run Mapping) -> Self {
        let is_known = |name: &str| mapping.of_table(name).is_some() || Content::of_table(name).is_some();
        let known_tables: Vec<_> = sheet.tables.iter().filter(|table| is_known(&table.name)).collect();
        // A sheet is one table, unless it has Excel tables of other contents.
        let is_one_table = match Content::of_table(&sheet.name) {
            Some(content) => known_tables.iter().all(|table| Content::of_table(&table.name) == Some(content)),
            None => mapping.of_table(&sheet.name).is_some() || known_tables.is_empty(),
        };
        let tables = if is_one_table {
            let headings = HeadingsRow::mapped(&sheet.name, mapping).unwrap_or(HeadingsRow::Unknown);
            vec![TableReading::new(&sheet.name, 1..=u32::MAX, 1..=u32::MAX, headings)]
        } else {
            tables_of_sheet(known_tables, mapping)
        };
        let mut merged_cells: HashMap<u32, Vec<Area>> = HashMap::new();
        for merged in sheet.merged_cells.into_iter().filter(|merged| merged.last_row > merged.first_row) {
            merged_cells.entry(merged.first_row).or_default().push(merged);
        }
        let is_csv = Path::new(file).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let context = SheetContext { file, is_csv, has_1904_dates: sheet.has_1904_dates, merged_cells, mapping };
        let is_hidden = sheet.is_hidden;
        Self {
            context,
            is_hidden,
            tables,
            hidden_rows: 0,
            first_hidden_rows: Vec::new(),
            rows_outside: 0,
            first_rows_outside: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, row: Row) -> Result<()> {
        if row.is_hidden {
            self.hidden_rows += 1;
            if self.hidden_rows <= NAMED_ROWS {
                self.first_hidden_rows.push(row.number.to_string());
            }
        }
        let mut is_inside = false;
        for table in self.tables.iter_mut().filter(|table| table.rows.contains(&row.number)) {
            let cells: Vec<(u32, Value)> =
                row.cells.iter().filter(|(column, _)| table.columns.contains(column)).cloned().collect();
            if !cells.is_empty() {
                is_inside = true;
                table.add(Row { cells, ..row }, &self.context)?;
            }
        }
        if !is_inside {
            self.rows_outside += 1;
            if self.rows_outside <= NAMED_ROWS {
                self.first_rows_outside.push(row.number.to_string());
            }
        }
        Ok(())
    }

    /// Ends the sheet and returns its tables.
    pub(super) fn finish(self) -> Result<Vec<FileTable>> {
        let remarks = self.remarks();
        let Self { context, tables, .. } = self;
        let mut finished = Vec::new();
        for mut table in tables {
            table.read_headings(&context)?;
            table.remarks.extend(remarks.iter().cloned());
            finished.extend(table.finish()?);
        }
        Ok(finished)
    }

    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.is_hidden {
            remarks.push("the sheet is hidden; it is read, too".to_owned());
        }
        let numbers = |all: usize, first: &[String]| match all - first.len() {
            0 => first.join(", "),
            more => format!("{} and {more} more", first.join(", ")),
        };
        if self.hidden_rows > 0 {
            remarks.push(format!("hidden rows are read, too: {}", numbers(self.hidden_rows, &self.first_hidden_rows)));
        }
        if self.rows_outside > 0 {
            let rows = numbers(self.rows_outside, &self.first_rows_outside);
            remarks.push(format!("rows of the sheet that are outside of its tables and not read: {rows}"));
        }
        remarks
    }
}

/// Returns the Excel tables of a sheet. Each goes on to the next one, since people type below a table and beside it. Only of tables
/// side by side nothing else is read.
fn tables_of_sheet(mut tables: Vec<&Table>, mapping: &Mapping) -> Vec<TableReading> {
    tables.sort_by_key(|table| table.first_row);
    let are_stacked = tables.windows(2).all(|pair| pair[0].last_row < pair[1].first_row);
    let next_rows = tables.iter().skip(1).map(|table| table.first_row - 1).chain([u32::MAX]);
    let read = tables.iter().zip(next_rows).enumerate().map(|(place, (table, next_row))| {
        let headings = HeadingsRow::mapped(&table.name, mapping).unwrap_or_else(|| HeadingsRow::of_table(table));
        // A title above the headings is named in the report.
        let first_row = if place == 0 && table.has_headings { 1 } else { table.first_row };
        if are_stacked {
            TableReading::new(&table.name, first_row..=next_row, 1..=u32::MAX, headings)
        } else {
            let (rows, columns) = (table.first_row..=table.last_row, table.first_column..=table.last_column);
            TableReading::new(&table.name, rows, columns, headings)
        }
    });
    read.collect()
}

impl TableReading {
    fn new(name: &str, rows: RangeInclusive<u32>, columns: RangeInclusive<u32>, headings: HeadingsRow) -> Self {
        let state = TableState::BeforeHeadings { headings, rows: Vec::new() };
        Self { name: name.to_owned(), rows, columns, state, remarks: Vec::new() }
    }

    fn add(&mut self, row: Row, context: &SheetContext<'_>) -> Result<()> {
        match &mut self.state {
            TableState::Rows(reading) => reading.add(row, &context.merged_cells),
            TableState::BeforeHeadings { headings, rows } => {
                let is_enough = match headings {
                    HeadingsRow::Number(number) => row.number >= *number,
                    HeadingsRow::Unknown => rows.len() + 1 >= HEADING_SEARCH_ROWS,
                    HeadingsRow::Missing => true,
                };
                rows.push(row);
                if is_enough { self.read_headings(context) } else { Ok(()) }
            }
        }
    }

    /// Decides which of the rows so far has the headings, and reads the rows below it.
    fn read_headings(&mut self, context: &SheetContext<'_>) -> Result<()> {
        let TableState::BeforeHeadings { headings, rows } = &mut self.state else { return Ok(()) };
        let (headings, rows) = (*headings, mem::take(rows));
        let place = match headings {
            HeadingsRow::Number(number) => match rows.iter().position(|row| row.number == number) {
                None if !rows.is_empty() => bail!("{}: {} has no headings in row {number}", context.file, self.name),
                place => place,
            },
            HeadingsRow::Unknown => find_headings(&self.name, &rows, context.mapping),
            HeadingsRow::Missing => None,
        };
        let columns = match (place, headings) {
            (Some(place), _) => named_columns(&rows[place].cells),
            (None, HeadingsRow::Unknown) => self.columns_without_known_headings(&rows, context),
            (None, _) => Vec::new(),
        };
        let headings_row =
            if columns.is_empty() { None } else { rows.get(place.unwrap_or_default()).map(|row| row.number) };
        let mut reading = RowsReading::new(&self.name, columns, context)?;
        for row in rows.into_iter().filter(|row| Some(row.number) != headings_row) {
            let is_above = headings_row.is_some_and(|headings_row| row.number < headings_row);
            match &*row.cells {
                // Any other row above the headings is a row of the table, so that nothing gets lost.
                [(_, title)] if is_above => {
                    self.remarks.push(format!("row {} is above the headings and is not read: {title}", row.number));
                }
                _ => reading.add(row, &context.merged_cells)?,
            }
        }
        self.state = TableState::Rows(Box::new(reading));
        Ok(())
    }

    /// Returns the columns if no row has headings of fields: the first row may have headings that are not known.
    fn columns_without_known_headings(&mut self, rows: &[Row], context: &SheetContext<'_>) -> Vec<(u32, String)> {
        if let Some(columns) = title_of_list(rows, &self.name, context.mapping) {
            self.remarks.push(format!("the first row is read as the heading: {}", columns[0].1));
            return columns;
        }
        let is_known = Content::of_table(&self.name).is_some();
        match rows {
            // All values of a CSV file are texts, so that a single row may be data.
            [first, rest @ ..]
                if !is_known && first.cells.len() > 1 && is_text(first) && !(context.is_csv && rest.is_empty()) =>
            {
                named_columns(&first.cells)
            }
            [] => Vec::new(),
            _ => {
                let remark =
                    "no headings were found: the columns are called A, B, C, and the first row is read as data";
                self.remarks.push(remark.to_owned());
                Vec::new()
            }
        }
    }

    fn finish(self) -> Result<Option<FileTable>> {
        let TableState::Rows(reading) = self.state else { return Ok(None) };
        reading.finish(self.remarks)
    }
}
