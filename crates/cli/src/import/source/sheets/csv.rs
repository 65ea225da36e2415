//! .csv, .txt and .tsv
//!
//! The crate `csv` skips empty lines, which Excel counts as rows, and does not tell whether a file ends within quotation marks.
//! So this file finds the fields itself.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use anyhow::{Result, bail};
use encoding_rs::WINDOWS_1252;

use super::{
    output::{MAX_CELL, Output},
    process::{damaged, io_failure},
    protocol::Sheet,
};
use crate::import::Value;

/// The bytes at the beginning that decide about the delimiter.
const SAMPLE: u64 = 1 << 16;
/// The most columns of a line, as in Excel.
const MAX_FIELDS: usize = 16_384;
const UTF_8_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// Writes the file as one sheet.
pub(super) fn read(mut file: File, path: &Path, output: &mut Output) -> Result<()> {
    let is_utf_8 = is_utf_8(&mut file)?;
    let mut sample = Vec::new();
    let fail = |error: io::Error| io_failure(&error);
    file.seek(SeekFrom::Start(0)).map_err(fail)?;
    (&file).take(SAMPLE).read_to_end(&mut sample).map_err(fail)?;
    let mark = if sample.starts_with(&UTF_8_MARK) { UTF_8_MARK.len() } else { 0 };
    let (delimiter, begin) = match separator_line(&sample[mark..]) {
        Some((delimiter, length)) => (delimiter, mark + length),
        None => (delimiter(&sample[mark..], is_tab_likely(path)), mark),
    };
    file.seek(SeekFrom::Start(begin as u64)).map_err(fail)?;
    output.begin_sheet(Sheet {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        is_hidden: false,
        tables: Vec::new(),
        merged_cells: Vec::new(),
        has_1904_dates: false,
    })?;
    rows(Records::new(BufReader::with_capacity(1 << 16, file), delimiter), is_utf_8, output)
}

fn rows(mut records: Records<impl BufRead>, is_utf_8: bool, output: &mut Output) -> Result<()> {
    let mut number = 0_u32;
    let mut fewest_fields = usize::MAX;
    while let Some(end) = records.read()? {
        number = number.saturating_add(1);
        let fields = records.fields();
        let is_blank = records.text.is_empty() && fields.len() == 1;
        match end {
            End::WithinQuotes => bail!(
                "ends within quotation marks, which begin in row {number}: it was cut off, or a quotation mark is missing"
            ),
            End::File if !is_blank && fewest_fields != usize::MAX && fields.len() < fewest_fields => {
                bail!("was cut off: its last line has fewer columns than all others, and no line end")
            }
            End::Line | End::File => {}
        }
        if !is_blank {
            fewest_fields = fewest_fields.min(fields.len());
        }
        let mut cells = Vec::new();
        for (column, field) in (1..).zip(fields).filter(|(_, field)| !field.is_empty()) {
            let text = if is_utf_8 {
                // The whole file is valid, unless it was changed in the meantime.
                String::from_utf8(field.to_vec()).map_err(|_| damaged())?
            } else {
                WINDOWS_1252.decode_without_bom_handling(field).0.into_owned()
            };
            cells.push((column, Value::Text(text)));
        }
        output.row(number, false, cells)?;
    }
    Ok(())
}

/// Reads the whole file, and returns whether it is UTF-8. Other files are taken for Windows-1252, in which Excel saves CSV files
/// in America and Western Europe.
///
/// # Errors
/// When the file is UTF-16 or no text.
fn is_utf_8(file: &mut File) -> Result<bool> {
    let mut chunk = vec![0; 1 << 16];
    let (mut is_utf_8, mut is_first, mut kept) = (true, true, 0);
    loop {
        let length = match file.read(&mut chunk[kept..]) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(io_failure(&error)),
        };
        let bytes = &chunk[..kept + length];
        if is_first && (bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF])) {
            bail!("is a text in UTF-16, which is not read: open it in Excel and save it as \"CSV UTF-8\"");
        }
        is_first = false;
        if bytes.contains(&0) {
            bail!("is no CSV file, although its name says so: open it in Excel and save it as \"CSV UTF-8\"");
        }
        if length == 0 {
            // Bytes that are left are the beginning of a character without its end.
            return Ok(is_utf_8 && kept == 0);
        }
        kept = match std::str::from_utf8(bytes) {
            Ok(_) => 0,
            Err(error) if error.error_len().is_none() && is_utf_8 => {
                let valid = error.valid_up_to();
                let rest = bytes.len() - valid;
                chunk.copy_within(valid..valid + rest, 0);
                rest
            }
            Err(_) => {
                is_utf_8 = false;
                0
            }
        };
    }
}

/// Reads Excel's own first line `sep=;`. Returns the delimiter and the length of the line.
fn separator_line(text: &[u8]) -> Option<(u8, usize)> {
    let length = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| end + 1);
    let line = text[..length].trim_ascii_end();
    // A tab at the end is the delimiter.
    let line = if line.len() == 4 && text.get(4) == Some(&b'\t') { &text[..5] } else { line };
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    match line {
        [s, e, p, b'=', delimiter] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") && delimiter.is_ascii() => {
            Some((*delimiter, length))
        }
        _ => None,
    }
}

fn is_tab_likely(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"))
}

/// Returns the delimiter that splits the most records into the same number of fields, more than one.
fn delimiter(sample: &[u8], is_tab_likely: bool) -> u8 {
    let candidates = if is_tab_likely { *b"\t,;" } else { *b",;\t" };
    let is_whole = (sample.len() as u64) < SAMPLE - UTF_8_MARK.len() as u64;
    let mut best = (candidates[0], 0);
    for candidate in candidates {
        let mut counts: HashMap<usize, usize> = HashMap::new();
        let mut records = Records::new(sample, candidate);
        while let Ok(Some(end)) = records.read() {
            let fields = records.fields().len();
            if fields > 1 && (is_whole || matches!(end, End::Line)) {
                *counts.entry(fields).or_default() += 1;
            }
        }
        let most = counts.into_values().max().unwrap_or(0);
        if most > best.1 {
            best = (candidate, most);
        }
    }
    best.0
}

/// How a record ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Line,
    File,
    WithinQuotes,
}

/// Splits text into records and fields, as Excel does: quotation marks count at the beginning of a field only, and all kinds of line
/// ends are known.
struct Records<R> {
    reader: R,
    delimiter: u8,
    /// The number of the record, from 1.
    number: u32,
    /// The fields of the last record, one after another.
    text: Vec<u8>,
    /// Where in `text` each of the fields ends.
    ends: Vec<usize>,
}

impl<R: BufRead> Records<R> {
    fn new(reader: R, delimiter: u8) -> Self {
        Self { reader, delimiter, number: 0, text: Vec::new(), ends: Vec::new() }
    }

    /// Returns the fields of the record that was read last.
    fn fields(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.ends.iter().enumerate().map(|(index, end)| {
            let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.text[begin..*end]
        })
    }

    /// Reads a record. Returns `None` after the last one.
    ///
    /// # Errors
    /// When a field or the record is too long.
    fn read(&mut self) -> Result<Option<End>> {
        self.text.clear();
        self.ends.clear();
        let Some(mut byte) = self.next()? else { return Ok(None) };
        self.number = self.number.saturating_add(1);
        loop {
            // One turn reads one field, from its first byte to the delimiter or the end of the record.
            let begin = self.text.len();
            let mut next = Some(byte);
            if byte == b'"' {
                loop {
                    match self.next()? {
                        None => {
                            self.ends.push(self.text.len());
                            return Ok(Some(End::WithinQuotes));
                        }
                        Some(b'"') => {
                            next = self.next()?;
                            if next != Some(b'"') {
                                break;
                            }
                            self.push(b'"', begin)?;
                        }
                        Some(other) => self.push(other, begin)?,
                    }
                }
            }
            let end = loop {
                match next {
                    None => break Some(End::File),
                    Some(b'\n') => break Some(End::Line),
                    Some(b'\r') => {
                        if self.peek()? == Some(b'\n') {
                            self.reader.consume(1);
                        }
                        break Some(End::Line);
                    }
                    Some(other) if other == self.delimiter => break None,
                    Some(other) => self.push(other, begin)?,
                }
                next = self.next()?;
            };
            self.ends.push(self.text.len());
            if self.ends.len() > MAX_FIELDS {
                bail!("has more than {MAX_FIELDS} columns in row {}, which is more than Excel can show", self.number);
            }
            if end.is_some() {
                return Ok(end);
            }
            match self.next()? {
                Some(first) => byte = first,
                None => {
                    // The file ends after a delimiter, and so with an empty field.
                    self.ends.push(self.text.len());
                    return Ok(Some(End::File));
                }
            }
        }
    }

    fn push(&mut self, byte: u8, begin: usize) -> Result<()> {
        if self.text.len() - begin >= MAX_CELL {
            bail!(
                "has a cell with more than {MAX_CELL} bytes of text in row {}: perhaps a quotation mark is missing",
                self.number
            );
        }
        self.text.push(byte);
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            match self.reader.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_failure(&error)),
            }
        }
    }

    fn next(&mut self) -> Result<Option<u8>> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.reader.consume(1);
        }
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<(Vec<String>, End)> {
        let mut records = Records::new(text.as_bytes(), b',');
        let mut found = Vec::new();
        while let Some(end) = records.read().unwrap() {
            let fields = records.fields().map(|field| String::from_utf8(field.to_vec()).unwrap());
            found.push((fields.collect(), end));
        }
        found
    }

    #[test]
    fn fields_are_split_as_excel_does() {
        for (text, expected) in [
            ("a,b\n", vec![(vec!["a", "b"], End::Line)]),
            ("a,b", vec![(vec!["a", "b"], End::File)]),
            ("a,\r\n,", vec![(vec!["a", ""], End::Line), (vec!["", ""], End::File)]),
            ("\n\n", vec![(vec![""], End::Line), (vec![""], End::Line)]),
            ("a\rb\r", vec![(vec!["a"], End::Line), (vec!["b"], End::Line)]),
            ("\"a,\r\n\"\"b\"\"\",c\n", vec![(vec!["a,\r\n\"b\"", "c"], End::Line)]),
            ("3\" bolt,\"x\"y\n", vec![(vec!["3\" bolt", "xy"], End::Line)]),
            ("\"\"\n", vec![(vec![""], End::Line)]),
            ("a,\"b\n", vec![(vec!["a", "b\n"], End::WithinQuotes)]),
        ] {
            let found = records(text);
            let found: Vec<_> =
                found.iter().map(|(fields, end)| (fields.iter().map(String::as_str).collect(), *end)).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn the_delimiter_is_the_one_that_splits_most_records_alike() {
        for (sample, expected) in [
            ("a,b\n1,2\n", b','),
            ("Name;Cost\nA;1,50\nB;2,50\n", b';'),
            ("a\tb\n1,5\t2\n", b'\t'),
            ("a\nb\n", b','),
            ("\"a;b\",c\n\"d;e\",f\n", b','),
            ("", b','),
        ] {
            assert_eq!(delimiter(sample.as_bytes(), false), expected, "{sample:?}");
        }
        assert_eq!(delimiter(b"a\tb\n", true), b'\t');
        assert_eq!(separator_line(b"sep=;\r\na;b"), Some((b';', 7)));
        assert_eq!(separator_line(b"\"SEP=|\"\na|b"), Some((b'|', 8)));
        assert_eq!(separator_line(b"sep=\t\r\na\tb"), Some((b'\t', 7)));
        assert_eq!(separator_line(b"separator\n"), None);
    }
}
