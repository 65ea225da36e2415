//! Query parameters that several lists share. They arrive as text, so that each can be named when it is wrong.

use serde::{Deserialize, Deserializer};

use super::FieldProblems;
use crate::values::{BoundedInt, Timestamp};

/// The rows of a page unless a request asks for another number.
const DEFAULT_LIMIT: i64 = 50;

/// The most rows of a page. A larger `limit` is lowered to this, and the response shows the lowered one.
const MAX_LIMIT: i64 = 100;

/// Reads a filter as trimmed text. For serde's `deserialize_with`, in a struct with `#[serde(default)]`.
///
/// # Errors
/// When it is not text.
pub fn trimmed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(String::deserialize(deserializer)?.trim().to_owned()))
}

/// The part of a list that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The most rows to return.
    pub limit: i64,
    /// How many rows to skip before them.
    pub offset: i64,
}

impl Page {
    /// Reads `limit` and `offset`, and adds problems with them to `problems`.
    pub fn parse(problems: &mut FieldProblems, limit: Option<&str>, offset: Option<&str>) -> Self {
        let limit = problems.parse("limit", limit, BoundedInt::<1, { i64::MAX }>::parse);
        let offset = problems.parse("offset", offset, BoundedInt::<0, { i64::MAX }>::parse);
        Self {
            limit: limit.map_or(DEFAULT_LIMIT, BoundedInt::get).min(MAX_LIMIT),
            offset: offset.map_or(0, BoundedInt::get),
        }
    }
}

/// The time between two instants, both included. A missing one leaves that side open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
}

impl Period {
    /// Reads `startDate` and `endDate`, and adds problems with them to `problems`.
    pub fn parse(problems: &mut FieldProblems, start: Option<&str>, end: Option<&str>) -> Self {
        let start = problems.parse("startDate", start, Timestamp::parse_start);
        let end = problems.parse("endDate", end, Timestamp::parse_end);
        if start.zip(end).is_some_and(|(start, end)| end < start) {
            problems.add("endDate", "must not be before startDate");
        }
        Self { start, end }
    }
}
