//! The database: configuration, a pool fit for Lambda, and transactions that are retried where that is safe.

pub mod adoption;
mod config;
mod failure;
mod page;
mod pool;
mod transaction;

pub use config::{DatabaseConfig, TlsMode, connect_options};
pub use failure::{Failure, classify, is_duplicate_key, is_lock_refused, is_missing_table};
pub use page::{PageRow, PagedTable, push_period};
pub use pool::{Connection, Pool};
pub use transaction::{Transaction, retry};
