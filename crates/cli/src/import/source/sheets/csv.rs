//! .csv, .txt and .tsv

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    mem,
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
    let ends_with_line = ends_with_line(&mut file)?;
    file.seek(SeekFrom::Start(begin as u64)).map_err(fail)?;
    rows(reader(BufReader::with_capacity(1 << 16, file).chain(LAST_LINE), delimiter), is_utf_8, ends_with_line, output)
}

/// A line that is added to the file. If it does not come out as the last record, the file ends within quotation marks.
const LAST_LINE: &[u8] = b"\n\0end of file\n";

fn reader<R: Read>(text: R, delimiter: u8) -> csv::Reader<R> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text)
}

fn ends_with_line(file: &mut File) -> Result<bool> {
    let fail = |error: io::Error| io_failure(&error);
    let mut last = [0];
    if file.seek(SeekFrom::End(0)).map_err(fail)? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1)).map_err(fail)?;
    file.read_exact(&mut last).map_err(fail)?;
    Ok(matches!(last, [b'\n' | b'\r']))
}

/// Writes the records as rows. Empty lines are no records and are not counted.
fn rows(mut records: csv::Reader<impl Read>, is_utf_8: bool, ends_with_line: bool, output: &mut Output) -> Result<()> {
    let mut number = 0_u32;
    let mut fewest_fields = usize::MAX;
    let (mut record, mut next) = (csv::ByteRecord::new(), csv::ByteRecord::new());
    let mut read = |record: &mut csv::ByteRecord| {
        records.read_byte_record(record).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => io_failure(&error),
            _ => damaged(),
        })
    };
    read(&mut record)?;
    while record.len() != 1 || record[0] != LAST_LINE[1..LAST_LINE.len() - 1] {
        number = number.saturating_add(1);
        if !read(&mut next)? {
            bail!(
                "ends within quotation marks, which begin in row {number}: it was cut off, or a quotation mark is missing"
            );
        }
        let is_last = next.len() == 1 && next[0] == LAST_LINE[1..LAST_LINE.len() - 1];
        if is_last && !ends_with_line && fewest_fields != usize::MAX && record.len() < fewest_fields {
            bail!("was cut off: its last line has fewer columns than all others, and no line end");
        }
        fewest_fields = fewest_fields.min(record.len());
        if record.len() > MAX_FIELDS {
            bail!("has more than {MAX_FIELDS} columns in row {number}, which is more than Excel can show");
        }
        let mut cells = Vec::new();
        for (column, field) in (1..).zip(&record).filter(|(_, field)| !field.is_empty()) {
            if field.len() > MAX_CELL {
                bail!(
                    "has a cell with more than {MAX_CELL} bytes of text in row {number}: perhaps a quotation mark is missing"
                );
            }
            let text = if is_utf_8 {
                // The whole file is valid, unless it was changed in the meantime.
                String::from_utf8(field.to_vec()).map_err(|_| damaged())?
            } else {
                WINDOWS_1252.decode_without_bom_handling(field).0.into_owned()
            };
            cells.push((column, Value::Text(text)));
        }
        output.row(number, false, cells)?;
        mem::swap(&mut record, &mut next);
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

/// Returns the delimiter with which the largest share of records has the same number of fields, more than one. Of delimiters with
/// the same share it is the one that gives more fields.
fn delimiter(sample: &[u8], is_tab_likely: bool) -> u8 {
    let candidates = if is_tab_likely { *b"\t,;" } else { *b",;\t" };
    let mut best = (candidates[0], (0, 0));
    for candidate in candidates {
        let mut counts: HashMap<usize, usize> = HashMap::new();
        let mut records = reader(sample, candidate);
        let mut record = csv::ByteRecord::new();
        let mut all = 0;
        while matches!(records.read_byte_record(&mut record), Ok(true)) {
            all += 1;
            *counts.entry(record.len()).or_default() += 1;
        }
        let most =
            counts.into_iter().filter(|(fields, _)| *fields > 1).max_by_key(|(fields, records)| (*records, *fields));
        let Some((fields, records)) = most else { continue };
        let score = (1_000 * records / all, fields);
        if score > best.1 {
            best = (candidate, score);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_the_one_that_splits_most_records_alike() {
        for (sample, expected) in [
            ("a,b\n1,2\n", b','),
            ("Name;Cost\nA;1,50\nB;2,50\n", b';'),
            ("a\tb\n1,5\t2\n", b'\t'),
            ("a\nb\n", b','),
            ("\"a;b\",c\n\"d;e\",f\n", b','),
            ("RO,NOTES\n1,\"a; b\nc; d\ne; f\"\n2,\"g; h\"\n", b','),
            ("Title\nName;Notes\nA;b,c,d\nE;f,g,h\nI;j\n", b';'),
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
