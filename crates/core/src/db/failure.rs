//! Classifies database errors by what a request can do about them.

use sqlx::{Error, mysql::MySqlDatabaseError};

/// The kinds of database errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Another transaction holds a lock. This one was rolled back or can be, so it is safe to run it again.
    Contention,
    /// The connection was lost. The server rolls back what was not committed.
    ConnectionLost,
    /// No connection could be had.
    Unreachable,
    /// Running the statement again would not help.
    Other,
}

/// Server error numbers; they are the same on MySQL and MariaDB unless said.
mod code {
    pub(super) const LOCK_WAIT_TIMEOUT: u16 = 1205;
    pub(super) const DEADLOCK: u16 = 1213;
    pub(super) const DUPLICATE_ENTRY: u16 = 1062;
    pub(super) const DUPLICATE_ENTRY_WITH_KEY_NAME: u16 = 1586;
    /// MySQL's error for NOWAIT; MariaDB's is a lock wait timeout.
    pub(super) const LOCK_NOWAIT: u16 = 3572;
    pub(super) const NO_SUCH_TABLE: u16 = 1146;
    /// A text that the character set does not have, or a number that is none.
    pub(super) const INCORRECT_VALUE: u16 = 1366;
    pub(super) const TOO_MANY_CONNECTIONS: u16 = 1040;
    pub(super) const SERVER_SHUTDOWN: u16 = 1053;
    pub(super) const QUERY_INTERRUPTED: u16 = 1317;
    /// MariaDB's "Connection was killed".
    pub(super) const CONNECTION_KILLED: u16 = 1927;
    /// MariaDB: the row has changed since the snapshot was taken.
    pub(super) const RECORD_CHANGED: u16 = 1020;
    /// MySQL's "The client was disconnected by the server because of inactivity".
    pub(super) const CLIENT_INTERACTION_TIMEOUT: u16 = 4031;
}

fn number(error: &Error) -> Option<u16> {
    Some(error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?.number())
}

/// Returns the kind of `error`.
pub fn classify(error: &Error) -> Failure {
    match number(error) {
        Some(code::LOCK_WAIT_TIMEOUT | code::DEADLOCK | code::RECORD_CHANGED) => Failure::Contention,
        Some(
            code::SERVER_SHUTDOWN
            | code::QUERY_INTERRUPTED
            | code::CONNECTION_KILLED
            | code::CLIENT_INTERACTION_TIMEOUT,
        ) => Failure::ConnectionLost,
        Some(code::TOO_MANY_CONNECTIONS) => Failure::Unreachable,
        Some(_) => Failure::Other,
        None => match error {
            Error::Io(_) | Error::WorkerCrashed => Failure::ConnectionLost,
            // A connection that is lost between two packets of a result leaves a packet that cannot be parsed.
            Error::Protocol(_) => Failure::ConnectionLost,
            Error::PoolTimedOut | Error::PoolClosed | Error::Tls(_) => Failure::Unreachable,
            _ => Failure::Other,
        },
    }
}

/// Returns whether a unique key refused the row.
pub fn is_duplicate_key(error: &Error) -> bool {
    matches!(number(error), Some(code::DUPLICATE_ENTRY | code::DUPLICATE_ENTRY_WITH_KEY_NAME))
}

/// Returns whether the server refused a value: it does not fit its column or violates a key. By SQLSTATE, these are the classes 22
/// and 23.
pub fn is_refused_value(error: &Error) -> bool {
    let state = error.as_database_error().and_then(|error| error.code());
    state.is_some_and(|state| state.starts_with("22") || state.starts_with("23"))
        || number(error) == Some(code::INCORRECT_VALUE)
}

/// Returns whether a statement with NOWAIT met a lock.
pub fn is_lock_refused(error: &Error) -> bool {
    matches!(number(error), Some(code::LOCK_NOWAIT | code::LOCK_WAIT_TIMEOUT))
}

/// Returns whether a table that the statement names does not exist.
pub fn is_missing_table(error: &Error) -> bool {
    number(error) == Some(code::NO_SUCH_TABLE)
}
