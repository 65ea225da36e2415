//! Classifies database errors by what a request can do about them.

use rustls::CertificateError;
use sqlx::{Error, mysql::MySqlDatabaseError};

/// The kinds of database errors, by what happens to the request and to its connection. The response is 503 with `Retry-After` for all
/// but [`Other`](Self::Other).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Another transaction, or a change of a table, was in the way. This transaction was rolled back or can be, so the request runs it
    /// again, and keeps the connection.
    Contention,
    /// The connection is lost, or the statement was interrupted. The server rolls back what was not committed. The request runs its
    /// statements again on another connection.
    ConnectionLost,
    /// This server takes no changes, or no requests, as after a failover. The connection is closed, and those that are idle are not
    /// used again, so that the next requests connect to the server that has taken over.
    WrongServer,
    /// The server has run out of something of which the connection holds a part, such as memory. The connection is closed, which frees
    /// that part.
    Exhausted,
    /// The server cannot do it at the moment. The connection is kept, if there is one.
    Unavailable,
    /// The server, the account or the database is not set up as this program needs it. The text says how to mend that; it is for the
    /// log. The connection is closed, and those that are idle are not used again, because a session does not notice all privileges that
    /// are granted while it lasts.
    Misconfigured(&'static str),
    /// Running the statement again would not help. The response is 500, and the connection is kept.
    Other,
}

impl Failure {
    /// Returns whether the same statements may succeed if they are run again at once.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Contention | Self::ConnectionLost)
    }

    /// Returns whether the connection must not be used again.
    pub fn closes_connection(self) -> bool {
        matches!(self, Self::ConnectionLost | Self::WrongServer | Self::Exhausted | Self::Misconfigured(_))
    }

    /// Returns whether the change may have been saved nevertheless, if it is COMMIT that has failed. In the other cases the server has
    /// refused the commit and rolls back.
    pub fn may_have_committed(self) -> bool {
        matches!(self, Self::ConnectionLost | Self::Exhausted | Self::Unavailable)
    }
}

const WRONG_PASSWORD: Failure = Failure::Misconfigured(
    "the server does not accept DB_USER and DB_PASSWORD: if the password was changed on the server or in the secret, deploy with another \
     SecretsRevision, because functions keep the password that the secret had when they were deployed",
);
const PASSWORD_EXPIRED: Failure = Failure::Misconfigured(
    "the password of DB_USER has expired on the server: set another one, put it into the secret, and deploy with another SecretsRevision",
);
const ACCOUNT_LOCKED: Failure = Failure::Misconfigured(
    "the account DB_USER is locked on the server: ALTER USER ... ACCOUNT UNLOCK, or on MariaDB after too many wrong \
     passwords FLUSH PRIVILEGES",
);
const LOGIN_METHOD: Failure = Failure::Misconfigured(
    "the server does not offer the way in which DB_USER logs in: check the plugin of the account",
);
const NO_DATABASE_PRIVILEGES: Failure = Failure::Misconfigured(
    "the account DB_USER has no privileges on this database: GRANT them, or check the DB_NAME_* variables",
);
const MISSING_PRIVILEGE: Failure = Failure::Misconfigured(
    "the account DB_USER lacks a privilege that the error names: GRANT it, as migrations/accounts.sql does",
);
const MISSING_DEFINER: Failure = Failure::Misconfigured(
    "the account that created the triggers is missing on the server: create it again, as migrations/accounts.sql does",
);
const UNKNOWN_DATABASE: Failure =
    Failure::Misconfigured("the server has no such database: check the DB_NAME_* variables, and create it");
const HOST_NOT_PRIVILEGED: Failure = Failure::Misconfigured(
    "the server accepts DB_USER from other addresses only: check the account's host and the server's allow list",
);
const TLS_REQUIRED: Failure =
    Failure::Misconfigured("the server accepts encrypted connections only: check DB_SSL_MODE");

/// How to mend a database that lacks tables or columns.
const NOT_MIGRATED: &str = "the migrations of this version have not run on this database: run `rotracker migrate`";

/// The errors of servers that mean "not now", by number, with the servers' names for them. Numbers up to 1885 are the same on MySQL and
/// MariaDB; where a later one is of one server only, the other does not use it in statements of this program. All other errors are
/// [`Failure::Other`].
#[rustfmt::skip]
const SERVER_ERRORS: &[(u16, &str, Failure)] = &[
    (1020, "ER_CHECKREAD", Failure::Contention), // MariaDB: the row has changed since the snapshot was taken
    (1021, "ER_DISK_FULL", Failure::Unavailable),
    (1030, "ER_GET_ERRNO", Failure::ConnectionLost), // KILL in the middle of a read by InnoDB, or a fault of the disk
    (1036, "ER_OPEN_AS_READONLY", Failure::WrongServer),
    (1037, "ER_OUTOFMEMORY", Failure::Exhausted),
    (1038, "ER_OUT_OF_SORTMEMORY", Failure::Exhausted),
    (1040, "ER_CON_COUNT_ERROR", Failure::Unavailable), // too many connections
    (1041, "ER_OUT_OF_RESOURCES", Failure::Exhausted),
    (1042, "ER_BAD_HOST_ERROR", Failure::Unavailable), // the server cannot look up the client's address
    (1043, "ER_HANDSHAKE_ERROR", Failure::Unavailable),
    (1044, "ER_DBACCESS_DENIED_ERROR", NO_DATABASE_PRIVILEGES),
    (1045, "ER_ACCESS_DENIED_ERROR", WRONG_PASSWORD),
    (1047, "ER_UNKNOWN_COM_ERROR", Failure::WrongServer), // a node of a Galera cluster that has left it
    (1049, "ER_BAD_DB_ERROR", UNKNOWN_DATABASE),
    (1053, "ER_SERVER_SHUTDOWN", Failure::ConnectionLost),
    (1079, "ER_SHUTDOWN_COMPLETE", Failure::ConnectionLost),
    (1114, "ER_RECORD_FILE_FULL", Failure::Unavailable), // the disk or the tablespace is full
    (1129, "ER_HOST_IS_BLOCKED", Failure::Unavailable),
    (1130, "ER_HOST_NOT_PRIVILEGED", HOST_NOT_PRIVILEGED),
    (1135, "ER_CANT_CREATE_THREAD", Failure::Unavailable),
    (1142, "ER_TABLEACCESS_DENIED_ERROR", MISSING_PRIVILEGE),
    (1143, "ER_COLUMNACCESS_DENIED_ERROR", MISSING_PRIVILEGE),
    (1146, "ER_NO_SUCH_TABLE", Failure::Misconfigured(NOT_MIGRATED)),
    (1156, "ER_NET_PACKETS_OUT_OF_ORDER", Failure::ConnectionLost),
    (1158, "ER_NET_READ_ERROR", Failure::ConnectionLost),
    (1159, "ER_NET_READ_INTERRUPTED", Failure::ConnectionLost),
    (1160, "ER_NET_ERROR_ON_WRITE", Failure::ConnectionLost),
    (1161, "ER_NET_WRITE_INTERRUPTED", Failure::ConnectionLost),
    (1180, "ER_ERROR_DURING_COMMIT", Failure::Unavailable),
    (1203, "ER_TOO_MANY_USER_CONNECTIONS", Failure::Unavailable),
    (1205, "ER_LOCK_WAIT_TIMEOUT", Failure::Contention),
    (1206, "ER_LOCK_TABLE_FULL", Failure::Unavailable),
    (1213, "ER_LOCK_DEADLOCK", Failure::Contention),
    (1226, "ER_USER_LIMIT_REACHED", Failure::Unavailable),
    (1227, "ER_SPECIFIC_ACCESS_DENIED_ERROR", MISSING_PRIVILEGE),
    (1251, "ER_NOT_SUPPORTED_AUTH_MODE", LOGIN_METHOD),
    (1290, "ER_OPTION_PREVENTS_STATEMENT", Failure::WrongServer), // --read-only or --super-read-only
    (1317, "ER_QUERY_INTERRUPTED", Failure::ConnectionLost), // KILL QUERY, and on MySQL also KILL
    (1370, "ER_PROCACCESS_DENIED_ERROR", MISSING_PRIVILEGE),
    (1412, "ER_TABLE_DEF_CHANGED", Failure::Contention),
    (1449, "ER_NO_SUCH_USER", MISSING_DEFINER),
    (1461, "ER_MAX_PREPARED_STMT_COUNT_REACHED", Failure::Exhausted),
    (1524, "ER_PLUGIN_IS_NOT_LOADED", LOGIN_METHOD),
    (1615, "ER_NEED_REPREPARE", Failure::Contention),
    (1637, "ER_TOO_MANY_CONCURRENT_TRXS", Failure::Unavailable),
    (1689, "ER_LOCK_ABORTED", Failure::Contention),
    (1698, "ER_ACCESS_DENIED_NO_PASSWORD_ERROR", WRONG_PASSWORD), // MariaDB: the account's plugin takes no password
    (1792, "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION", Failure::WrongServer),
    (1820, "ER_MUST_CHANGE_PASSWORD", PASSWORD_EXPIRED),
    (1836, "ER_READ_ONLY_MODE", Failure::WrongServer),
    (1862, "ER_MUST_CHANGE_PASSWORD_LOGIN", PASSWORD_EXPIRED),
    (1874, "ER_INNODB_READ_ONLY", Failure::WrongServer),
    (1878, "ER_TEMP_FILE_WRITE_FAILURE", Failure::Unavailable),
    (1927, "ER_CONNECTION_KILLED", Failure::ConnectionLost), // MariaDB
    (1969, "ER_STATEMENT_TIMEOUT", Failure::Unavailable), // MariaDB: max_statement_time
    (3015, "ER_ENGINE_OUT_OF_MEMORY", Failure::Exhausted),
    (3019, "ER_INNODB_UNDO_LOG_FULL", Failure::Unavailable),
    (3024, "ER_QUERY_TIMEOUT", Failure::Unavailable), // MySQL: max_execution_time
    (3032, "ER_SERVER_OFFLINE_MODE", Failure::WrongServer),
    (3100, "ER_RUN_HOOK_ERROR", Failure::WrongServer), // MySQL: a node of a replication group that has left it
    (3101, "ER_TRANSACTION_ROLLBACK_DURING_COMMIT", Failure::Contention), // MySQL: another node has changed the same row
    (3118, "ER_ACCOUNT_HAS_BEEN_LOCKED", ACCOUNT_LOCKED), // MySQL
    (3159, "ER_SECURE_TRANSPORT_REQUIRED", TLS_REQUIRED), // MySQL
    (3168, "ER_SERVER_ISNT_AVAILABLE", Failure::WrongServer), // MySQL
    (3169, "ER_SESSION_WAS_KILLED", Failure::ConnectionLost), // MySQL
    (3170, "ER_CAPACITY_EXCEEDED", Failure::Exhausted), // MySQL: the memory of a statement
    (3572, "ER_LOCK_NOWAIT", Failure::Contention), // MySQL; on MariaDB NOWAIT ends with 1205
    (3675, "ER_DISK_FULL_NOWAIT", Failure::Unavailable), // MySQL
    (3879, "ER_DB_ACCESS_DENIED", NO_DATABASE_PRIVILEGES), // MySQL
    (3884, "ER_NO_SESSION_TEMP", Failure::Exhausted), // MySQL: the tablespaces of temporary tables
    (3955, "ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK", ACCOUNT_LOCKED), // MySQL
    (3985, "ER_MDL_OUT_OF_RESOURCES", Failure::Exhausted), // MySQL
    (3989, "ER_SCHEMA_READ_ONLY", Failure::WrongServer), // MySQL: a database that is being moved
    (4031, "ER_CLIENT_INTERACTION_TIMEOUT", Failure::ConnectionLost), // MySQL: wait_timeout
    (4081, "ER_DA_GLOBAL_CONN_LIMIT", Failure::Exhausted), // MySQL: the memory of all connections
    (4082, "ER_DA_CONN_LIMIT", Failure::Exhausted), // MySQL: the memory of this connection
    (4150, "ER_USER_IS_BLOCKED", ACCOUNT_LOCKED), // MariaDB: too many wrong passwords
    (4151, "ER_ACCOUNT_HAS_BEEN_LOCKED", ACCOUNT_LOCKED), // MariaDB
];

/// Numbers of errors that the program handles itself.
mod code {
    pub(super) const DUPLICATE_ENTRY: u16 = 1062;
    pub(super) const DUPLICATE_ENTRY_WITH_KEY_NAME: u16 = 1586;
    /// MySQL's error for NOWAIT; MariaDB's is a lock wait timeout.
    pub(super) const LOCK_NOWAIT: u16 = 3572;
    pub(super) const LOCK_WAIT_TIMEOUT: u16 = 1205;
    pub(super) const NO_SUCH_TABLE: u16 = 1146;
    pub(super) const UNKNOWN_COLUMN: u16 = 1054;
    /// A text that the character set does not have, or a number that is none.
    pub(super) const INCORRECT_VALUE: u16 = 1366;
}

/// Returns the number of an error of the server.
pub fn error_number(error: &Error) -> Option<u16> {
    Some(error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?.number())
}

/// Returns the kind of `error`.
pub fn classify(error: &Error) -> Failure {
    if let Some(number) = error_number(error) {
        let row = SERVER_ERRORS.iter().find(|(known, ..)| *known == number);
        return row.map_or(Failure::Other, |(.., failure)| *failure);
    }
    if let Some(hint) = tls_error(error).and_then(tls_hint) {
        return Failure::Misconfigured(hint);
    }
    match error {
        Error::Io(_) | Error::WorkerCrashed => Failure::ConnectionLost,
        // A connection that is lost between two packets of a result leaves a packet that cannot be parsed.
        Error::Protocol(_) => Failure::ConnectionLost,
        Error::PoolTimedOut | Error::PoolClosed | Error::Tls(_) => Failure::Unavailable,
        _ => Failure::Other,
    }
}

/// Returns advice for the log, if `error` has a cause that a person can remove: a wrong account, certificate, name or schema.
pub fn hint(error: &Error) -> Option<&'static str> {
    match classify(error) {
        Failure::Misconfigured(hint) => Some(hint),
        // It can also be a defect of ours, so the response is 500.
        _ => (error_number(error) == Some(code::UNKNOWN_COLUMN)).then_some(NOT_MIGRATED),
    }
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
    matches!(error_number(error), Some(code::DUPLICATE_ENTRY | code::DUPLICATE_ENTRY_WITH_KEY_NAME))
}

/// Returns whether the server refused a value: it does not fit its column or violates a key. By SQLSTATE, these are the classes 22
/// and 23.
pub fn is_refused_value(error: &Error) -> bool {
    let state = error.as_database_error().and_then(|error| error.code());
    state.is_some_and(|state| state.starts_with("22") || state.starts_with("23"))
        || error_number(error) == Some(code::INCORRECT_VALUE)
}

/// Returns whether a statement with NOWAIT met a lock.
pub fn is_lock_refused(error: &Error) -> bool {
    matches!(error_number(error), Some(code::LOCK_NOWAIT | code::LOCK_WAIT_TIMEOUT))
}

/// Returns whether a table that the statement names does not exist.
pub fn is_missing_table(error: &Error) -> bool {
    error_number(error) == Some(code::NO_SUCH_TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_listed_once_in_order() {
        for pair in SERVER_ERRORS.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{pair:?}");
        }
    }
}
