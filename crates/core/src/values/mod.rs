//! Values that requests and columns carry, parsed at the door: code behind it takes a [`Money`], never a string.

mod day;
mod money;
mod text;

pub use day::{Day, StoredDay};
pub use money::Money;
pub use text::{LongText, Text, deserialize_str};
