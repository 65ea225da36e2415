//! Query parameters that several lists share. They arrive as text, so that each can be named when it is wrong.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use utoipa::IntoParams;

use super::{FieldProblems, ListId, PageStart};
use crate::{
    openapi::CursorText,
    values::{BoundedInt, Timestamp},
};

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

/// The query parameters of a page. They arrive as text, so that each can be named when it is wrong.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParameters {
    /// The most items to return; 50 by default, at most 100.
    #[param(value_type = Option<BoundedInt<1, { i64::MAX }>>, inline)]
    limit: Option<String>,
    /// How many items to skip at the start.
    #[param(value_type = Option<BoundedInt<0, { i64::MAX }>>, inline)]
    offset: Option<String>,
    /// The `nextCursor` of the page before, which had the same filters: instead of an `offset`.
    #[param(value_type = Option<CursorText>, inline)]
    cursor: Option<String>,
}

/// The part of a list that a request asks for. `P` is the place of an item in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<P> {
    /// The most rows to return.
    pub limit: i64,
    pub start: PageStart<P>,
    /// The list, which its cursors name.
    pub list: ListId,
}

impl<P: DeserializeOwned> Page<P> {
    /// Reads `parameters` for a page of `list`, and adds problems with them to `problems`.
    pub fn parse(problems: &mut FieldProblems, parameters: &PageParameters, list: ListId) -> Self {
        let PageParameters { limit, offset, cursor } = parameters;
        let limit = problems.parse("limit", limit.as_deref(), BoundedInt::<1, { i64::MAX }>::parse);
        Self {
            limit: limit.map_or(DEFAULT_LIMIT, BoundedInt::get).min(MAX_LIMIT),
            start: PageStart::parse(problems, offset.as_deref(), cursor.as_deref(), &list),
            list,
        }
    }
}

impl<P: DeserializeOwned> PageStart<P> {
    /// Reads `offset` or `cursor`, of which a request may have one, and adds problems with them to `problems`.
    pub fn parse(problems: &mut FieldProblems, offset: Option<&str>, cursor: Option<&str>, list: &ListId) -> Self {
        if offset.is_some() && cursor.is_some() {
            problems.add("cursor", "must not be there together with offset");
        }
        let offset = problems.parse("offset", offset, BoundedInt::<0, { i64::MAX }>::parse);
        match problems.parse("cursor", cursor, |cursor| list.place(cursor)) {
            Some(place) => Self::After(place),
            None => Self::Offset(offset.map_or(0, BoundedInt::get)),
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
