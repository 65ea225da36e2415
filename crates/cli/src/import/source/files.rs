//! Workbooks and CSV files as a source. Each sheet, or each table within a sheet that is known by its name, is a table of the
//! source. Its rows go to disk while they are read.

use std::{
    collections::{HashMap, HashSet},
    mem,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use rust_decimal::Decimal;

use super::{
    BATCH, RejectedRow, Source, SourceColumn, SourceRow, SourceTable, Value,
    row_file::{RowFile, RowFileWriter},
    sheets::{Area, Item, Row, Sheet, SheetReader, Table},
};
use crate::import::{
    layout::{Content, Layout, heading},
    mapping::Mapping,
    matching::RowDigest,
};

/// The rows of a sheet among which its headings are looked for.
const HEADING_SEARCH_ROWS: usize = 50;

/// The columns that the files of rejected rows have beside those of the source.
pub(in crate::import) const REJECTED_ROW_COLUMNS: [&str; 5] =
    ["source", "source_table", "source_row", "source_digest", "reason"];

/// Workbooks and CSV files.
pub(in crate::import) struct FileSource {
    name: String,
    tables: Vec<FileTable>,
    not_read: Vec<String>,
}

struct FileTable {
    table: SourceTable,
    rows: RowFile,
    /// The place of each column of the sheet among the columns of the table.
    places: HashMap<u32, usize>,
    mended: Option<MendedColumns>,
}

/// The columns of a sheet that name the rejected row for which a mended row stands.
#[derive(Clone, Copy)]
struct MendedColumns {
    source: u32,
    table: u32,
    row: u32,
    digest: u32,
    /// People may have deleted it.
    reason: Option<u32>,
}

impl FileSource {
    /// Reads files. `program` is `rotracker`, which reads each file in a process of its own.
    ///
    /// # Errors
    /// When a file cannot be read, or two files have one name.
    pub(in crate::import) async fn read(program: &Path, files: &[PathBuf], mapping: &Mapping) -> Result<Self> {
        let names: Vec<String> = files.iter().map(|file| file_name(file)).collect();
        let mut distinct = HashSet::new();
        if let Some(name) = names.iter().find(|name| !distinct.insert(*name)) {
            bail!("two of the files are called {name}; their rows could not be told apart");
        }
        let mut source = Self { name: names.join(", "), tables: Vec::new(), not_read: Vec::new() };
        for (file, name) in files.iter().zip(&names) {
            source.read_file(program, file, name, mapping).await?;
        }
        Ok(source)
    }

    async fn read_file(&mut self, program: &Path, file: &Path, name: &str, mapping: &Mapping) -> Result<()> {
        let mut reader = SheetReader::start(program, file)?;
        let mut sheet: Option<SheetReading<'_>> = None;
        while let Some(item) = reader.next().await? {
            match item {
                Item::Sheet(next) => {
                    if let Some(sheet) = sheet.replace(SheetReading::new(name, next, mapping)) {
                        self.tables.extend(sheet.finish()?);
                    }
                }
                Item::Row(row) => {
                    if let Some(sheet) = &mut sheet {
                        sheet.add(row)?;
                    }
                }
                Item::NotRead(part) => self.not_read.push(format!("{} of {name}: {}", part.name, part.reason)),
            }
        }
        if let Some(sheet) = sheet {
            self.tables.extend(sheet.finish()?);
        }
        Ok(())
    }

    fn table(&self, wanted: &SourceTable) -> Result<&FileTable> {
        let found = self.tables.iter().find(|table| table.table.stored_name == wanted.stored_name);
        found.with_context(|| format!("there is no {}", wanted.stored_name))
    }
}

impl Source for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn tables(&mut self) -> Result<Vec<SourceTable>> {
        Ok(self.tables.iter().map(|table| table.table.clone()).collect())
    }

    async fn rows_after(&mut self, table: &SourceTable, after: Option<i64>) -> Result<Vec<SourceRow>> {
        let table = self.table(table)?;
        let rows = table.rows.after(after, BATCH)?;
        Ok(rows.into_iter().map(|(position, row)| table.row(position, row)).collect())
    }

    async fn rows_at(&mut self, table: &SourceTable, positions: &[i64]) -> Result<Vec<SourceRow>> {
        let table = self.table(table)?;
        let mut found = Vec::new();
        for position in positions {
            found.extend(table.rows.at(*position)?.map(|(position, row)| table.row(position, row)));
        }
        Ok(found)
    }

    async fn sum(&mut self, _: &SourceTable, column: &SourceColumn, _: Decimal) -> Result<Decimal> {
        bail!("a file cannot add up {}", column.name)
    }

    async fn other_objects(&mut self) -> Result<Vec<String>> {
        Ok(self.not_read.clone())
    }
}

impl FileTable {
    fn row(&self, position: i64, row: Row) -> SourceRow {
        let mends = self.mended.and_then(|columns| columns.rejected_row(&row.cells));
        let mut values = vec![Value::Null; self.table.columns.len()];
        for (column, value) in row.cells {
            if let Some(place) = self.places.get(&column) {
                values[*place] = value;
            }
        }
        SourceRow { position, values, mends }
    }
}

impl MendedColumns {
    fn contains(self, column: u32) -> bool {
        [self.source, self.table, self.row, self.digest].contains(&column) || self.reason == Some(column)
    }

    fn of(columns: &[(u32, String)]) -> Option<Self> {
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

    /// Returns the row for which a mended row stands. A row that a person has added stands for none.
    fn rejected_row(self, cells: &[(u32, Value)]) -> Option<RejectedRow> {
        let position = text_of(cells, self.row).trim().parse().ok()?;
        let digest = parse_digest(text_of(cells, self.digest).trim())?;
        Some(RejectedRow { position, digest })
    }
}

fn parse_digest(text: &str) -> Option<RowDigest> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 2 * size_of::<RowDigest>())?;
    Some(number.to_be_bytes())
}

/// Returns the name of a file without its folder, under which later runs know its rows.
fn file_name(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

fn text_of(cells: &[(u32, Value)], column: u32) -> String {
    cells.iter().find(|(number, _)| *number == column).map(|(_, value)| value.to_string()).unwrap_or_default()
}

/// Returns the letters by which Excel names a column.
fn letters(column: u32) -> String {
    let mut rest = column;
    let mut letters = Vec::new();
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'A' + u8::try_from(rest % 26).unwrap_or_default()));
        rest /= 26;
    }
    letters.iter().rev().collect()
}

/// A sheet while it is read.
struct SheetReading<'run> {
    context: SheetContext<'run>,
    is_hidden: bool,
    tables: Vec<TableReading>,
    hidden_rows: Vec<u32>,
    /// Rows with values that belong to no table.
    rows_outside: u64,
}

/// What is known of a sheet before its rows.
struct SheetContext<'run> {
    /// The name of the file.
    file: &'run str,
    has_1904_dates: bool,
    /// The merged cells of several rows, by their first row.
    merged_cells: HashMap<u32, Vec<Area>>,
    mapping: &'run Mapping,
}

/// A table of a sheet while it is read.
struct TableReading {
    name: String,
    /// The columns of the sheet that belong to it.
    columns: RangeInclusive<u32>,
    last_row: Option<u32>,
    state: TableState,
    remarks: Vec<String>,
}

enum TableState {
    /// The headings were not met yet. They are in the row with this number, if it is known; 0 stands for a sheet without headings.
    BeforeHeadings {
        headings_row: Option<u32>,
        rows: Vec<Row>,
    },
    Rows(Box<RowsReading>),
}

/// The rows of a table whose headings are known.
struct RowsReading {
    table: SourceTable,
    columns: Vec<(u32, String)>,
    mended: Option<MendedColumns>,
    written: RowFileWriter,
    /// The number of the column that numbers the rows by itself, such as `id`, with its values so far.
    ids: Option<(u32, Vec<i64>)>,
    /// Columns whose merged cells hold a value for each of their rows, with the value and the last row.
    merged: HashMap<u32, (Value, u32)>,
    summed: Vec<u32>,
    filled_rows: u64,
}

impl<'run> SheetReading<'run> {
    fn new(file: &'run str, sheet: Sheet, mapping: &'run Mapping) -> Self {
        let is_known = |name: &str| mapping.of_table(name).is_some() || Content::of_table(name).is_some();
        let known_tables: Vec<_> = sheet.tables.iter().filter(|table| is_known(&table.name)).collect();
        let headings_row = |name: &str| mapping.of_table(name).and_then(|mapping| mapping.headings_row);
        let tables = if is_known(&sheet.name) || known_tables.is_empty() {
            let only_table = if let [table] = &*sheet.tables { Some(headings_of(table)) } else { None };
            let headings_row = headings_row(&sheet.name).or(only_table);
            vec![TableReading::new(&sheet.name, 1..=u32::MAX, None, headings_row)]
        } else {
            // What people have typed below a table still belongs to it, unless another table may be there.
            let is_alone = known_tables.len() == 1;
            let tables = known_tables.into_iter().map(|table| {
                let last_row = (!is_alone).then_some(table.last_row);
                let headings_row = headings_row(&table.name).unwrap_or_else(|| headings_of(table));
                let columns = table.first_column..=table.last_column;
                TableReading::new(&table.name, columns, last_row, Some(headings_row))
            });
            tables.collect()
        };
        let mut merged_cells: HashMap<u32, Vec<Area>> = HashMap::new();
        for merged in sheet.merged_cells.into_iter().filter(|merged| merged.last_row > merged.first_row) {
            merged_cells.entry(merged.first_row).or_default().push(merged);
        }
        let context = SheetContext { file, has_1904_dates: sheet.has_1904_dates, merged_cells, mapping };
        Self { context, is_hidden: sheet.is_hidden, tables, hidden_rows: Vec::new(), rows_outside: 0 }
    }

    fn add(&mut self, row: Row) -> Result<()> {
        if row.is_hidden {
            self.hidden_rows.push(row.number);
        }
        let mut is_inside = false;
        for table in &mut self.tables {
            if table.last_row.is_some_and(|last| row.number > last) {
                continue;
            }
            let cells: Vec<(u32, Value)> =
                row.cells.iter().filter(|(column, _)| table.columns.contains(column)).cloned().collect();
            if !cells.is_empty() {
                is_inside = true;
                table.add(Row { cells, ..row }, &self.context)?;
            }
        }
        self.rows_outside += u64::from(!is_inside);
        Ok(())
    }

    fn finish(self) -> Result<Vec<FileTable>> {
        let Self { context, is_hidden, tables, hidden_rows, rows_outside } = self;
        let mut finished = Vec::new();
        for mut table in tables {
            table.stop_looking_for_headings(&context)?;
            if is_hidden {
                table.remarks.push("the sheet is hidden; it is read all the same".to_owned());
            }
            if let Some(numbers) = listed(&hidden_rows) {
                table.remarks.push(format!("hidden rows are read all the same: {numbers}"));
            }
            if rows_outside > 0 {
                table
                    .remarks
                    .push(format!("{rows_outside} rows of the sheet are outside of its tables and are not read"));
            }
            finished.extend(table.finish()?);
        }
        Ok(finished)
    }
}

/// Returns the row of a table that has the headings; 0 if they are switched off.
fn headings_of(table: &Table) -> u32 {
    if table.has_headings { table.first_row } else { 0 }
}

/// Returns at most ten of `numbers`, and how many there are more.
fn listed(numbers: &[u32]) -> Option<String> {
    const SHOWN: usize = 10;
    let shown: Vec<String> = numbers.iter().take(SHOWN).map(u32::to_string).collect();
    let more = numbers.len().saturating_sub(SHOWN);
    match (shown.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(shown.join(", ")),
        (false, more) => Some(format!("{} and {more} more", shown.join(", "))),
    }
}

impl TableReading {
    fn new(name: &str, columns: RangeInclusive<u32>, last_row: Option<u32>, headings_row: Option<u32>) -> Self {
        let state = TableState::BeforeHeadings { headings_row, rows: Vec::new() };
        Self { name: name.to_owned(), columns, last_row, state, remarks: Vec::new() }
    }

    fn add(&mut self, row: Row, context: &SheetContext<'_>) -> Result<()> {
        match &mut self.state {
            TableState::Rows(reading) => reading.add(row, &context.merged_cells),
            TableState::BeforeHeadings { headings_row, rows } => {
                let is_past = headings_row.is_some_and(|headings| row.number >= headings);
                rows.push(row);
                if is_past || rows.len() >= HEADING_SEARCH_ROWS {
                    self.stop_looking_for_headings(context)?;
                }
                Ok(())
            }
        }
    }

    /// Decides which of the rows so far has the headings, and reads the rows below it.
    fn stop_looking_for_headings(&mut self, context: &SheetContext<'_>) -> Result<()> {
        let TableState::BeforeHeadings { headings_row, rows } = &mut self.state else { return Ok(()) };
        let (headings_row, rows) = (*headings_row, mem::take(rows));
        let found = match headings_row {
            Some(number) => rows.iter().position(|row| row.number == number),
            None => find_headings(&self.name, &rows, context.mapping),
        };
        let (headings, title) = match found {
            Some(place) => (named_columns(&rows[place].cells), place),
            None if headings_row == Some(0) => (Vec::new(), 0),
            None => (self.columns_without_known_headings(&rows, context.mapping), 0),
        };
        let first_row = if headings.is_empty() { 0 } else { title + 1 };
        for row in &rows[..first_row.saturating_sub(1)] {
            let texts: Vec<String> = row.cells.iter().map(|(_, value)| value.to_string()).collect();
            self.remarks.push(format!("row {} is above the headings and is not read: {}", row.number, texts.join(" ")));
        }
        let mut reading = RowsReading::new(&self.name, headings, context)?;
        for row in rows.into_iter().skip(first_row) {
            reading.add(row, &context.merged_cells)?;
        }
        self.state = TableState::Rows(Box::new(reading));
        Ok(())
    }

    /// Returns the columns if no row has headings of fields: the first row may have headings that are not known.
    fn columns_without_known_headings(&mut self, rows: &[Row], mapping: &Mapping) -> Vec<(u32, String)> {
        if let Some(columns) = title_of_list(rows, &self.name, mapping) {
            self.remarks.push(format!("the first row is taken for the heading: {}", columns[0].1));
            return columns;
        }
        match rows {
            [first, ..] if first.cells.len() > 1 && is_text(first) => named_columns(&first.cells),
            _ => {
                self.remarks.push("no row has headings, so the columns have letters".to_owned());
                Vec::new()
            }
        }
    }

    fn finish(self) -> Result<Option<FileTable>> {
        let TableState::Rows(reading) = self.state else { return Ok(None) };
        reading.finish(self.remarks)
    }
}

/// Returns the columns with their headings. A heading that is there twice gets a number.
fn named_columns(cells: &[(u32, Value)]) -> Vec<(u32, String)> {
    let mut names = HashSet::new();
    let mut columns = Vec::new();
    for (column, value) in cells {
        let text = value.to_string();
        let mut name = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() {
            name = letters(*column);
        }
        let numbered = (2..).map(|number| format!("{name} {number}"));
        let name = std::iter::once(name.clone()).chain(numbered).find(|name| names.insert(name.to_lowercase()));
        columns.extend(name.map(|name| (*column, name)));
    }
    columns
}

/// Returns the place of the row among `rows` whose texts are the headings of most fields.
fn find_headings(table: &str, rows: &[Row], mapping: &Mapping) -> Option<usize> {
    let mut best = None;
    for (place, row) in rows.iter().enumerate() {
        let columns = named_columns(&row.cells);
        if MendedColumns::of(&columns).is_some() {
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

fn is_text(row: &Row) -> bool {
    row.cells.iter().all(|(_, value)| matches!(value, Value::Text(_)))
}

/// Returns the column of a sheet that only lists part numbers, if the first row is its title: a text with two words of letters, or
/// one without digits.
fn title_of_list(rows: &[Row], table: &str, mapping: &Mapping) -> Option<Vec<(u32, String)>> {
    let first = rows.first()?;
    let [(column, Value::Text(title))] = &*first.cells else { return None };
    let is_list = rows.iter().all(|row| matches!(&*row.cells, [(other, _)] if other == column));
    let is_word = |word: &&str| word.chars().all(char::is_alphabetic);
    let is_title =
        title.split_whitespace().filter(is_word).count() >= 2 || !title.contains(|c: char| c.is_ascii_digit());
    let columns = named_columns(&first.cells);
    let is_of_parts = Layout::of(&described_table(table, &columns), mapping)
        .is_some_and(|layout| matches!(layout.content, Content::Parts(_)));
    (is_list && is_title && is_of_parts).then_some(columns)
}

/// Returns whether a column may number the rows, as the databases do by which sheets are filled.
fn is_id(heading_text: &str) -> bool {
    matches!(heading(heading_text).as_str(), "ID" | "INDEXID" | "TXNID")
}

fn described_table(name: &str, columns: &[(u32, String)]) -> SourceTable {
    let column = |name: &String| SourceColumn { name: name.clone(), data_type: String::new() };
    SourceTable {
        name: name.to_owned(),
        stored_name: name.to_owned(),
        columns: columns.iter().map(|(_, name)| column(name)).collect(),
        ..SourceTable::default()
    }
}

impl RowsReading {
    fn new(name: &str, columns: Vec<(u32, String)>, context: &SheetContext<'_>) -> Result<Self> {
        let mended = MendedColumns::of(&columns);
        let is_of_file = |name: &str| mended.is_some() && REJECTED_ROW_COLUMNS.contains(&name);
        let ids = columns.iter().find(|(_, name)| is_id(name)).map(|(column, _)| (*column, Vec::new()));
        let columns: Vec<(u32, String)> = columns.into_iter().filter(|(_, name)| !is_of_file(name)).collect();
        let table = SourceTable {
            source: context.file.to_owned(),
            stored_name: format!("{}: {name}", context.file),
            has_1904_dates: context.has_1904_dates,
            is_mended: mended.is_some(),
            ..described_table(name, &columns)
        };
        let summed = match Layout::of(&table, context.mapping) {
            None => Vec::new(),
            Some(layout) => {
                let fields = layout.content.summed_fields().iter();
                fields.filter_map(|field| layout.position(field)).map(|position| columns[position].0).collect()
            }
        };
        Ok(Self {
            table,
            columns,
            mended,
            written: RowFileWriter::new()?,
            ids,
            merged: HashMap::new(),
            summed,
            filled_rows: 0,
        })
    }

    fn add(&mut self, mut row: Row, merged_cells: &HashMap<u32, Vec<Area>>) -> Result<()> {
        self.fill_merged_cells(&mut row, merged_cells);
        // Every row of a file of rejected rows names the source and the table, which are the same in all of them.
        if let (Some(mended), true) = (self.mended, self.written.is_empty()) {
            self.table.source = text_of(&row.cells, mended.source);
            self.table.name = text_of(&row.cells, mended.table);
        }
        for (column, _) in &row.cells {
            let is_of_file = self.mended.is_some_and(|mended| mended.contains(*column));
            if !is_of_file && !self.columns.iter().any(|(known, _)| known == column) {
                self.columns.push((*column, letters(*column)));
            }
        }
        if let Some((column, ids)) = &mut self.ids {
            match row.cells.iter().find(|(number, _)| number == column).map(|(_, value)| value) {
                Some(Value::Integer(id)) => ids.push(*id),
                Some(Value::Text(text)) if text.parse::<i64>().is_ok() => ids.extend(text.parse::<i64>().ok()),
                _ => self.ids = None,
            }
        }
        self.written.add(&row)
    }

    /// Gives a row the values of merged cells that begin above it, unless it is blank. Amounts are not repeated, since they would
    /// count twice.
    fn fill_merged_cells(&mut self, row: &mut Row, merged_cells: &HashMap<u32, Vec<Area>>) {
        self.merged.retain(|_, (_, last_row)| *last_row >= row.number);
        let mut is_filled = false;
        if !row.cells.is_empty() {
            for (column, (value, _)) in &self.merged {
                let is_blank = !row.cells.iter().any(|(number, _)| number == column);
                if is_blank && !self.summed.contains(column) {
                    row.cells.push((*column, value.clone()));
                    is_filled = true;
                }
            }
            row.cells.sort_by_key(|(column, _)| *column);
        }
        self.filled_rows += u64::from(is_filled);
        for merged in merged_cells.get(&row.number).into_iter().flatten() {
            if let Some((_, value)) = row.cells.iter().find(|(column, _)| *column == merged.first_column) {
                self.merged.insert(merged.first_column, (value.clone(), merged.last_row));
            }
        }
    }

    fn finish(self, mut remarks: Vec<String>) -> Result<Option<FileTable>> {
        let Self { mut table, mut columns, mended, written, ids, filled_rows, .. } = self;
        let mut rows = written.finish()?;
        if columns.is_empty() {
            return Ok(None);
        }
        if filled_rows > 0 {
            remarks.push(format!("{filled_rows} rows have the value of a merged cell that begins above them"));
        }
        if let Some((column, positions)) = ids {
            let mut distinct = HashSet::new();
            if positions.iter().all(|position| distinct.insert(*position)) && mended.is_none() {
                let name = columns.iter().find(|(number, _)| *number == column).map(|(_, name)| name.clone());
                remarks.push(format!("rows are known by their {}", name.unwrap_or_default()));
                rows.renumber(&positions);
                columns.retain(|(number, _)| *number != column);
            }
        }
        table.columns =
            columns.iter().map(|(_, name)| SourceColumn { name: name.clone(), data_type: String::new() }).collect();
        table.rows = rows.len() as u64;
        table.remarks = remarks;
        let places = columns.iter().enumerate().map(|(place, (column, _))| (*column, place)).collect();
        Ok(Some(FileTable { table, rows, places, mended }))
    }
}
