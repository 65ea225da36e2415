//! `rotracker migrate`: creates the databases and brings their schema up to date.

use ::migrate::Run;
pub use ::migrate::{Databases, MOVED_ASIDE, our_tables};
use anyhow::Result;
use app_core::config::Env;

use crate::output::print;

/// The options of `rotracker migrate`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// List the migrations that would be applied and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Migrates the databases that the environment names.
///
/// # Errors
/// When a database cannot be reached or must not be migrated. The error says why and what to do.
pub async fn run(options: Options) -> Result<()> {
    let databases = Databases::read(Env::of_process())?;
    migrate_all(&databases, options).await
}

/// Migrates `databases`, and creates those that do not exist.
///
/// # Errors
/// As [`run`].
pub async fn migrate_all(databases: &Databases, options: Options) -> Result<()> {
    ::migrate::migrate_all(databases, options.dry_run, &Run::new(print)).await.map(drop)
}
