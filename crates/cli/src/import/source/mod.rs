//! The sources of the importer: their tables, columns and rows.

mod database;
mod files;
pub mod sheets;
mod value;

use anyhow::Result;
use rust_decimal::Decimal;
use serde::ser::{Serialize, SerializeMap, Serializer};

pub(super) use database::{DatabaseAddress, DatabaseSource};
pub(super) use files::{FileSource, REJECTED_ROW_COLUMNS};
pub use value::Value;

use super::matching::RowDigest;

/// The most rows that are read, and written, at once.
pub(super) const BATCH: usize = 500;

/// A table of a source.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceTable {
    /// The name under which `import_rows` keeps the rows: that of the database or the file. It is the same in every run.
    pub(super) source: String,
    /// The name by which the table is known: without the prefix of tables that were moved aside.
    pub(super) name: String,
    /// The name that the source itself uses.
    pub(super) stored_name: String,
    pub(super) columns: Vec<SourceColumn>,
    /// The column whose whole numbers are the positions of rows. Without one, rows are numbered from 1.
    pub(super) position_column: Option<String>,
    /// The rows that the source itself counts.
    pub(super) rows: u64,
    /// Whether these are rejected rows of an earlier import that people have mended. Their `source` is that of the earlier import.
    pub(super) is_mended: bool,
    /// What a person should know about the table, in sentences: hidden rows, merged cells.
    pub(super) remarks: Vec<String>,
}

/// A column of a source.
#[derive(Clone, Debug)]
pub(super) struct SourceColumn {
    pub(super) name: String,
    /// The data type, in lower case.
    pub(super) data_type: String,
}

impl SourceColumn {
    /// Returns whether the source can add up the column by itself. It adds up the binary values of FLOAT, which are others than
    /// those that people see.
    pub(super) fn is_numeric(&self) -> bool {
        matches!(
            self.data_type.as_str(),
            "double" | "decimal" | "tinyint" | "smallint" | "mediumint" | "int" | "bigint"
        )
    }
}

/// A row of a source.
#[derive(Clone, Debug)]
pub(super) struct SourceRow {
    /// The value of the position column, or the number of the row.
    pub(super) position: i64,
    /// One value for each column.
    pub(super) values: Vec<Value>,
    /// The rejected row for which a mended row stands, if it names one.
    pub(super) rejected_row: Option<RejectedRow>,
}

/// A rejected row of an earlier import, as the file of rejected rows names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RejectedRow {
    pub(super) position: i64,
    /// The digest of its content.
    pub(super) digest: RowDigest,
}

/// A source of rows that does not change while it is read.
pub(super) trait Source {
    /// Returns the name that people know the source by.
    fn name(&self) -> &str;

    /// Lists the tables in the order in which they are read.
    async fn tables(&mut self) -> Result<Vec<SourceTable>>;

    /// Returns at most [`BATCH`] rows of `table` in the order of their positions, from the first one after `after`.
    async fn rows_after(&mut self, table: &SourceTable, after: Option<i64>) -> Result<Vec<SourceRow>>;

    /// Returns the rows of `table` at these positions, as far as they exist, in any order.
    async fn rows_at(&mut self, table: &SourceTable, positions: &[i64]) -> Result<Vec<SourceRow>>;

    /// Returns the sum of the numbers under `limit` in a numeric column, as the source adds them up.
    async fn sum(&mut self, table: &SourceTable, column: &SourceColumn, limit: Decimal) -> Result<Decimal>;

    /// Lists what the source has beside tables, such as views. It is not read.
    async fn other_objects(&mut self) -> Result<Vec<String>>;
}

/// A row as `import_rows` and reports show it: a JSON object of its columns, without the position column.
pub(super) struct Original<'row> {
    pub(super) table: &'row SourceTable,
    pub(super) row: &'row SourceRow,
}

impl Serialize for Original<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut columns = serializer.serialize_map(None)?;
        for (column, value) in self.table.columns.iter().zip(&self.row.values) {
            columns.serialize_entry(&column.name, value)?;
        }
        columns.end()
    }
}
