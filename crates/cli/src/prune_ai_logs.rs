//! `rotracker prune-ai-logs`: deletes old entries of the AI log.

use std::time::Duration;

use ai_logs::{prune, store};
use anyhow::{Context, Result};
use app_core::{clock::Clock, config::Env, db::Pool};
use chrono::{DateTime, TimeDelta, Utc};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{migrate::Databases, output::print};

/// The options of `rotracker prune-ai-logs`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// Delete entries that are older than this, such as 365d or 18months; at least 1d
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub older_than: TimeDelta,
    /// Count these entries and delete nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Ages outside this range are rejected, because they are typing errors.
const MIN_AGE: TimeDelta = TimeDelta::days(1);
const MAX_AGE: TimeDelta = TimeDelta::days(100 * 365);

fn parse_age(text: &str) -> Result<TimeDelta, String> {
    let age: Duration = humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 365d"))?;
    let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
    if (MIN_AGE..=MAX_AGE).contains(&age) { Ok(age) } else { Err("must be from 1d to 36500d".to_owned()) }
}

/// Runs the command on the main database that the environment names.
///
/// # Errors
/// When the database cannot be used. The error says how many entries were deleted before it.
pub async fn run(options: Options) -> Result<()> {
    let databases = Databases::read(Env::of_process())?;
    let older_than = Clock::system(chrono_tz::Tz::UTC).now() - options.older_than;
    let pool = Pool::new(&databases.server, &databases.main);
    let done = prune(&pool, older_than, options.dry_run).await;
    pool.close();
    let (count, done) = (done?, if options.dry_run { "would be deleted" } else { "deleted" });
    print(&format!("{}: {count} entries from before {}: {done}", databases.main, older_than.format("%F %T UTC")));
    Ok(())
}

/// Deletes the log entries that are older than `older_than`, and returns their number. A dry run only counts them.
/// Entries without a date are kept, because their age is unknown.
///
/// # Errors
/// As [`run`].
pub async fn prune(pool: &Pool, older_than: DateTime<Utc>, dry_run: bool) -> Result<u64> {
    let count = async { store::count_older(&mut *pool.acquire().await?, older_than).await }.await;
    let count = count.context("the AI log cannot be read; `rotracker migrate` creates it")?;
    if dry_run {
        return Ok(count);
    }
    let bar = ProgressBar::new(count)
        .with_style(ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} entries, {eta} left")?);
    let mut deleted = 0;
    loop {
        let batch = prune::delete_next_batch(pool, older_than).await.with_context(|| {
            format!(
                "{deleted} entries were deleted, and possibly {} more; run the command again to delete the rest",
                prune::BATCH
            )
        })?;
        deleted += batch;
        bar.inc(batch);
        if batch < prune::BATCH {
            bar.finish_and_clear();
            return Ok(deleted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_a_unit_and_are_at_least_a_day() {
        for (sent, days) in [("1d", 1), ("24h", 1), ("365d", 365), ("2weeks", 14), ("36500d", 36_500)] {
            assert_eq!(parse_age(sent).unwrap(), TimeDelta::days(days), "{sent}");
        }
        for sent in ["", "0d", "23h", "86399s", "365", "-1d", "36501d", "99999999999y", "soon"] {
            assert!(parse_age(sent).is_err(), "{sent}");
        }
    }
}
