//! Reads parts of JSON that is passed on byte for byte.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Reads a member. One that is missing or of another type is `None`.
pub(crate) fn read<'a, T: Deserialize<'a>>(json: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(json?.get()).ok()
}
