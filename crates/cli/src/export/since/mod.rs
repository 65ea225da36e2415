//! `rotracker export --since`: writes out the changes of a period, so that people can go back to the database that this service
//! replaced: CSV files to read, and a file of SQL that applies the changes to that database.

mod orders;
mod parts;
mod script;
mod store;

use std::{fs, io::Write, path::PathBuf, pin::pin};

use anyhow::{Context, Result, bail};
use app_core::{
    clock::Clock,
    db::Pool,
    http::{Record, csv_chunks},
};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use futures_util::{TryStreamExt, stream};
use tempfile::NamedTempFile;

use self::{
    orders::{ChangedOrder, OrderChange},
    parts::{PartChange, StockChangeRow},
    script::Script,
    store::{LogRow, OldRow, OldTable},
};
use super::{cannot_be_read, temporary_file};
use crate::{
    migrate::Databases,
    snapshot::{snapshot, use_database},
};

/// Reads an instant with a time zone, such as `2026-11-28T14:00:00-05:00`.
pub(super) fn parse_instant(text: &str) -> Result<DateTime<Utc>, String> {
    let instant = DateTime::parse_from_rfc3339(text)
        .map_err(|_| "must be an instant with its zone, such as 2026-11-28T14:00:00-05:00".to_owned())?;
    let instant = instant.to_utc();
    if instant > Clock::system(chrono_tz::Tz::UTC).now() {
        return Err("must not be in the future".to_owned());
    }
    Ok(instant)
}

/// An export of changes, as the command line describes it.
#[derive(Clone, Debug)]
pub struct ChangesExport {
    pub databases: Databases,
    pub directory: PathBuf,
    /// The start of the period.
    pub since: DateTime<Utc>,
    /// The date in the names of the files.
    pub today: NaiveDate,
}

/// What was written.
#[derive(Debug)]
pub struct WrittenChanges {
    /// The files, with their rows, or with the number of changes for the SQL file.
    pub files: Vec<(PathBuf, u64)>,
    /// The changes that the old database cannot hold, a sentence each.
    pub not_expressed: Vec<String>,
}

/// All changes of the period.
struct Changes {
    orders: Vec<OrderChange>,
    old_tables: Vec<OldTable>,
    stock: Vec<StockChangeRow>,
    parts: Vec<PartChange>,
    log: Vec<LogRow>,
}

impl ChangesExport {
    /// Writes the files. All of them show the databases at one instant. They get their names when all are complete.
    ///
    /// # Errors
    /// When the databases cannot be read or a file cannot be written. Then no file is written.
    pub async fn run(&self) -> Result<WrittenChanges> {
        fs::create_dir_all(&self.directory)
            .with_context(|| format!("{} cannot be created", self.directory.display()))?;
        let [orders, stock, log, script] =
            [("changed-orders", "csv"), ("stock-changes", "csv"), ("assistant-log", "csv"), ("old-database", "sql")]
                .map(|(name, extension)| self.directory.join(format!("{name}-{}.{extension}", self.today)));
        if let Some(path) = [&orders, &stock, &log, &script].into_iter().find(|path| path.exists()) {
            bail!("{} is there already. Nothing was written", path.display());
        }
        let changes = self.read().await?;
        let sql = self.script(&changes);
        let changed_orders: Vec<ChangedOrder> =
            changes.orders.into_iter().filter(|change| change.kind.is_change()).map(ChangedOrder::from).collect();
        let number_of_changes = (changed_orders.len() + changes.parts.len()) as u64;
        let files = [
            (orders, changed_orders.len() as u64, self.csv_file(&ChangedOrder::default(), changed_orders).await?),
            (stock, changes.stock.len() as u64, self.csv_file(&StockChangeRow::default(), changes.stock).await?),
            (log, changes.log.len() as u64, self.csv_file(&LogRow::default(), changes.log).await?),
            (script, number_of_changes, self.file(sql.text.as_bytes())?),
        ];
        let mut written = Vec::new();
        for (path, rows, file) in files {
            let cannot_be_written = || format!("{} cannot be written", path.display());
            file.as_file().sync_all().with_context(cannot_be_written)?;
            file.persist_noclobber(&path).with_context(cannot_be_written)?;
            written.push((path, rows));
        }
        Ok(WrittenChanges { files: written, not_expressed: sql.not_expressed })
    }

    /// Reads both databases in one snapshot. They are on one server, so a transaction sees both at one instant.
    async fn read(&self) -> Result<Changes> {
        let Databases { server, main, inventory } = &self.databases;
        let pool = Pool::new(server, main);
        let read = async {
            let mut connection = snapshot(&pool).await?;
            let orders = orders::changes(&mut connection, self.since).await?;
            let old_tables = store::old_tables(&mut connection).await?;
            let log = store::log_entries(&mut connection, self.since).await?;
            use_database(&mut connection, inventory).await.with_context(|| cannot_be_read(inventory))?;
            let (stock, parts) = parts::changes(&mut connection, self.since).await?;
            // The connection is dropped and so closed, since it has the other database by now.
            anyhow::Ok(Changes { orders, old_tables, stock, parts, log })
        };
        let read = read.await.with_context(|| cannot_be_read(main));
        pool.close();
        read
    }

    /// Writes the statements that apply the changes to the old database.
    fn script(&self, changes: &Changes) -> script::Finished {
        let mut script = Script::default();
        if changes.orders.iter().filter_map(|change| change.old_row.as_ref()).any(OldRow::has_other_columns) {
            script.leave_out(
                "the numbers of orders are texts in the old database, so its columns are not those that this file is for; it may \
                 fail, and then changes nothing"
                    .to_owned(),
            );
        }
        script.add_orders(&changes.orders, &changes.old_tables);
        for change in &changes.parts {
            script.add_part(change);
        }
        for change in changes.stock.iter().filter(|change| change.transaction.index_id.is_none()) {
            script.leave_out(format!(
                "part {}: another program has changed its stock, and did not say which row",
                change.transaction.part_number
            ));
        }
        script.finish(&self.since.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }

    fn file(&self, content: &[u8]) -> Result<NamedTempFile> {
        let mut file = temporary_file(&self.directory)?;
        file.write_all(content)?;
        Ok(file)
    }

    async fn csv_file<T: Record>(&self, blank: &T, records: Vec<T>) -> Result<NamedTempFile> {
        let mut file = temporary_file(&self.directory)?;
        let mut chunks = pin!(csv_chunks(blank, stream::iter(records.into_iter().map(Ok))));
        while let Some(chunk) = chunks.try_next().await? {
            file.write_all(&chunk)?;
        }
        Ok(file)
    }
}
