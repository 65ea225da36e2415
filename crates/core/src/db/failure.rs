//! Classifies database errors by what a request can do about them.

use rustls::CertificateError;
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
    pub(super) const DATABASE_ACCESS_DENIED: u16 = 1044;
    pub(super) const ACCESS_DENIED: u16 = 1045;
    /// MariaDB's, for an account whose plugin takes no password.
    pub(super) const ACCESS_DENIED_WITHOUT_PASSWORD: u16 = 1698;
    pub(super) const UNKNOWN_DATABASE: u16 = 1049;
    pub(super) const UNKNOWN_COLUMN: u16 = 1054;
    pub(super) const HOST_NOT_PRIVILEGED: u16 = 1130;
    pub(super) const PASSWORD_MUST_CHANGE: u16 = 1820;
    pub(super) const PASSWORD_EXPIRED: u16 = 1862;
    pub(super) const ACCOUNT_LOCKED: u16 = 3118;
    pub(super) const ACCOUNT_LOCKED_MARIADB: u16 = 4151;
    pub(super) const SECURE_TRANSPORT_REQUIRED: u16 = 3159;
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

/// Returns advice for the log, if `error` has a cause that a person can remove: a wrong account, certificate, name or schema.
pub fn hint(error: &Error) -> Option<&'static str> {
    if let Some(error) = tls_error(error) {
        return tls_hint(error);
    }
    Some(match number(error)? {
        code::ACCESS_DENIED | code::ACCESS_DENIED_WITHOUT_PASSWORD => {
            "the server does not accept DB_USER and DB_PASSWORD: if the password was changed on the server or in the secret, deploy \
             with another SecretsRevision, because functions keep the password that the secret had when they were deployed"
        }
        code::PASSWORD_EXPIRED | code::PASSWORD_MUST_CHANGE => {
            "the password of DB_USER has expired on the server: set another one, put it into the secret, and deploy with another \
             SecretsRevision"
        }
        code::ACCOUNT_LOCKED | code::ACCOUNT_LOCKED_MARIADB => {
            "the account DB_USER is locked on the server: ALTER USER ... ACCOUNT UNLOCK"
        }
        code::DATABASE_ACCESS_DENIED => {
            "the account DB_USER has no privileges on this database: GRANT them, or check the DB_NAME_* variables"
        }
        code::UNKNOWN_DATABASE => "the server has no such database: check the DB_NAME_* variables, and create it",
        code::HOST_NOT_PRIVILEGED => {
            "the server accepts DB_USER from other addresses only: check the account's host and the server's allow list"
        }
        code::SECURE_TRANSPORT_REQUIRED => "the server accepts encrypted connections only: check DB_SSL_MODE",
        code::NO_SUCH_TABLE | code::UNKNOWN_COLUMN => {
            "the migrations of this version have not run on this database: run `rotracker migrate`"
        }
        _ => return None,
    })
}

/// Returns the error of TLS that `error` was made of.
fn tls_error(error: &Error) -> Option<&rustls::Error> {
    match error {
        Error::Io(error) => error.get_ref()?.downcast_ref(),
        Error::Tls(error) => error.downcast_ref(),
        _ => None,
    }
}

fn tls_hint(error: &rustls::Error) -> Option<&'static str> {
    let rustls::Error::InvalidCertificate(problem) = error else { return None };
    Some(match problem {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "no authority in DB_SSL_CA or DB_SSL_CA_CONTENT has signed the server's certificate: if the server has changed its \
             authority, add the certificate of the new one"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate of the server, or that of its authority, has expired: it must be renewed on the server"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: check the clocks of both machines"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name than DB_HOST: set DB_HOST to the name that the server's provider shows"
        }
        _ => return None,
    })
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
