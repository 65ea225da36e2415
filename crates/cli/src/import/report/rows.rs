//! The rows of a report while an import runs: a temporary file with a line of JSON for each.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write},
    path::Path,
};

use anyhow::{Context, Result};
use serde::{
    Serialize, Serializer,
    ser::{Error, SerializeSeq},
};
use serde_json::value::RawValue;

use super::RowReport;

/// Rows in a temporary file, which has no name and disappears with the program. By default there is no file and there are no rows.
#[derive(Debug, Default)]
pub(in crate::import) struct SpooledRows {
    file: Option<BufWriter<File>>,
}

impl SpooledRows {
    /// Keeps rows in a file in `directory`: that for temporary files may be in memory.
    pub(super) fn in_directory(directory: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(directory)
            .with_context(|| format!("no temporary file can be written into {}", directory.display()))?;
        Ok(Self { file: Some(BufWriter::new(file)) })
    }

    pub(super) fn add(&mut self, row: &RowReport) -> Result<()> {
        if let Some(file) = &mut self.file {
            serde_json::to_writer(&mut *file, row)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Writes out what is still in memory. Before this, readers do not find all rows.
    pub(super) fn flush(&mut self) -> Result<()> {
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        Ok(())
    }

    /// Reads the rows, one after the other.
    pub(super) fn read(&self) -> Result<impl Iterator<Item = Result<RowReport>>> {
        Ok(self.lines()?.map(|line| Ok(serde_json::from_str(&line?)?)))
    }

    fn lines(&self) -> Result<impl Iterator<Item = std::io::Result<String>>> {
        let mut file = self.file.as_ref().map(BufWriter::get_ref);
        if let Some(file) = &mut file {
            file.seek(SeekFrom::Start(0))?;
        }
        Ok(file.map(|file| BufReader::new(file).lines()).into_iter().flatten())
    }
}

/// Copies the lines, without reading all of them into memory.
impl Serialize for SpooledRows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(None)?;
        for line in self.lines().map_err(S::Error::custom)? {
            let line = line.map_err(S::Error::custom)?;
            rows.serialize_element(&RawValue::from_string(line).map_err(S::Error::custom)?)?;
        }
        rows.end()
    }
}
