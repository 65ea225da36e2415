//! `rotracker reindex`: brings the inventory's index in line with its eleven tables.

use anyhow::{Context, Result, bail};
use app_core::{
    clock::Clock,
    config::Env,
    db::{self, Pool},
};
use inventory::{
    model::{IndexId, Table},
    reindex::{ReindexFindings, ReindexMode, RenumberedRow, RowIdRange, reindex_next_batch},
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
    /// Take rows whose part number is another one than in the ledger for other parts, because tables were emptied and filled anew:
    /// they get the quantity of their table, and the former entries of the ledger keep their part numbers, but not the row
    #[arg(long, requires = "rebuild")]
    pub accept_renumbered: bool,
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
        Options { accept_renumbered: true, .. } => ReindexMode::RebuildRenumbered,
        Options { rebuild: true, .. } => ReindexMode::Rebuild,
        Options { .. } => ReindexMode::Complete,
    };
    let counts = async { store::count_tables(&mut *pool.acquire().await?).await }.await;
    let rows = counts.context("the tables cannot be counted; `rotracker migrate` creates them")?.total_items();
    let renumbered = db::read!(pool, |connection| store::list_renumbered(connection).await)?;
    match describe_renumbered(&renumbered) {
        None => {}
        Some(described) if options.dry_run => print(&described),
        Some(_) if options.accept_renumbered => {
            for batch in renumbered.chunks(BATCH) {
                let ids: Vec<IndexId> = batch.iter().map(|row| row.index_id).collect();
                db::transaction!(pool, |connection| store::release_entries_of_other_parts(connection, &ids).await)?;
            }
        }
        Some(described) => bail!(
            "{described}. Nothing has been changed. If other programs have emptied and filled tables, so that ids mean other \
             parts now, `reindex --rebuild --accept-renumbered` gives these rows the quantities of their tables, and leaves the \
             former entries of the ledger to their part numbers. It does the same to a number that was only corrected"
        ),
    }
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

/// Rows of one transaction.
const BATCH: usize = 500;

/// Says how many rows of the index the ledger knows as other parts, with some of them; `None` if there are none.
fn describe_renumbered(renumbered: &[RenumberedRow]) -> Option<String> {
    const EXAMPLES: usize = 5;
    if renumbered.is_empty() {
        return None;
    }
    let examples: Vec<String> = renumbered
        .iter()
        .take(EXAMPLES)
        .map(|row| {
            format!("row {} was {:?} and is {:?}", row.index_id.0, row.former_number.trim(), row.part_number.trim())
        })
        .collect();
    let more = if renumbered.len() > EXAMPLES { ", and so on" } else { "" };
    Some(format!(
        "{} rows of the index have other part numbers than in the ledger: {}{more}",
        renumbered.len(),
        examples.join(", ")
    ))
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
