//! The files of a report.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest;
use serde::Serialize;

use super::{
    super::{
        source::{REJECTED_ROW_COLUMNS, SourceRow, SourceTable},
        target::{BatchRow, Class, Outcome},
    },
    Report, RowReport, groups, page,
    rows::SpooledRows,
    workbook::RejectedWorkbook,
};

/// The most rows that a list names one by one.
const MOST_NAMED: usize = 20;

/// The files with the rejected rows of a table.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectedFiles {
    pub table: String,
    /// The name of the file with all rows.
    pub csv: String,
    /// The name of the workbook, unless the table has more columns than Excel.
    pub workbook: Option<String>,
    pub rows: u64,
    /// How many of the rows are not in the workbook, because a text is longer than a cell of Excel may be.
    pub too_long_for_workbook: u64,
    /// The first of those.
    pub first_too_long: Vec<i64>,
}

/// The files of a report. No file of an earlier report is overwritten: the files of a later one have its number in their names.
pub(in crate::import) struct ReportFiles {
    directory: PathBuf,
    /// Empty for the first report of the directory, then `.2`, `.3` and so on.
    suffix: String,
    json: UnfinishedFile,
    rows: SpooledRows,
    /// The table that is being imported, once a row of it was rejected.
    open: Option<RejectedTable>,
    finished: Vec<RejectedFiles>,
}

/// A file that is deleted when this is dropped, unless it was finished.
struct UnfinishedFile(Option<PathBuf>);

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Nothing is lost if this fails: the file is empty or incomplete.
            let _ = fs::remove_file(path);
        }
    }
}

/// The files of a table with rejected rows while they are written.
struct RejectedTable {
    files: RejectedFiles,
    csv: csv::Writer<File>,
    workbook: Option<RejectedWorkbook>,
}

impl ReportFiles {
    /// Prepares `directory` for a report.
    ///
    /// # Errors
    /// When it cannot be created or read.
    pub(in crate::import) fn new(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("{} cannot be created", directory.display()))?;
        let mut taken = HashSet::new();
        for file in fs::read_dir(directory).with_context(|| format!("{} cannot be read", directory.display()))? {
            taken.extend(file?.file_name().to_str().and_then(suffix_of).map(str::to_owned));
        }
        let mut suffix = String::new();
        let mut number = 1;
        while taken.contains(&suffix) {
            number += 1;
            suffix = format!(".{number}");
        }
        let json = directory.join(format!("report{suffix}.json"));
        // Two reports at once must not take one number.
        File::create_new(&json).with_context(|| format!("no report can be written into {}", directory.display()))?;
        Ok(Self {
            directory: directory.to_owned(),
            suffix,
            json: UnfinishedFile(Some(json)),
            rows: SpooledRows::in_directory(directory)?,
            open: None,
            finished: Vec::new(),
        })
    }

    /// Writes down a row, if there is something to say about it. A rejected one is written whole. The rows of a table come one
    /// after the other. `title` is the name of the table in reports.
    pub(in crate::import) fn add(
        &mut self,
        title: &str,
        table: &SourceTable,
        row: &SourceRow,
        batch_row: &BatchRow,
        outcome: &Outcome,
    ) -> Result<()> {
        if groups::of(outcome.class, outcome.reason.as_deref(), &outcome.corrections).is_empty() {
            return Ok(());
        }
        self.rows.add(&RowReport::new(title, batch_row.position, row, outcome))?;
        if outcome.class == Class::Rejected {
            self.reject(title, table, row, batch_row, outcome.reason.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }

    fn reject(
        &mut self,
        title: &str,
        table: &SourceTable,
        row: &SourceRow,
        batch_row: &BatchRow,
        reason: &str,
    ) -> Result<()> {
        if self.open.as_ref().is_none_or(|open| open.files.table != title) {
            self.close_table()?;
            self.open = Some(self.create(title, table)?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let values = row.values.iter().map(ToString::to_string);
        let content = u128::from_be_bytes(batch_row.digests.content);
        let rejected_row = [
            table.source.clone(),
            table.name.clone(),
            batch_row.position.to_string(),
            format!("{content:032x}"),
            reason.to_owned(),
        ];
        let record: Vec<String> = values.chain(rejected_row).collect();
        open.csv.write_record(&record)?;
        open.files.rows += 1;
        if let Some(workbook) = &mut open.workbook
            && !workbook.add(&record)?
        {
            open.files.too_long_for_workbook += 1;
            if open.files.first_too_long.len() < MOST_NAMED {
                open.files.first_too_long.push(batch_row.position);
            }
        }
        Ok(())
    }

    /// Finishes the files of the table that is open. So only one table has open files, however many a source has.
    fn close_table(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        open.csv.flush()?;
        if let (Some(workbook), Some(name)) = (open.workbook, &open.files.workbook) {
            workbook.save(create_new(&self.directory.join(name))?)?;
        }
        self.finished.push(open.files);
        Ok(())
    }

    fn create(&self, title: &str, table: &SourceTable) -> Result<RejectedTable> {
        let stem = format!("rejected-{}{}", encoded_name(title), self.suffix);
        let csv = format!("{stem}.csv");
        let columns: Vec<&str> =
            table.columns.iter().map(|column| column.name.as_str()).chain(REJECTED_ROW_COLUMNS).collect();
        let mut file = create_new(&self.directory.join(&csv))?;
        // Without this mark, Excel takes the text for Windows-1252, and saves it so.
        file.write_all("\u{feff}".as_bytes())?;
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(&columns)?;
        let workbook = RejectedWorkbook::new(&self.directory, title, &columns)?;
        let files = RejectedFiles {
            table: title.to_owned(),
            csv,
            workbook: workbook.as_ref().map(|_| format!("{stem}.xlsx")),
            rows: 0,
            too_long_for_workbook: 0,
            first_too_long: Vec::new(),
        };
        Ok(RejectedTable { files, csv: writer, workbook })
    }

    /// Finishes the files with rejected rows, and writes `report.json` and `report.html`.
    pub(in crate::import) fn finish(mut self, report: &mut Report) -> Result<()> {
        self.close_table()?;
        self.rows.flush()?;
        report.rejected_files = self.finished;
        report.rows = self.rows;
        let json = format!("report{}.json", self.suffix);
        let mut file = BufWriter::new(File::create(self.directory.join(&json))?);
        serde_json::to_writer_pretty(&mut file, report)?;
        file.write_all(b"\n")?;
        file.flush()?;
        self.json.0 = None;
        let path = self.directory.join(format!("report{}.html", self.suffix));
        let mut file = BufWriter::new(create_new(&path)?);
        page::write(&mut file, report, &json)?;
        report.page = Some(path);
        file.flush()?;
        Ok(())
    }
}

fn create_new(path: &Path) -> Result<File> {
    File::create_new(path).with_context(|| format!("{} cannot be written", path.display()))
}

/// Returns the number in the name of a file of a report, with the dot before it, or nothing if it is of the first report. Files
/// with other names are not of reports.
fn suffix_of(file: &str) -> Option<&str> {
    let rest = file.strip_prefix("report").or_else(|| {
        let rest = file.strip_prefix("rejected-")?;
        Some(&rest[rest.find('.')?..])
    })?;
    let (suffix, ending) = rest.rsplit_once('.')?;
    ["json", "html", "csv", "xlsx"].contains(&ending).then_some(suffix)
}

/// Returns a name as a part of the name of a file. Other characters than letters, digits, `_` and `-` are written as URLs write
/// them. A long name is cut, and a digest of the whole follows. So two tables never share a file, and its name is never too long.
pub(in crate::import) fn encoded_name(name: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');
    const MOST_BYTES: usize = 150;
    let mut encoded = String::new();
    for character in name.chars() {
        let before = encoded.len();
        encoded.extend(utf8_percent_encode(character.encode_utf8(&mut [0; 4]), KEPT));
        if encoded.len() > MOST_BYTES {
            encoded.truncate(before);
            let digest = digest::digest(&digest::SHA256, name.as_bytes());
            return digest.as_ref().iter().take(4).fold(encoded + "-", |name, byte| format!("{name}{byte:02x}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_between_characters_and_stay_different() {
        assert_eq!(encoded_name("Bin_1 é"), "Bin_1%20%C3%A9");
        assert_eq!(encoded_name(&"x".repeat(150)), "x".repeat(150));
        let (long, other) = (encoded_name(&"é".repeat(99)), encoded_name(&"é".repeat(100)));
        assert_ne!(long, other);
        for name in [long, other] {
            assert!(name.starts_with(&("%C3%A9".repeat(25) + "-")) && name.len() == 159, "{name}");
        }
    }

    #[test]
    fn the_files_of_reports_have_their_numbers() {
        for (file, number) in [
            ("report.json", Some("")),
            ("report.2.html", Some(".2")),
            ("rejected-active.xlsx", Some("")),
            ("rejected-a%20b.12.csv", Some(".12")),
            ("rejected-active", None),
            ("active.csv", None),
        ] {
            assert_eq!(suffix_of(file), number, "{file}");
        }
    }
}
