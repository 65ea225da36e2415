//! Rows of a sheet on disk, so that memory does not grow with what they hold.

use std::{
    fs::File,
    io::{BufWriter, Write},
    os::unix::fs::FileExt,
};

use anyhow::{Context, Result};

use super::super::sheets::Row;

/// Writes rows to a temporary file.
pub(super) struct RowFileWriter {
    file: BufWriter<File>,
    end: u64,
    rows: Vec<RowPlace>,
}

/// The place of a row in the file.
#[derive(Clone, Copy)]
struct RowPlace {
    position: i64,
    offset: u64,
    length: u32,
}

/// The rows of a table, in the order of their positions.
pub(super) struct RowFile {
    file: File,
    rows: Vec<RowPlace>,
}

impl RowFileWriter {
    /// Creates the file. The system deletes it when it is closed.
    ///
    /// # Errors
    /// When there is no place for temporary files.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            file: BufWriter::new(tempfile::tempfile().context("no temporary file can be written")?),
            end: 0,
            rows: Vec::new(),
        })
    }

    /// Adds a row. Its number is its position.
    ///
    /// # Errors
    /// When the disk is full.
    pub(super) fn add(&mut self, row: &Row) -> Result<()> {
        let position = row.number.into();
        let row = serde_json::to_vec(row)?;
        self.file.write_all(&row)?;
        self.rows.push(RowPlace { position, offset: self.end, length: u32::try_from(row.len())? });
        self.end += row.len() as u64;
        Ok(())
    }

    /// Ends writing.
    ///
    /// # Errors
    /// When the disk is full.
    pub(super) fn finish(self) -> Result<RowFile> {
        let file = self.file.into_inner().map_err(|error| error.into_error())?;
        Ok(RowFile { file, rows: self.rows })
    }
}

impl RowFile {
    /// Returns the number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Gives every row another position, in the order in which the rows were added, and sorts them by it.
    pub(super) fn renumber(&mut self, positions: &[i64]) {
        for (row, position) in self.rows.iter_mut().zip(positions) {
            row.position = *position;
        }
        self.rows.sort_by_key(|row| row.position);
    }

    /// Returns at most `limit` rows, from the first one after the position `after`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn after(&self, after: Option<i64>, limit: usize) -> Result<Vec<(i64, Row)>> {
        let start = after.map_or(0, |after| self.rows.partition_point(|row| row.position <= after));
        self.rows[start..].iter().take(limit).map(|row| self.read(*row)).collect()
    }

    /// Returns the row at a position, if there is one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn at(&self, position: i64) -> Result<Option<(i64, Row)>> {
        let found = self.rows.binary_search_by_key(&position, |row| row.position);
        found.ok().map(|row| self.read(self.rows[row])).transpose()
    }

    fn read(&self, row: RowPlace) -> Result<(i64, Row)> {
        let mut bytes = vec![0; row.length as usize];
        self.file.read_exact_at(&mut bytes, row.offset)?;
        Ok((row.position, serde_json::from_slice(&bytes)?))
    }
}
