//! Values that requests and columns carry, parsed at the door: code behind it takes a [`Money`], never a string.

mod day;
mod moment;
mod money;
mod number;
mod text;

pub use day::{Day, StoredDay};
pub use moment::Moment;
pub use money::Money;
pub use number::{Whole, parse_id, whole_of};
pub use text::{BoundedText, LongText, Text, Trimmed, deserialize_str};
