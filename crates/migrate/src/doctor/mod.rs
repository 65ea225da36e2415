//! Examines the databases and says what would fail, and what to do about it. `rotracker doctor` adds the other services.

mod database;
pub(crate) mod grants;
mod triggers;

use serde::Serialize;

pub use database::examine;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    /// It works, but it should be different.
    Warning,
    /// Requests or deployments fail because of it.
    Error,
}

/// The finding of a check: a line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub status: Status,
    /// The part that was checked, such as `database privileges`.
    pub check: String,
    /// What was found and, unless it is good, what to do.
    pub message: String,
}

impl Finding {
    pub fn ok(check: &str, message: impl Into<String>) -> Self {
        Self { status: Status::Ok, check: check.to_owned(), message: message.into() }
    }

    pub fn warning(check: &str, message: impl Into<String>) -> Self {
        Self { status: Status::Warning, check: check.to_owned(), message: message.into() }
    }

    pub fn error(check: &str, message: impl Into<String>) -> Self {
        Self { status: Status::Error, check: check.to_owned(), message: message.into() }
    }
}

/// The account with which the databases are examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// The one that serves requests.
    Service,
    /// The one that will serve requests of a stage that may not be deployed yet, so that its databases may be empty.
    NewService,
    /// The one that migrates.
    Migrator,
}
