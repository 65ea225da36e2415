//! The JSON lines that `rotracker read-sheets` writes.

use chrono::NaiveDateTime;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::import::Value;

/// The most bytes of a line. [`super::output`] writes no longer ones.
pub(super) const MAX_LINE: u64 = 64 << 20;

/// A line.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Line {
    Item(Item),
    /// The last line of a file that was read to its end.
    End,
    /// The last line of a file that cannot be read: a sentence that begins with the name of the file.
    Failed(String),
}

/// A part of a file, in the order of the file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum Item {
    Sheet(Sheet),
    /// A row of the sheet before it.
    Row(Row),
    NotRead(NotRead),
}

/// A sheet of cells. Columns and rows are counted from 1, as in Excel.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Sheet {
    /// The name on the tab, or the name of a CSV file without its extension.
    pub name: String,
    pub is_hidden: bool,
    /// The tables that were made with Insert, Table.
    pub tables: Vec<Table>,
    pub merged_cells: Vec<Area>,
    /// Whether the workbook counts days from 1904. The dates of cells are right either way.
    pub has_1904_dates: bool,
}

/// A table within a sheet. The first row has the headings, unless they are switched off.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Table {
    pub name: String,
    pub has_headings: bool,
    pub first_row: u32,
    /// The last row before the row of totals, if there is one.
    pub last_row: u32,
    pub first_column: u32,
    pub last_column: u32,
}

/// A rectangle of cells.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Area {
    pub first_row: u32,
    pub last_row: u32,
    pub first_column: u32,
    pub last_column: u32,
}

/// A row that has at least one value.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Row {
    pub number: u32,
    /// Always false for .xls files, which [`NotRead`] says.
    pub is_hidden: bool,
    /// Columns with their values, from left to right. Empty cells are left out.
    #[serde(with = "cells")]
    pub cells: Vec<(u32, Value)>,
}

/// Something in the file that is not read, and why.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct NotRead {
    pub name: String,
    pub reason: String,
}

/// A value, such that the other side reads exactly the same one.
#[derive(Deserialize, Serialize)]
enum EncodedValue {
    Null,
    Text(String),
    Integer(i64),
    /// The bits of the number, because `serde_json` may read its decimal form as a neighbouring number.
    Double(u64),
    Decimal(String),
    DateTime(String),
    Error(String),
}

const DATE_TIME: &str = "%Y-%m-%dT%H:%M:%S%.f";

impl From<&Value> for EncodedValue {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Text(text) => Self::Text(text.clone()),
            Value::Integer(number) => Self::Integer(*number),
            Value::Double(number) => Self::Double(number.to_bits()),
            Value::Decimal(number) => Self::Decimal(number.to_string()),
            Value::DateTime(instant) => Self::DateTime(instant.format(DATE_TIME).to_string()),
            Value::Error(text) => Self::Error(text.clone()),
        }
    }
}

impl EncodedValue {
    fn decode(self) -> Option<Value> {
        Some(match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(text),
            Self::Integer(number) => Value::Integer(number),
            Self::Double(bits) => Value::Double(f64::from_bits(bits)),
            Self::Decimal(text) => Value::Decimal(text.parse::<Decimal>().ok()?),
            Self::DateTime(text) => Value::DateTime(NaiveDateTime::parse_from_str(&text, DATE_TIME).ok()?),
            Self::Error(text) => Value::Error(text),
        })
    }
}

mod cells {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::EncodedValue;
    use crate::import::Value;

    pub(super) fn serialize<S: Serializer>(cells: &[(u32, Value)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(cells.iter().map(|(column, value)| (column, EncodedValue::from(value))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(u32, Value)>, D::Error> {
        let encoded = Vec::<(u32, EncodedValue)>::deserialize(deserializer)?;
        let cells = encoded.into_iter().map(|(column, value)| Some((column, value.decode()?)));
        cells.collect::<Option<_>>().ok_or_else(|| D::Error::custom("a value cannot be decoded"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_as_it_was() {
        let instant = "2025-11-03T14:05:00.123456".parse().unwrap();
        let values = [
            Value::Text("a\"\n\u{0}ä".to_owned()),
            Value::Integer(i64::MIN),
            Value::Double(0.1 + 0.2),
            Value::Double(5e-324),
            Value::Double(f64::INFINITY),
            Value::Decimal("1.50".parse().unwrap()),
            Value::DateTime(instant),
            Value::Error("#N/A".to_owned()),
        ];
        let row = Row { number: 1, is_hidden: false, cells: (1..).zip(values).collect() };
        let read: Row = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
        assert_eq!(read, row);
    }
}
