//! Searches by part number.

use app_core::{
    http::{Cell, Record},
    values::Timestamp,
};
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::IndexId;

/// A part that a search found, or a row of the index in an export.
#[derive(Clone, Debug, Default, PartialEq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FoundPart {
    /// The row of the index; null if only the table has the part.
    pub index_id: Option<IndexId>,
    /// The manufacturer's part number.
    pub part_number: String,
    /// The table that has the part.
    pub table_name: String,
    /// The id of the row in that table.
    pub row_id: i64,
    /// The serial number, from its table.
    pub serial_number: Option<String>,
    /// The pieces on the shelf; null if unknown.
    pub qty: Option<i64>,
    /// The condition, such as `SV`, `AR` or `OH`.
    pub condition: Option<String>,
    /// The shelf.
    pub location: Option<String>,
    /// A description of the part, from its table.
    pub description: Option<String>,
    /// The time at which the quantity was last changed, or the part was added to the index; null if unknown.
    pub last_seen: Option<Timestamp>,
}

/// A row of the index in a file. The headings are the names that its JSON has.
impl Record for FoundPart {
    fn cells(&self) -> Vec<(&'static str, Cell<'_>)> {
        use Cell::{Identifier, Instant, Integer, Text};
        let Self {
            index_id,
            part_number,
            table_name,
            row_id,
            serial_number,
            qty,
            condition,
            location,
            description,
            last_seen,
        } = self;
        vec![
            ("partNumber", Identifier(Some(part_number))),
            ("tableName", Text(Some(table_name))),
            ("rowId", Integer(Some(*row_id))),
            ("qty", Integer(*qty)),
            ("serialNumber", Identifier(serial_number.as_deref())),
            ("condition", Text(condition.as_deref())),
            ("location", Identifier(location.as_deref())),
            ("description", Text(description.as_deref())),
            ("lastSeen", Instant(*last_seen)),
            ("indexId", Integer(index_id.map(|IndexId(id)| id))),
        ]
    }
}

/// The way in which a search found parts: the first of these three that finds any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchMethod {
    /// The index has this number.
    Exact,
    /// The index has numbers that contain the text. At most 50 are returned.
    Like,
    /// The index has no such number, but the stock room or the bins have. At most 25 are returned of each.
    Direct,
}

/// The response to a search.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SearchAnswer)]
pub struct SearchResponse {
    /// The parts.
    pub results: Vec<FoundPart>,
    /// The number of parts in `results`.
    pub total_results: usize,
    /// The way in which they were found.
    pub search_method: SearchMethod,
}
