//! The database: its configuration, a connection pool that survives Lambda's freezes, and the three ways in which requests
//! use it: [`read!`], [`transaction!`] and [`stream_rows`].

mod config;
mod failure;
mod pool;
mod query;
mod rows;
mod transaction;

pub use config::{DatabaseConfig, TlsMode, connect_options};
pub use failure::{Failure, classify, is_duplicate_key, is_lock_refused, is_missing_table};
pub use pool::{Connection, Pool};
pub use query::{push_limit, push_period};
pub use rows::{Statement, stream_rows};
pub use transaction::{Transaction, result_of, retry};

#[doc(inline)]
pub use crate::{read, transaction};
