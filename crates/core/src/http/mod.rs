//! HTTP: errors, extractors, parameters of lists, the layers around every router, streamed lists and CSV files.

mod actor;
mod base_path;
mod caller;
mod chunks;
mod conditional;
mod cors;
mod csv;
mod cursor;
mod error;
mod extract;
mod guards;
mod json_list;
mod json_response;
mod list_headers;
mod observe;
mod parameters;
mod prefixes;
mod stack;

pub use actor::Actor;
pub use base_path::BasePath;
pub use caller::{Administrator, Caller, NotAdministrator, RequestId};
pub use conditional::{Preconditions, entity_tag};
pub use csv::{Cell, Record, csv_chunks, csv_file};
pub use cursor::{ListId, PageStart, Placed};
pub use error::{ApiError, FieldProblems, NOT_CONFIGURED, TOKEN_UNCHECKABLE};
pub use extract::{Json, Path, Query, body_bytes, is_announced_too_large};
pub(crate) use extract::{json_bytes, parse_object};
pub use headers::ETag;
pub use json_list::{GroupedItem, PageSummary, Summary, json_array, json_groups, json_object, json_page};
pub use json_response::JsonResponse;
pub use list_headers::{ListRange, NEXT_CURSOR, TOTAL_COUNT};
pub use parameters::{Page, PageParameters, Period, trimmed};
pub use prefixes::{under_both_prefixes, under_each_prefix};
pub use stack::{BODY_LIMIT_BYTES, USER_ID, with_layers};
