//! Reads the CSV files that the service exports, as another program does.

use serde_json::Value;

/// A CSV file.
#[derive(Debug, PartialEq, Eq)]
pub struct CsvFile {
    pub headings: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl CsvFile {
    /// Reads `bytes`, which must be UTF-8 with a byte order mark and end with CRLF, and whose rows must have as many cells as headings.
    #[track_caller]
    pub fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).expect("the file is UTF-8");
        let text = text.strip_prefix('\u{feff}').expect("the file begins with a byte order mark");
        assert!(text.ends_with("\r\n"), "the last line has no end");
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let mut rows: Vec<Vec<String>> = reader
            .records()
            .map(|record| record.expect("all rows are alike").iter().map(str::to_owned).collect())
            .collect();
        Self { headings: rows.remove(0), rows }
    }

    /// The cells of a column, as they are in the file.
    #[track_caller]
    pub fn column(&self, heading: &str) -> Vec<&str> {
        let place = self.headings.iter().position(|found| found == heading).expect("there is such a column");
        self.rows.iter().map(|row| row[place].as_str()).collect()
    }

    /// Asserts that the file has these items of a list, each with all members but those in `left_out`.
    #[track_caller]
    pub fn assert_has(&self, items: &Value, left_out: &[&str]) {
        let items = items.as_array().expect("a list");
        assert_eq!(self.rows.len(), items.len());
        for (row, item) in self.rows.iter().zip(items) {
            let item = item.as_object().expect("the items are objects");
            let members: Vec<&String> = item.keys().filter(|name| !left_out.contains(&name.as_str())).collect();
            let mut headings: Vec<&String> = self.headings.iter().collect();
            headings.sort();
            assert_eq!(headings, members, "the headings are the members of the list's items");
            for (heading, cell) in self.headings.iter().zip(row) {
                assert_eq!(as_text(&item[heading]), text_of(cell), "{heading} of {item:?}");
            }
        }
    }
}

/// The text of a cell: without the apostrophe that keeps spreadsheets from taking it for a formula.
pub fn text_of(cell: &str) -> &str {
    let text = cell.strip_prefix('\'').filter(|text| text.starts_with(['=', '+', '-', '@', '\'', '\t', '\r']));
    text.unwrap_or(cell)
}

/// A member of a list's item as a file has it: days without the time, which is always midnight.
fn as_text(member: &Value) -> String {
    match member {
        Value::Null => String::new(),
        Value::String(text) => text.strip_suffix("T00:00:00.000Z").unwrap_or(text).to_owned(),
        other => other.to_string(),
    }
}
