//! CSV files (RFC 4180) that are written while their rows are read, so that memory does not grow with the file.

use std::{borrow::Cow, pin::pin};

use async_stream::try_stream;
use axum::response::Response;
use bytes::Bytes;
use csv::{StringRecord, Terminator, Writer, WriterBuilder};
use futures_util::{Stream, TryStreamExt};
use http::{HeaderValue, header};

use super::{
    ApiError,
    chunks::{CHUNK_BYTES, respond_with_chunks},
};
use crate::values::{Day, Money, Timestamp};

/// The value of a cell; `None` is a blank cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'record> {
    Text(Option<&'record str>),
    /// A number or code that people know something by, such as a part number. It may consist of digits and is still a text.
    Identifier(Option<&'record str>),
    Integer(Option<i64>),
    Money(Option<Money>),
    Day(Option<Day>),
    Instant(Option<Timestamp>),
}

/// A row of a file.
pub trait Record {
    /// Returns the cells with their headings. All records of a file have the same headings.
    fn cells(&self) -> Vec<(&'static str, Cell<'_>)>;
}

/// Responds with a CSV file of the records in the stream that `records` opens. Browsers save it under `name`, which must be
/// printable ASCII without quotation marks. `blank` is any record and gives the headings, which a file without records has, too.
///
/// If the stream fails before the first chunk is full, the response is an ordinary error, after the retries that any read gets.
/// If it fails later, the connection is cut, so that the client gets no complete body.
///
/// # Errors
/// The error of the stream before the first chunk was full.
pub async fn csv_file<T, S>(name: &str, blank: &T, records: impl Fn() -> S) -> Result<Response, ApiError>
where
    T: Record + Send + 'static,
    S: Stream<Item = Result<T, ApiError>> + Send + 'static,
{
    let content_type = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")).map_err(ApiError::internal)?;
    let mut response = respond_with_chunks(content_type, || csv_chunks(blank, records())).await?;
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

/// Returns the bytes of the file that [`csv_file`] sends.
pub fn csv_chunks<T, S>(blank: &T, records: S) -> impl Stream<Item = Result<Bytes, ApiError>> + use<T, S>
where
    T: Record,
    S: Stream<Item = Result<T, ApiError>>,
{
    /// By the byte order mark Excel tells UTF-8 from the older encodings of Windows.
    const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

    let headings: StringRecord = blank.cells().into_iter().map(|(heading, _)| heading).collect();
    try_stream! {
        let mut records = pin!(records);
        let mut writer = csv_writer(BYTE_ORDER_MARK.to_vec());
        writer.write_record(&headings).map_err(ApiError::internal)?;
        let mut line = StringRecord::new();
        while let Some(record) = records.try_next().await? {
            line.clear();
            for (_, cell) in record.cells() {
                line.push_field(&text_of(cell));
            }
            writer.write_record(&line).map_err(ApiError::internal)?;
            if writer.get_ref().len() >= CHUNK_BYTES {
                let chunk = std::mem::replace(&mut writer, csv_writer(Vec::new()));
                yield Bytes::from(chunk.into_inner().map_err(ApiError::internal)?);
            }
        }
        yield Bytes::from(writer.into_inner().map_err(ApiError::internal)?);
    }
}

/// Returns a writer that continues `file`.
fn csv_writer(file: Vec<u8>) -> Writer<Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::CRLF).buffer_capacity(CHUNK_BYTES / 4).from_writer(file)
}

fn text_of(cell: Cell<'_>) -> Cow<'_, str> {
    fn shown<V: ToString>(value: Option<V>) -> Cow<'static, str> {
        value.map(|value| value.to_string()).unwrap_or_default().into()
    }
    match cell {
        Cell::Text(text) | Cell::Identifier(text) => without_formula(text.unwrap_or_default()),
        Cell::Integer(number) => shown(number),
        Cell::Money(amount) => shown(amount),
        Cell::Day(day) => shown(day.map(|Day(date)| date)),
        Cell::Instant(instant) => shown(instant),
    }
}

/// Returns `text` with an apostrophe before it if a spreadsheet could take it for a formula. A text that begins with an apostrophe
/// gets another one. So readers get every text back if they take an apostrophe away that one of these characters follows.
fn without_formula(text: &str) -> Cow<'_, str> {
    const FORMULA: [char; 7] = ['=', '+', '-', '@', '\'', '\t', '\r'];
    if text.starts_with(FORMULA) { format!("'{text}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[derive(Clone, Default)]
    struct Part {
        number: Option<String>,
        pieces: Option<i64>,
        price: Option<Money>,
        made: Option<Day>,
        seen: Option<Timestamp>,
    }

    impl Record for Part {
        fn cells(&self) -> Vec<(&'static str, Cell<'_>)> {
            vec![
                ("number", Cell::Identifier(self.number.as_deref())),
                ("pieces", Cell::Integer(self.pieces)),
                ("price", Cell::Money(self.price)),
                ("made", Cell::Day(self.made)),
                ("seen", Cell::Instant(self.seen)),
            ]
        }
    }

    async fn file(parts: Vec<Result<Part, ApiError>>) -> Result<Vec<Bytes>, ApiError> {
        csv_chunks(&Part::default(), stream::iter(parts)).try_collect().await
    }

    #[tokio::test]
    async fn every_kind_of_value_has_its_form() {
        let part = Part {
            number: Some("AN\"3\", 5\n".to_owned()),
            pieces: Some(-7),
            price: Money::parse("2500.5").ok(),
            made: Some(Day("2024-11-05".parse().unwrap())),
            seen: Some(Timestamp("2024-11-15T12:00:00Z".parse().unwrap())),
        };
        let file = file(vec![Ok(part), Ok(Part::default())]).await.unwrap().concat();
        let expected = "\u{feff}number,pieces,price,made,seen\r\n\
                        \"AN\"\"3\"\", 5\n\",-7,2500.50,2024-11-05,2024-11-15T12:00:00.000Z\r\n,,,,\r\n";
        assert_eq!(String::from_utf8(file).unwrap(), expected);
    }

    #[test]
    fn texts_that_could_be_formulas_get_an_apostrophe() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "'", "\t=1", "\r=1", "''x"] {
            assert_eq!(without_formula(text), format!("'{text}"));
        }
        for text in ["", "1=1", "a-b", " =1", "\n=1", "x'"] {
            assert_eq!(without_formula(text), text);
        }
    }

    #[tokio::test]
    async fn a_file_without_records_has_headings() {
        assert_eq!(file(Vec::new()).await.unwrap().concat(), "\u{feff}number,pieces,price,made,seen\r\n".as_bytes());
    }

    #[tokio::test]
    async fn chunks_are_small_and_come_before_the_last_record() {
        let part = Part { number: Some("x".repeat(100)), ..Part::default() };
        let parts = vec![part; 1_000];
        let chunks = file(parts.iter().cloned().map(Ok).collect()).await.unwrap();
        assert!(chunks.iter().all(|chunk| chunk.len() < 2 * CHUNK_BYTES));
        let failing = parts.into_iter().map(Ok).chain([Err(ApiError::MethodNotAllowed)]);
        let mut chunks = pin!(csv_chunks(&Part::default(), stream::iter(failing)));
        assert!(chunks.try_next().await.unwrap().is_some());
        assert!(chunks.try_collect::<Vec<_>>().await.is_err());
    }
}
