//! The report of an import: `report.html` for people, `report.json` for programs, the rejected rows of each table in two forms, and
//! a summary for the terminal.
//!
//! Rows are written to files as they come, so a report takes little memory however many rows it has.

mod files;
mod groups;
mod page;
mod page_data;
mod rows;
mod text;
mod workbook;

use std::{collections::BTreeMap, fmt::Display, path::PathBuf};

use anyhow::Result;
use chrono::{DateTime, FixedOffset};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};

use self::{
    groups::{GroupReport, Groups},
    rows::SpooledRows,
    text::counted,
};
use super::{
    row_reader::Correction,
    source::{SourceRow, Value},
    target::{Class, Outcome},
};

pub use self::files::RejectedFiles;
pub(super) use self::files::{ReportFiles, encoded_name};

/// The result of an import or of a dry run.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub source: String,
    /// When the import began, in the time zone of the business.
    #[serde(serialize_with = "as_text")]
    pub started_at: DateTime<FixedOffset>,
    pub dry_run: bool,
    pub tables: Vec<TableReport>,
    /// Parts of the source that are not read, such as views, charts and comments.
    pub not_read: Vec<String>,
    /// Rows that an earlier run imported and that the source no longer has. They stay here.
    pub deleted_in_source: Vec<DeletedInSource>,
    /// The files with the rejected rows.
    pub rejected_files: Vec<RejectedFiles>,
    /// How many rows were rejected, corrected and so on for the same reason.
    groups: Groups,
    /// The rows that were rejected, skipped, corrected or updated, and those with a remark. They are kept only for the files of a
    /// report.
    rows: SpooledRows,
    /// The path of `report.html`.
    #[serde(skip)]
    pub page: Option<PathBuf>,
}

/// The result for a table.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableReport {
    pub table: String,
    /// The columns of the source.
    pub columns: Vec<String>,
    /// Whether the importer knows what the table holds.
    pub is_understood: bool,
    pub rows: u64,
    pub classes: BTreeMap<Class, u64>,
    pub sums: BTreeMap<String, SumReport>,
    /// The columns that no field of ours takes, with the number of rows that have a value in them. `import_rows` keeps them.
    pub unmapped_columns: BTreeMap<String, u64>,
    /// What a person should know about how the table was read, in sentences.
    pub remarks: Vec<String>,
}

/// The sum of a column.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SumReport {
    /// The sum over all rows of the source.
    #[serde(serialize_with = "as_text")]
    pub source: Decimal,
    /// The sum over the imported rows, as the source has them.
    #[serde(serialize_with = "as_text")]
    pub taken: Decimal,
    /// The sum over the same rows, with the values that the import stores.
    #[serde(serialize_with = "as_text")]
    pub stored: Decimal,
    /// The sum over the rows that were rejected or skipped.
    #[serde(serialize_with = "as_text")]
    pub left_out: Decimal,
    /// The sum that the database computes after the import over the rows that these became. None in a dry run.
    #[serde(serialize_with = "as_optional_text")]
    pub here: Option<Decimal>,
}

fn as_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_optional_text<S: Serializer>(amount: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
    amount.map(|amount| amount.to_string()).serialize(serializer)
}

/// A row of the source.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowReport {
    pub table: String,
    pub row: i64,
    pub class: Class,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<Correction>,
    /// The id of the row here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<i64>,
    /// The row as it was found: a text for each of the [`columns`](TableReport::columns), None for NULL.
    pub found: Vec<Option<String>>,
}

impl RowReport {
    fn new(table: &str, position: i64, row: &SourceRow, outcome: &Outcome) -> Self {
        let found = row.values.iter().map(|value| (*value != Value::Null).then(|| value.to_string()));
        Self {
            table: table.to_owned(),
            row: position,
            class: outcome.class,
            reason: outcome.reason.clone(),
            corrections: outcome.corrections.clone(),
            target: outcome.target,
            found: found.collect(),
        }
    }
}

/// A row that the source no longer has.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletedInSource {
    /// The kind of row.
    pub kind: String,
    pub row: i64,
    pub target: i64,
}

impl Report {
    pub(super) fn new(source: &str, started_at: DateTime<Tz>, dry_run: bool) -> Self {
        Self { source: source.to_owned(), started_at: started_at.fixed_offset(), dry_run, ..Self::default() }
    }

    /// Returns the number of rows of a class.
    pub fn count(&self, class: Class) -> u64 {
        self.tables.iter().filter_map(|table| table.classes.get(&class)).sum()
    }

    /// Reads the rows that the report names. Without files of a report there are none.
    ///
    /// # Errors
    /// When the file that keeps them cannot be read.
    pub fn rows(&self) -> Result<Vec<RowReport>> {
        self.rows.read()?.collect()
    }

    /// Counts what happened to a row.
    pub(super) fn count_groups(&mut self, outcome: &Outcome) {
        self.groups.count(outcome.class, outcome.reason.as_deref(), &outcome.corrections);
    }

    /// Returns the lines of the summary.
    pub fn summary(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for table in &self.tables {
            let classes: Vec<String> = Class::ALL
                .into_iter()
                .filter_map(|class| Some(format!("{} {}", table.classes.get(&class)?, class.name())))
                .collect();
            let counts = if classes.is_empty() { String::new() } else { format!(": {}", classes.join(", ")) };
            let unknown = if table.is_understood { "" } else { " (not understood)" };
            lines.push(format!("{}{unknown}: {}{counts}", table.table, counted(table.rows, "row", "rows")));
            for (column, sum) in &table.sums {
                let here = sum.here.map_or(String::new(), |here| format!(", stored now {here}"));
                lines.push(format!(
                    "    {column}: source {}, imported {} as {}, left out {}{here}",
                    sum.source, sum.taken, sum.stored, sum.left_out
                ));
            }
            lines.extend(table.remarks.iter().map(|remark| format!("    {remark}")));
            for (column, rows) in table.unmapped_columns.iter().filter(|(_, rows)| **rows > 0) {
                let values = counted(*rows, "value is", "values are");
                lines.push(format!("    RO Tracker has no field for {column}: its {values} kept, but not shown"));
            }
        }
        if !self.not_read.is_empty() {
            lines.push(format!("not read: {}", self.not_read.join(", ")));
        }
        if !self.deleted_in_source.is_empty() {
            lines.push(match self.deleted_in_source.len() {
                1 => "1 row that was imported earlier is no longer in the source; it stays here".to_owned(),
                rows => format!("{rows} rows that were imported earlier are no longer in the source; they stay here"),
            });
        }
        let would = if self.dry_run { "would be " } else { "" };
        let totals: Vec<String> =
            Class::ALL.into_iter().map(|class| format!("{} {would}{}", self.count(class), class.name())).collect();
        lines.push(format!("all tables: {}", totals.join(", ")));
        if let Some(page) = &self.page {
            lines.push(format!("the report is in {}", page.display()));
        }
        lines
    }
}
