//! Query parameters that several lists take. All arrive as text, so that each can be named when it is wrong.

use serde::{Deserialize, Deserializer};

use super::FieldProblems;
use crate::values::{Moment, Whole};

/// The rows of a page unless a request says otherwise, and at most; more is cut, and the answer says so (design,
/// reading 27).
const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 100;

/// The text of an optional filter without the blanks around it; a blank one, such as an empty field of a form, filters
/// nothing. For serde's `deserialize_with`, in a struct that is `default`.
///
/// # Errors
/// When it is no text.
pub fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?.trim().to_owned();
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many rows it holds at most.
    pub limit: i64,
    /// How many are left out before it.
    pub offset: i64,
}

impl Page {
    /// Reads `limit` and `offset`; notes what is wrong with them.
    pub fn parse(problems: &mut FieldProblems, limit: Option<&str>, offset: Option<&str>) -> Self {
        let limit = problems.parse("limit", limit, Whole::<1, { i64::MAX }>::parse);
        let offset = problems.parse("offset", offset, Whole::<0, { i64::MAX }>::parse);
        Self { limit: limit.map_or(DEFAULT_LIMIT, Whole::get).min(MAX_LIMIT), offset: offset.map_or(0, Whole::get) }
    }
}

/// The time between two instants, both of them in it; an absent one is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// The first instant.
    pub start: Option<Moment>,
    /// The last instant.
    pub end: Option<Moment>,
}

impl Period {
    /// Reads `startDate` and `endDate`; notes what is wrong with them.
    pub fn parse(problems: &mut FieldProblems, start: Option<&str>, end: Option<&str>) -> Self {
        let start = problems.parse("startDate", start, Moment::parse_start);
        let end = problems.parse("endDate", end, Moment::parse_end);
        if start.zip(end).is_some_and(|(start, end)| end < start) {
            problems.add("endDate", "must not be before startDate");
        }
        Self { start, end }
    }
}
