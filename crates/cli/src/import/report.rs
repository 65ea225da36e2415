//! The report of an import: `report.json`, a file with the rejected rows of each table, and a summary for the terminal.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use super::{
    row_reader::Correction,
    source::{REJECTED_ROW_COLUMNS, SourceRow, SourceTable},
    target::{BatchRow, Class, Outcome},
};

/// The result of an import or of a dry run.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub source: String,
    pub dry_run: bool,
    pub tables: Vec<TableReport>,
    /// Views and other objects of the source, which were not read.
    pub not_read: Vec<String>,
    /// Rows that an earlier run imported and that the source no longer has. They stay here.
    pub deleted_in_source: Vec<DeletedInSource>,
    /// The rows that were rejected, skipped, corrected or updated, and those with a remark.
    pub rows: Vec<RowReport>,
}

/// The result for a table.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableReport {
    pub table: String,
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

fn as_text<S: Serializer>(amount: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

fn as_optional_text<S: Serializer>(amount: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
    amount.map(|amount| amount.to_string()).serialize(serializer)
}

/// A row of the source.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowReport {
    pub table: String,
    pub row: i64,
    pub class: Class,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<Correction>,
    /// The id of the row here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<i64>,
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
    /// Returns the number of rows of a class.
    pub fn count(&self, class: Class) -> u64 {
        self.tables.iter().filter_map(|table| table.classes.get(&class)).sum()
    }

    pub(super) fn add(&mut self, table: &str, row: i64, outcome: &Outcome) {
        let is_worth_saying = outcome.reason.is_some() || !outcome.corrections.is_empty();
        if is_worth_saying || outcome.class == Class::Updated {
            self.rows.push(RowReport {
                table: table.to_owned(),
                row,
                class: outcome.class,
                reason: outcome.reason.clone(),
                corrections: outcome.corrections.clone(),
                target: outcome.target,
            });
        }
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
            lines.push(format!("{}{unknown}: {} rows{counts}", table.table, table.rows));
            for (column, sum) in &table.sums {
                let here = sum.here.map_or(String::new(), |here| format!(", stored now {here}"));
                lines.push(format!(
                    "    {column}: source {}, imported {} as {}, left out {}{here}",
                    sum.source, sum.taken, sum.stored, sum.left_out
                ));
            }
            lines.extend(table.remarks.iter().map(|remark| format!("    {remark}")));
            for (column, rows) in table.unmapped_columns.iter().filter(|(_, rows)| **rows > 0) {
                lines.push(format!("    {column} is not mapped: {rows} values are kept in import_rows only"));
            }
        }
        if !self.not_read.is_empty() {
            lines.push(format!("not read, since they are no tables: {}", self.not_read.join(", ")));
        }
        if !self.deleted_in_source.is_empty() {
            lines.push(format!(
                "{} rows that were imported earlier are no longer in the source; they stay here",
                self.deleted_in_source.len()
            ));
        }
        let would = if self.dry_run { "would be " } else { "" };
        let totals: Vec<String> =
            Class::ALL.into_iter().map(|class| format!("{} {would}{}", self.count(class), class.name())).collect();
        lines.push(format!("all tables: {}", totals.join(", ")));
        lines
    }
}

/// The files of a report. No file of an earlier report is overwritten: the files of a later one have its number in their names.
pub(super) struct ReportFiles {
    directory: PathBuf,
    /// Empty for the first report of the directory, then `.2`, `.3` and so on.
    suffix: String,
    rejected: BTreeMap<String, csv::Writer<File>>,
}

impl ReportFiles {
    /// Prepares `directory` for a report.
    ///
    /// # Errors
    /// When it cannot be created or read.
    pub(super) fn new(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("{} cannot be created", directory.display()))?;
        let is_taken = |suffix: &str| directory.join(format!("report{suffix}.json")).exists();
        let mut suffix = String::new();
        let mut number = 1;
        while is_taken(&suffix) {
            number += 1;
            suffix = format!(".{number}");
        }
        // Two reports at once must not take one number.
        File::create_new(directory.join(format!("report{suffix}.json")))
            .with_context(|| format!("no report can be written into {}", directory.display()))?;
        Ok(Self { directory: directory.to_owned(), suffix, rejected: BTreeMap::new() })
    }

    /// Writes a rejected row whole: the columns of the source, then the table, the row and the reason.
    pub(super) fn reject(
        &mut self,
        table: &SourceTable,
        row: &SourceRow,
        batch_row: &BatchRow,
        reason: &str,
    ) -> Result<()> {
        let path = self.directory.join(format!("rejected-{}{}.csv", file_name(&table.name), self.suffix));
        let writer = match self.rejected.entry(table.name.clone()) {
            Entry::Occupied(writer) => writer.into_mut(),
            Entry::Vacant(rejected) => {
                let file = File::create_new(&path).with_context(|| format!("{} cannot be written", path.display()))?;
                let mut writer = csv::Writer::from_writer(file);
                let columns = table.columns.iter().map(|column| column.name.as_str());
                writer.write_record(columns.chain(REJECTED_ROW_COLUMNS))?;
                rejected.insert(writer)
            }
        };
        let values = row.values.iter().map(ToString::to_string);
        let digest = u128::from_be_bytes(batch_row.digests.content);
        writer.write_record(values.chain([
            table.source.clone(),
            table.name.clone(),
            batch_row.position.to_string(),
            format!("{digest:032x}"),
            reason.to_owned(),
        ]))?;
        Ok(())
    }

    /// Writes `report.json`.
    pub(super) fn finish(mut self, report: &Report) -> Result<()> {
        for writer in self.rejected.values_mut() {
            writer.flush()?;
        }
        let path = self.directory.join(format!("report{}.json", self.suffix));
        let mut file = BufWriter::new(File::create(&path)?);
        serde_json::to_writer_pretty(&mut file, report)?;
        file.write_all(b"\n")?;
        file.flush()?;
        Ok(())
    }
}

/// Returns the name of a table as a part of a file name. Other characters than letters, digits, `_` and `-` are written as URLs
/// write them, so that two tables never share a file.
pub(super) fn file_name(table: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');
    utf8_percent_encode(table, KEPT).to_string()
}
