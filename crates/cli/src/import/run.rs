//! The two passes of an import: the first finds out what would be done with every row, and the second does it.

use std::{path::PathBuf, slice};

use anyhow::{Context, Result, anyhow, bail};
use app_core::{
    clock::Clock,
    db::{self, Pool, is_missing_table},
    http::ApiError,
};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Row};

use super::{
    edited::match_edited_rows,
    import_rows,
    layout::Content,
    locks::ImportLocks,
    mapping::{self, Mapping},
    matching::{match_rows_at_the_same_place, match_with_earlier},
    mended,
    pass::Pass,
    plan::{Plan, plan},
    report::{DeletedInSource, Report, ReportFiles},
    source::{DatabaseAddress, DatabaseSource, FileSource, Source},
};
use crate::{
    migrate::{self, Databases},
    output,
};

/// What to do with a row that was changed both here and in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnConflict {
    /// Keep ours and reject the row.
    #[default]
    Keep,
    /// Store the source's values.
    Replace,
}

/// An import into one installation.
pub struct Import {
    pub databases: Databases,
    /// What is imported: a database as `mysql://user@host:port/name`, or files.
    pub sources: Vec<String>,
    /// The password of the source, if it is a database.
    pub password: SecretString,
    /// `rotracker`, which reads each file in a process of its own.
    pub program: PathBuf,
    /// The file that says what tables and columns hold.
    pub mapping: Option<PathBuf>,
    pub clock: Clock,
    /// The time zone of the business, in which instants of the source become dates.
    pub zone: Tz,
    pub dry_run: bool,
    pub on_conflict: OnConflict,
    /// The name under which `import_rows` keeps the rows of the source: by default its address, or the name of the file.
    pub source_name: Option<String>,
    /// The directory for the files of the report.
    pub report: Option<PathBuf>,
}

/// A source that is being read.
enum OpenSource {
    Database(Box<DatabaseSource>),
    Files(FileSource),
}

impl Import {
    /// Imports from the sources.
    ///
    /// # Errors
    /// When a source cannot be read, our databases cannot be written, or another import is running. Batches that were
    /// committed before stay, and the next run finds them.
    pub async fn run(&self) -> Result<Report> {
        let mapping = self.mapping()?;
        let mut locks = ImportLocks::take(&self.databases).await?;
        let result = match self.open(&locks, &mapping).await {
            Ok(OpenSource::Database(mut source)) => self.import(&mut *source, &mapping).await,
            Ok(OpenSource::Files(mut source)) => self.import(&mut source, &mapping).await,
            Err(error) => Err(error),
        };
        // The server also releases the locks when the connection is closed, so this may fail.
        let _ = locks.release().await;
        result
    }

    /// Returns a mapping for what is not understood, to be filled in.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn mapping_template(&self) -> Result<String> {
        let mut locks = ImportLocks::take(&self.databases).await?;
        let bar = output::bar("reading {human_pos}/{human_len} rows")?;
        let mapping = self.mapping()?;
        let plan = match self.open(&locks, &mapping).await? {
            OpenSource::Database(mut source) => plan(&mut *source, self.zone, &mapping, &bar).await?,
            OpenSource::Files(mut source) => plan(&mut source, self.zone, &mapping, &bar).await?,
        };
        locks.release().await?;
        Ok(mapping::template(&plan.tables))
    }

    fn mapping(&self) -> Result<Mapping> {
        self.mapping.as_deref().map_or_else(|| Ok(Mapping::default()), Mapping::read)
    }

    async fn open(&self, locks: &ImportLocks, mapping: &Mapping) -> Result<OpenSource> {
        let databases = self.sources.iter().filter(|source| source.contains("://")).count();
        if databases == 0 {
            if self.source_name.is_some() && self.sources.len() > 1 {
                bail!("--source-name names the rows of one file, and there are {}", self.sources.len());
            }
            let files: Vec<PathBuf> = self.sources.iter().map(PathBuf::from).collect();
            return Ok(OpenSource::Files(FileSource::read(&self.program, &files, mapping).await?));
        }
        let [address] = &*self.sources else { bail!("a database is imported by itself, without other sources") };
        let address = DatabaseAddress::parse(address, &self.databases.server, &self.password)?;
        let mut source = DatabaseSource::open(&address).await?;
        let is_our_server = source.is_server_of_lock(&locks.names[0], locks.connection_id).await?;
        if is_our_server
            && [&self.databases.main, &self.databases.inventory].iter().any(|ours| *ours == source.database())
        {
            source.exclude(migrate::our_tables());
        }
        Ok(OpenSource::Database(Box::new(source)))
    }

    async fn import<S: Source>(&self, source: &mut S, mapping: &Mapping) -> Result<Report> {
        let pools = Pools {
            main: Pool::new(&self.databases.server, &self.databases.main),
            inventory: Pool::new(&self.databases.server, &self.databases.inventory),
            are_one: self.databases.main == self.databases.inventory,
        };
        let result = self.import_into(&pools, source, mapping).await;
        pools.main.close();
        pools.inventory.close();
        result
    }

    async fn import_into<S: Source>(&self, pools: &Pools, source: &mut S, mapping: &Mapping) -> Result<Report> {
        let mut files = self.report.as_deref().map(ReportFiles::new).transpose()?;
        let bar = output::bar("{msg:10} {wide_bar} {human_pos}/{human_len} rows, {eta} left")?;
        bar.set_message("reading");
        let mut plan = plan(source, self.zone, mapping, &bar).await?;
        mapping.check(&plan.tables)?;
        if plan.tables.is_empty() {
            bail!("{} has no tables to import", source.name());
        }
        if let Some(name) = &self.source_name {
            for planned in plan.tables.iter_mut().filter(|planned| !planned.table.is_mended) {
                planned.table.source.clone_from(name);
            }
        }
        self.reject_renamed_source(pools, &plan).await?;
        let deleted_in_source = self.find_earlier_rows(pools, source, &mut plan).await?;
        for planned in plan.tables.iter_mut().filter(|planned| planned.table.is_mended) {
            mended::find_rejected_rows(pools.of(planned.content()), source, planned).await?;
        }

        // The first pass writes nothing. A dry run ends with it, and so its report is that of the run.
        bar.set_message("checking");
        bar.set_position(0);
        let mut done = Pass::new(self, source.name(), false, if self.dry_run { files.take() } else { None });
        done.run(pools, source, &plan, &bar).await?;
        if !self.dry_run {
            bar.set_message("importing");
            bar.set_position(0);
            done = Pass::new(self, source.name(), true, files.take());
            done.run(pools, source, &plan, &bar)
                .await
                .context("the import stopped; the committed rows are saved, and running it again continues")?;
            sums_here(pools, &plan, &mut done.report).await?;
        }
        drop(bar);
        let Pass { mut report, files, .. } = done;
        report.deleted_in_source = deleted_in_source;
        report.not_read = source.other_objects().await?;
        if let Some(files) = files {
            files.finish(&mut report)?;
        }
        Ok(report)
    }

    /// Refuses a source whose parts, orders or other rows have been imported from a source of another name only. It may be the
    /// same data under another address, and then all of it would be doubled.
    async fn reject_renamed_source(&self, pools: &Pools, plan: &Plan) -> Result<()> {
        if self.source_name.is_some() {
            return Ok(());
        }
        let sources = plan.sources();
        let tables = plan.tables.iter().filter(|table| table.layout.is_some() && table.table.rows > 0);
        for table in tables.filter(|table| !table.table.is_mended) {
            let (pool, kind, source) = (pools.of(table.content()), table.kind(), &table.table.source);
            let known_kinds =
                db::read!(pool, |connection| import_rows::kinds(connection, slice::from_ref(source)).await);
            if or_not_migrated(known_kinds)?.iter().any(|known| known == kind) {
                continue;
            }
            let others = db::read!(pool, |connection| import_rows::other_sources(connection, &sources, kind).await)?;
            if let Some(other) = others.first() {
                bail!(
                    "rows like those of {} were already imported from {other}. To continue that import from another address, \
                     add --source-name '{other}'. To import separate data, add --source-name '{source}'. With several files, import \
                     that one by itself",
                    table.table.name
                );
            }
        }
        Ok(())
    }

    /// Finds each row among those of earlier runs, and returns those that the sources no longer have.
    async fn find_earlier_rows<S: Source>(
        &self,
        pools: &Pools,
        source: &mut S,
        plan: &mut Plan,
    ) -> Result<Vec<DeletedInSource>> {
        let sources = plan.sources();
        let mut deleted = Vec::new();
        if sources.is_empty() {
            return Ok(deleted);
        }
        for pool in pools.distinct() {
            let kinds = db::read!(pool, |connection| import_rows::kinds(connection, &sources).await);
            for kind in or_not_migrated(kinds)? {
                let earlier =
                    db::read!(pool, |connection| import_rows::list(connection, &sources, &kind, &plan.tables).await)?;
                let mut is_matched = match_with_earlier(plan, &kind, &earlier);
                match_edited_rows(pool, source, plan, &kind, &earlier, &mut is_matched).await?;
                match_rows_at_the_same_place(plan, &kind, &earlier, &mut is_matched);
                let unmatched = earlier.rows.iter().zip(is_matched).filter(|(_, is_matched)| !is_matched);
                deleted.extend(unmatched.filter_map(|(row, _)| {
                    Some(DeletedInSource { kind: kind.clone(), row: row.position, target: row.target? })
                }));
            }
        }
        Ok(deleted)
    }
}

/// Returns the result, or what to do if the tables are missing.
fn or_not_migrated<T>(result: Result<T, ApiError>) -> Result<T> {
    match result {
        Err(ApiError::Database(error)) if is_missing_table(&error) => {
            Err(anyhow!("the databases are not ready; run `rotracker migrate` first"))
        }
        result => Ok(result?),
    }
}

/// The pools of the two databases.
pub(super) struct Pools {
    main: Pool,
    inventory: Pool,
    /// Whether both are one database.
    are_one: bool,
}

impl Pools {
    /// Returns the pools of different databases.
    fn distinct(&self) -> Vec<&Pool> {
        if self.are_one { vec![&self.main] } else { vec![&self.main, &self.inventory] }
    }

    /// Returns the database that rows with this content become rows of.
    pub(super) fn of(&self, content: Option<Content>) -> &Pool {
        match content {
            Some(Content::Parts(_) | Content::PartIndex | Content::Ledger) => &self.inventory,
            Some(Content::Orders(_) | Content::Shops | Content::AiLog) | None => &self.main,
        }
    }
}

/// Adds up what the rows of each table became. Mended rows are a part of the rows of their source, so they have no such sum.
async fn sums_here(pools: &Pools, plan: &Plan, report: &mut Report) -> Result<()> {
    for (planned, table) in plan.tables.iter().zip(&mut report.tables) {
        let (pool, statement) = match planned.content() {
            _ if planned.table.is_mended => continue,
            Some(Content::Orders(_)) => (
                &pools.main,
                "SELECT COALESCE(SUM(orders.ESTIMATED_COST), 0) AS ESTIMATED_COST,
                        COALESCE(SUM(orders.FINAL_COST), 0) AS FINAL_COST
                 FROM import_rows r
                 JOIN (SELECT id, ESTIMATED_COST, FINAL_COST FROM active
                       UNION ALL SELECT id, ESTIMATED_COST, FINAL_COST FROM paid
                       UNION ALL SELECT id, ESTIMATED_COST, FINAL_COST FROM net
                       UNION ALL SELECT id, ESTIMATED_COST, FINAL_COST FROM `returns`) orders ON orders.id = r.target_id
                 WHERE r.source = ? AND r.source_table = ? AND r.replaced_by IS NULL AND r.class <> 'skipped'"
                    .to_owned(),
            ),
            Some(Content::Parts(part_table)) => (
                &pools.inventory,
                format!(
                    "SELECT COALESCE(SUM(IF(i.IndexId IS NULL, part.QTY, i.Qty)), 0) AS QTY
                     FROM import_rows r
                     JOIN `{name}` part ON part.id = r.target_id
                     LEFT JOIN inventoryindex i ON i.TableName = '{name}' AND i.RowId = part.id
                     WHERE r.source = ? AND r.source_table = ? AND r.replaced_by IS NULL AND r.class <> 'skipped'",
                    name = part_table.name()
                ),
            ),
            _ => continue,
        };
        let row = db::read!(pool, |connection| {
            let query =
                sqlx::query(AssertSqlSafe(statement.clone())).bind(&planned.table.source).bind(&planned.table.name);
            Ok(query.fetch_one(connection).await?)
        })?;
        for (column, sum) in &mut table.sums {
            sum.here = Some(row.try_get::<Decimal, _>(column.as_str())?);
        }
    }
    Ok(())
}
