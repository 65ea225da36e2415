//! Values of requests and columns. They are parsed where requests are read, so that other code takes a [`Money`] and never a string.

mod blank;
mod characters;
mod day;
mod integer;
mod money;
mod text;
mod timestamp;

pub use blank::blank_as_none;
pub use characters::{capital, is_invisible, plain_dash, significant_characters};
pub use day::{Day, RequestDay, StoredDay};
pub use integer::{BoundedInt, exact_integer, parse_id};
pub use money::Money;
pub use text::{BoundedText, LongText, NormalizedText, Text, TrimmedText, deserialize_str};
pub use timestamp::Timestamp;
