//! Workbooks and CSV files as a source. Each sheet, or each Excel table in a sheet that is known by its name, is a table of the
//! source. Its rows go to disk while they are read.
//!
//! | File | What it has |
//! |---|---|
//! | `sheet` | which tables a sheet has, and the rows above their headings |
//! | `headings` | which row has the headings |
//! | `rows` | the rows below them: merged cells, dates, and the numbers by which rows are known |
//! | `rejected_rows` | the columns of files with rejected rows |
//! | `row_file` | the rows on disk |

mod headings;
mod rejected_rows;
mod row_file;
mod rows;
mod sheet;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use rust_decimal::Decimal;

pub(in crate::import) use self::rejected_rows::REJECTED_ROW_COLUMNS;
use self::{rejected_rows::RejectedRowColumns, row_file::RowFile, sheet::SheetReading};
use super::{
    BATCH, Source, SourceColumn, SourceRow, SourceTable, Value,
    sheets::{Item, Row, SheetReader},
};
use crate::import::mapping::Mapping;

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
    rejected_row_columns: Option<RejectedRowColumns>,
}

impl FileSource {
    /// Reads files. `program` is `rotracker`, which reads each file in a process of its own.
    ///
    /// # Errors
    /// When a file cannot be read, or when two files, or two tables of a file, have one name.
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
                        self.add_tables(sheet.finish()?)?;
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
            self.add_tables(sheet.finish()?)?;
        }
        Ok(())
    }

    fn add_tables(&mut self, tables: Vec<FileTable>) -> Result<()> {
        for table in tables {
            let name = &table.table.stored_name;
            if self.tables.iter().any(|other| other.table.stored_name.eq_ignore_ascii_case(name)) {
                bail!("there are two tables called {name}; rename one of them");
            }
            self.tables.push(table);
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
        let rejected_row = self.rejected_row_columns.and_then(|columns| columns.rejected_row(&row.cells, &self.table));
        let mut values = vec![Value::Null; self.table.columns.len()];
        for (column, value) in row.cells {
            if let Some(place) = self.places.get(&column) {
                values[*place] = value;
            }
        }
        SourceRow { position, values, rejected_row }
    }
}

/// Returns the name of a file without its folder, under which later runs know its rows.
fn file_name(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}
