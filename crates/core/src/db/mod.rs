//! The database: its configuration, a connection pool that survives Lambda's freezes, and the three ways in which requests
//! use it: [`read!`], [`transaction!`] and [`stream_rows`].
//!
//! | Error | Retried |
//! |---|---|
//! | A deadlock, a lock wait or a lost connection in a read or a transaction | for 10 s, then the response is 503 |
//! | The connection is lost during COMMIT | no: the response is 503 and says that the outcome is unknown |
//! | The server refuses the connection while a frozen instance wakes | by the pool, see `pool` |
//! | No connection can be had | no: the response is 503 |
//! | The server is read-only, out of something, or misconfigured (see `failure`) | no: the response is 503 |
//! | A list or a file fails after its first part was sent | no: the response is cut, a list before its closing bracket |
//! | Any other error | no: the response is 500 |

mod comparison;
mod config;
mod failure;
mod pool;
mod query;
mod rows;
mod transaction;

pub use comparison::{Comparison, Difference};
pub use config::{DatabaseConfig, TlsMode, connect};
pub use failure::{
    Failure, classify, error_number, hint, is_duplicate_key, is_lock_refused, is_missing_table, is_refused_value,
};
pub use pool::{Connection, Pool};
pub use query::{NewestFirst, escape_like, inserted_ids, push_limit, push_list, push_older, push_period};
pub use rows::{RowReader, RowSource, Statement, stream_rows};
pub use transaction::{Transaction, result_of, retry};

#[doc(inline)]
pub use crate::{read, transaction};
