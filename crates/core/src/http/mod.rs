//! HTTP without a domain's words: errors, extractors, the layers around every router, streamed lists.

mod error;
mod extract;
mod json_list;
mod observe;
mod prefixes;
mod stack;

pub use error::{ApiError, FieldProblems};
pub use extract::{Json, Path, Query};
pub use json_list::{Summary, json_array, json_object};
pub use prefixes::under_both_prefixes;
pub use stack::{BODY_LIMIT_BYTES, with_layers};
