//! Values that requests and columns carry, parsed at the door: code behind it takes a [`Money`], never a string.

mod day;
mod integer;
mod money;
mod text;
mod timestamp;

pub use day::{Day, StoredDay};
pub use integer::{BoundedInt, exact_integer, parse_id};
pub use money::Money;
pub use text::{BoundedText, LongText, Text, Trimmed, deserialize_str};
pub use timestamp::Timestamp;
