//! Reads parts of JSON that is passed on byte for byte.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The members of a content block or a tool that this program reads.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Block<'a> {
    #[serde(rename = "type", borrow)]
    pub(crate) kind: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) name: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) text: Option<&'a RawValue>,
    /// The input of a tool's call.
    #[serde(borrow)]
    pub(crate) input: Option<&'a RawValue>,
}

/// Reads a member. One that is missing or of another type is `None`.
pub(crate) fn read<'a, T: Deserialize<'a>>(json: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(json?.get()).ok()
}
