//! `rotracker export`: writes orders and parts into files, as the routes `…/export` send them, or as Excel workbooks. With `--since`
//! it writes the changes of a period instead.

mod since;
mod workbook;

use std::{
    fmt,
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
};

use anyhow::{Context, Result, anyhow, bail};
use app_core::{
    clock::Clock,
    config::{Env, business_time_zone},
    db::{Connection, Pool},
    http::{ApiError, ListRange, Record, csv_chunks},
};
use chrono::{DateTime, NaiveDate, Utc};
use futures_util::{FutureExt, Stream, TryStreamExt};
use inventory::model::{ExportedTable, FoundPart, InventoryItem, ItemFilter};
use ros::model::{ArchiveSelection, OrderFilter, OrderSort, RepairOrder};
use tempfile::NamedTempFile;

pub use since::{ChangesExport, WrittenChanges};
pub use workbook::LeftOutRow;

use crate::{
    migrate::Databases,
    output::{print, progress},
    snapshot::snapshot,
};

/// The exit status of an export that left something out.
const LEFT_OUT: u8 = 3;

/// The options of `rotracker export`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The directory of the files. It is created if it does not exist. No file in it is overwritten
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The tables to export: orders (of all four archives), inventoryindex, stock_room, terra and so on; all of them by default
    #[arg(value_name = "TABLE", value_parser = Table::parse)]
    pub tables: Vec<Table>,
    /// The format of the files
    #[arg(long, value_enum, default_value = "csv")]
    pub format: Format,
    /// Export what has changed since this instant, as CSV files and as SQL for the database that was imported
    #[arg(long, value_name = "INSTANT", value_parser = since::parse_instant, conflicts_with_all = ["tables", "format"])]
    pub since: Option<DateTime<Utc>>,
}

/// The format of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The files that the API exports
    Csv,
    /// Excel workbooks
    Xlsx,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
        }
    }
}

/// A table that is exported into a file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// The orders of all four archives.
    Orders,
    Inventory(ExportedTable),
}

impl Table {
    /// Returns all tables.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Orders).chain(ExportedTable::all().map(Self::Inventory))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Inventory(table) => table.name(),
        }
    }

    fn parse(name: &str) -> Result<Self, String> {
        let names = || Self::all().map(Self::name).collect::<Vec<_>>().join(", ");
        Self::all().find(|table| table.name() == name).ok_or_else(|| format!("it must be one of {}", names()))
    }
}

/// Exports from the databases that the environment names, and returns the exit status: 0 if the files have all rows, 3 if rows do
/// not fit into a workbook.
///
/// # Errors
/// When a database cannot be read or a file cannot be written. Then no file is written.
pub async fn run(options: Options) -> Result<ExitCode> {
    let mut env = Env::of_process();
    let zone = business_time_zone(&mut env);
    let Options { directory, mut tables, format, since } = options;
    let today = Clock::system(zone).today();
    if let Some(since) = since {
        return run_since(ChangesExport { databases: Databases::read(env)?, directory, since, today }).await;
    }
    if tables.is_empty() {
        tables = Table::all().collect();
    }
    let export = Export { databases: Databases::read(env)?, directory, tables, format, today };
    let files = export.run().await?;
    for ExportedFile { path, rows, left_out } in &files {
        print(&format!("{}: {rows} rows", path.display()));
        for row in left_out {
            progress(&format!("{}: {row}", path.display()));
        }
    }
    let is_complete = files.iter().all(|file| file.left_out.is_empty());
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::from(LEFT_OUT) })
}

/// Exports changes, and returns the exit status: 3 if the old database cannot hold all of them.
async fn run_since(export: ChangesExport) -> Result<ExitCode> {
    let WrittenChanges { files, not_expressed } = export.run().await?;
    for (path, rows) in &files {
        print(&format!("{}: {rows} changes", path.display()));
    }
    for sentence in &not_expressed {
        progress(&format!("not in the SQL file: {sentence}"));
    }
    Ok(if not_expressed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(LEFT_OUT) })
}

/// An export, as the command line describes it.
#[derive(Clone, Debug)]
pub struct Export {
    pub databases: Databases,
    pub directory: PathBuf,
    pub tables: Vec<Table>,
    pub format: Format,
    /// The date in the names of the files.
    pub today: NaiveDate,
}

/// A file that was written.
#[derive(Debug)]
pub struct ExportedFile {
    pub path: PathBuf,
    pub rows: u64,
    pub left_out: Vec<LeftOutRow>,
}

impl Export {
    /// Writes the files and returns them. All tables of a database are read in one snapshot. The files get their names when all of
    /// them are complete.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn run(&self) -> Result<Vec<ExportedFile>> {
        fs::create_dir_all(&self.directory)
            .with_context(|| format!("{} cannot be created", self.directory.display()))?;
        if let Some(path) = self.tables.iter().map(|table| self.path(*table)).find(|path| path.exists()) {
            bail!("{} is there already. Nothing was written", path.display());
        }
        let main = Pool::new(&self.databases.server, &self.databases.main);
        let inventory = Pool::new(&self.databases.server, &self.databases.inventory);
        let written = self.write_all(&main, &inventory).await;
        main.close();
        inventory.close();

        let mut files = Vec::new();
        for (file, exported) in written? {
            file.as_file().sync_all().with_context(|| format!("{} cannot be written", exported.path.display()))?;
            file.persist_noclobber(&exported.path)
                .with_context(|| format!("{} cannot be written", exported.path.display()))?;
            files.push(exported);
        }
        Ok(files)
    }

    /// Returns the path of the file of `table`.
    fn path(&self, table: Table) -> PathBuf {
        self.directory.join(format!("{}-{}.{}", table.name(), self.today, self.format.extension()))
    }

    /// Writes files with temporary names, which are deleted when they are dropped.
    async fn write_all(&self, main: &Pool, inventory: &Pool) -> Result<Vec<(NamedTempFile, ExportedFile)>> {
        let (mut orders, mut parts) = (None, None);
        if self.tables.contains(&Table::Orders) {
            orders = Some(snapshot(main).await.with_context(|| cannot_be_read(&self.databases.main))?);
        }
        if self.tables.iter().any(|table| *table != Table::Orders) {
            parts = Some(snapshot(inventory).await.with_context(|| cannot_be_read(&self.databases.inventory))?);
        }
        let mut written = Vec::new();
        for table in Table::all().filter(|table| self.tables.contains(table)) {
            let (snapshot, database) = match table {
                Table::Orders => (&mut orders, &self.databases.main),
                Table::Inventory(_) => (&mut parts, &self.databases.inventory),
            };
            if let Some(snapshot) = snapshot {
                let file = self.write(table, snapshot).await;
                written.push(file.with_context(|| format!("{} of {database} was not exported", table.name()))?);
            }
        }
        Ok(written)
    }

    async fn write(&self, table: Table, snapshot: &mut Connection) -> Result<(NamedTempFile, ExportedFile)> {
        match table {
            Table::Orders => {
                let filter = OrderFilter::of_archive(ArchiveSelection::All);
                let selected = ros::store::select(snapshot, filter, self.today).await?;
                let orders = ros::store::list(&mut **snapshot, &selected, OrderSort::default(), &ListRange::ALL);
                self.write_records(table, &RepairOrder::default(), orders).await
            }
            Table::Inventory(ExportedTable::Index) => {
                let parts = inventory::store::list_index(&mut **snapshot, &ItemFilter::default());
                self.write_records(table, &FoundPart::default(), parts).await
            }
            Table::Inventory(ExportedTable::Parts(parts)) => {
                let items = inventory::store::list_items(&mut **snapshot, parts, &ItemFilter::default());
                self.write_records(table, &InventoryItem::blank(parts), items).await
            }
        }
    }

    async fn write_records<T: Record>(
        &self,
        table: Table,
        blank: &T,
        records: impl Stream<Item = Result<T, ApiError>>,
    ) -> Result<(NamedTempFile, ExportedFile)> {
        let mut file = temporary_file(&self.directory)?;
        let mut rows = 0;
        let records = records.inspect_ok(|_| rows += 1);
        let left_out = match self.format {
            Format::Csv => {
                let mut chunks = pin!(csv_chunks(blank, records));
                while let Some(chunk) = chunks.try_next().await? {
                    file.write_all(&chunk)?;
                }
                Vec::new()
            }
            Format::Xlsx => {
                let writing = workbook::write(&mut file, &self.directory, table.name(), blank, records);
                // The crate panics if it cannot write its temporary file.
                let written = AssertUnwindSafe(writing).catch_unwind().await;
                written.map_err(|_| anyhow!("a workbook cannot be written; there may be no room on the disk"))??
            }
        };
        rows -= left_out.len() as u64;
        Ok((file, ExportedFile { path: self.path(table), rows, left_out }))
    }
}

fn cannot_be_read(database: impl fmt::Display) -> String {
    format!("the database {database} cannot be read")
}

fn temporary_file(directory: &Path) -> Result<NamedTempFile> {
    // As files of other programs, it gets the permissions that the user's mask allows.
    let file =
        tempfile::Builder::new().prefix(".export-").permissions(Permissions::from_mode(0o666)).tempfile_in(directory);
    file.with_context(|| format!("a file cannot be created in {}", directory.display()))
}
