//! `rotracker reindex`: brings the inventory's index in line with its eleven tables.

use anyhow::{Context, Result};
use app_core::{clock::Clock, config::Env, db::Pool};
use inventory::{
    model::Table,
    reindex::{ReindexFindings, ReindexMode, RowIdRange, reindex_next_batch},
    store,
};

use crate::{
    migrate::Databases,
    output::{bar, print},
};

/// The options of `rotracker reindex`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// Count the differences and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Also update the rows of the index that differ, and remove those that are in no table any more
    #[arg(long)]
    pub rebuild: bool,
}

/// Runs the command on the inventory database that the environment names.
///
/// # Errors
/// When the database cannot be used. The error says how far the command got; rows up to there stay reindexed.
pub async fn run(options: Options) -> Result<()> {
    let databases = Databases::read(Env::of_process())?;
    let pool = Pool::new(&databases.server, &databases.inventory);
    let done = reindex(&pool, options).await;
    pool.close();
    for (table, findings) in done? {
        for line in report(&findings, options) {
            print(&format!("{}: {line}", table.name()));
        }
    }
    Ok(())
}

/// Brings the index in line with the tables as `options` say, and returns the findings of each table.
///
/// # Errors
/// As [`run`].
pub async fn reindex(pool: &Pool, options: Options) -> Result<Vec<(Table, ReindexFindings)>> {
    let clock = Clock::system(chrono_tz::Tz::UTC);
    let mode = match options {
        Options { dry_run: true, .. } => ReindexMode::DryRun,
        Options { rebuild: true, .. } => ReindexMode::Rebuild,
        Options { .. } => ReindexMode::Complete,
    };
    let counts = async { store::count_tables(&mut *pool.acquire().await?).await }.await;
    let rows = counts.context("the tables cannot be counted; `rotracker migrate` creates them")?.total_items();
    let bar = bar("{msg:22} {wide_bar} {human_pos}/{human_len} rows, {eta} left")?;
    bar.set_length(u64::try_from(rows)?);
    let mut found = Vec::with_capacity(Table::ALL.len());
    for table in Table::ALL {
        bar.set_message(table.name());
        let mut findings = ReindexFindings::default();
        let mut batch = RowIdRange::START;
        while !batch.is_last() {
            let (done, batch_findings) = reindex_next_batch(pool, table, batch, mode, clock.now())
                .await
                .with_context(|| format!("{} was reindexed only up to row {}", table.name(), batch.to))?;
            batch = done;
            findings += batch_findings;
            bar.inc(batch_findings.rows);
        }
        found.push((table, findings));
    }
    Ok(found)
}

/// Returns the lines of the report on a table. There is at least one.
fn report(findings: &ReindexFindings, options: Options) -> Vec<String> {
    let outcome = |is_changed: bool, done: &'static str, would: &'static str| match (is_changed, options.dry_run) {
        (_, true) => would,
        (true, false) => done,
        (false, false) => "unchanged; --rebuild corrects them",
    };
    let lines = [
        (findings.missing, "rows were missing in the index", outcome(true, "added", "would be added")),
        (
            findings.outdated,
            "rows differ from the index",
            outcome(options.rebuild, "updated in the index", "--rebuild would update them in the index"),
        ),
        (
            findings.vanished,
            "rows of the index are not in the table",
            outcome(options.rebuild, "removed from the index", "--rebuild would remove them"),
        ),
        (
            findings.changed_by_transactions,
            "quantities differ from the index, but transactions have changed them",
            "the index keeps them; `adjust` sets counted quantities",
        ),
        (
            findings.vanished_with_transactions,
            "rows of the index are not in the table, but transactions have changed their quantities",
            "the index keeps them",
        ),
        (findings.without_number, "rows have no part number", "they cannot be indexed"),
    ];
    let mut report: Vec<String> = lines
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, finding, outcome)| format!("{count} {finding}: {outcome}"))
        .collect();
    if report.is_empty() {
        report.push(format!("{} rows, all as in the index", findings.rows));
    }
    report
}
