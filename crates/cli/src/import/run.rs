//! The two passes of an import: the first finds out what would be done with every row, and the second does it.

use std::{collections::HashMap, path::PathBuf, slice};

use anyhow::{Context, Result, anyhow, bail};
use app_core::{
    clock::Clock,
    db::{self, Pool, is_missing_table, is_refused_value},
    http::ApiError,
};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use indicatif::ProgressBar;
use inventory::{model::Table, store};
use rust_decimal::Decimal;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, MySqlConnection, Row};

use super::{
    import_rows::{self, EarlierRows},
    layout::{Content, Layout},
    mapping::{self, Mapping},
    matching::{MatchBy, match_rows},
    mended,
    orders::{self, Orders},
    parts::{self, Parts},
    plain_tables::{AI_LOG, LEDGER, SHOPS, read_plain_row},
    plan::{Decision, Plan, PlannedRow, PlannedTable, RelatedPlace, amount_of, plan},
    report::{DeletedInSource, Report, ReportFiles, SumReport, TableReport},
    row_reader::{ConvertedRow, ReadRow},
    source::{BATCH, DatabaseAddress, DatabaseSource, FileSource, Original, Source, SourceRow, SourceTable},
    target::{self, BatchContext, BatchDecision, BatchRow, Class, EarlierRow, Outcome},
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
        let mut locks = ImportLocks::take(&self.databases).await?;
        let result = match self.open(&locks).await {
            Ok(OpenSource::Database(mut source)) => self.import(&mut *source).await,
            Ok(OpenSource::Files(mut source)) => self.import(&mut source).await,
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
        let plan = match self.open(&locks).await? {
            OpenSource::Database(mut source) => plan(&mut *source, self.zone, &mapping, &bar).await?,
            OpenSource::Files(mut source) => plan(&mut source, self.zone, &mapping, &bar).await?,
        };
        locks.release().await?;
        Ok(mapping::template(&plan.tables))
    }

    fn mapping(&self) -> Result<Mapping> {
        self.mapping.as_deref().map_or_else(|| Ok(Mapping::default()), Mapping::read)
    }

    async fn open(&self, locks: &ImportLocks) -> Result<OpenSource> {
        let databases = self.sources.iter().filter(|source| source.contains("://")).count();
        if databases == 0 {
            if self.source_name.is_some() && self.sources.len() > 1 {
                bail!("--source-name names the rows of one file, and there are {}", self.sources.len());
            }
            let files: Vec<PathBuf> = self.sources.iter().map(PathBuf::from).collect();
            return Ok(OpenSource::Files(FileSource::read(&self.program, &files, &self.mapping()?).await?));
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

    async fn import<S: Source>(&self, source: &mut S) -> Result<Report> {
        let pools = Pools {
            main: Pool::new(&self.databases.server, &self.databases.main),
            inventory: Pool::new(&self.databases.server, &self.databases.inventory),
            are_one: self.databases.main == self.databases.inventory,
        };
        let result = self.import_into(&pools, source).await;
        pools.main.close();
        pools.inventory.close();
        result
    }

    async fn import_into<S: Source>(&self, pools: &Pools, source: &mut S) -> Result<Report> {
        let mut files = self.report.as_deref().map(ReportFiles::new).transpose()?;
        let bar = output::bar("{msg:10} {wide_bar} {human_pos}/{human_len} rows, {eta} left")?;
        bar.set_message("reading");
        let mut plan = plan(source, self.zone, &self.mapping()?, &bar).await?;
        if plan.tables.is_empty() {
            bail!("{} has no tables to import", source.name());
        }
        if let Some(name) = &self.source_name {
            for planned in plan.tables.iter_mut().filter(|planned| !planned.table.is_mended) {
                planned.table.source.clone_from(name);
            }
        }
        self.reject_renamed_source(pools, &plan).await?;
        let deleted_in_source = self.find_earlier_rows(pools, &mut plan).await?;
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
                     add --source-name '{other}'. To import separate data, add --source-name '{source}'",
                    table.table.name
                );
            }
        }
        Ok(())
    }

    /// Finds each row among those of earlier runs, and returns those that the sources no longer have.
    async fn find_earlier_rows(&self, pools: &Pools, plan: &mut Plan) -> Result<Vec<DeletedInSource>> {
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
                let is_matched = match_with_earlier(plan, &kind, &earlier);
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

/// The rows that a step of the matching compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MatchScope {
    /// Those that are imported now, among those that were imported before.
    Imported,
    /// Those that are not skipped now, among those that were imported before.
    NotSkipped,
    All,
}

impl MatchScope {
    fn contains(self, decision: &Decision) -> bool {
        match self {
            Self::Imported => *decision == Decision::Import,
            Self::NotSkipped => !matches!(decision, Decision::Skip(_)),
            Self::All => true,
        }
    }
}

/// Tells each row of `kind` which earlier row it was, and returns for each earlier row whether it was found again.
fn match_with_earlier(plan: &mut Plan, kind: &str, earlier: &EarlierRows) -> Vec<bool> {
    // Rows to import are matched first, and only with rows that were imported. Otherwise the skipped copy of an order in the active
    // table could be matched with the imported order.
    let mut steps = vec![
        (MatchBy::Content, MatchScope::Imported),
        (MatchBy::Content, MatchScope::NotSkipped),
        (MatchBy::Key, MatchScope::NotSkipped),
        (MatchBy::Content, MatchScope::All),
        (MatchBy::Key, MatchScope::All),
    ];
    if kind == Content::ORDERS {
        // Only one order has a number, so an edited row is known by it even if another row repeats its former content.
        steps.insert(1, (MatchBy::Key, MatchScope::Imported));
    }
    let mut is_matched = vec![false; earlier.rows.len()];
    for (by, scope) in steps {
        let known: Vec<usize> = (0..earlier.rows.len())
            .filter(|known| !is_matched[*known] && (scope == MatchScope::All || earlier.rows[*known].target.is_some()))
            .collect();
        let mut open: Vec<&mut PlannedRow> = plan
            .tables
            .iter_mut()
            .filter(|table| table.kind() == kind && !table.table.is_mended)
            .flat_map(|table| &mut table.rows)
            .filter(|row| row.earlier.is_none() && scope.contains(&row.decision))
            .collect();
        let digests: Vec<_> = open.iter().map(|row| row.digests).collect();
        let known_digests: Vec<_> = known.iter().map(|known| earlier.digests[*known]).collect();
        for (row, found) in open.iter_mut().zip(match_rows(&digests, &known_digests, by)) {
            let Some(found) = found.map(|found| known[found]) else { continue };
            is_matched[found] = true;
            let has_same_content = earlier.digests[found].content == row.digests.content;
            row.earlier = Some(Box::new(EarlierRow { has_same_content, ..earlier.rows[found] }));
        }
    }
    match_rows_at_the_same_place(plan, kind, earlier, &mut is_matched);
    is_matched
}

/// Matches rows that never were imported and are not known by any key with those that were at the same place of the source.
fn match_rows_at_the_same_place(plan: &mut Plan, kind: &str, earlier: &EarlierRows, is_matched: &mut [bool]) {
    let mut open = HashMap::new();
    for (known, row) in earlier.rows.iter().enumerate() {
        if let (false, None, Some(table)) = (is_matched[known], row.target, row.table) {
            open.insert((table, row.position), known);
        }
    }
    let tables = plan.tables.iter_mut().enumerate();
    for (index, table) in tables.filter(|(_, table)| table.kind() == kind && !table.table.is_mended) {
        for row in table.rows.iter_mut().filter(|row| row.earlier.is_none()) {
            if let Some(known) = open.remove(&(index, row.position)) {
                is_matched[known] = true;
                row.earlier = Some(Box::new(EarlierRow { has_same_content: false, ..earlier.rows[known] }));
            }
        }
    }
}

/// The pools of the two databases.
struct Pools {
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
    fn of(&self, content: Option<Content>) -> &Pool {
        match content {
            Some(Content::Parts(_) | Content::PartIndex | Content::Ledger) => &self.inventory,
            Some(Content::Orders(_) | Content::Shops | Content::AiLog) | None => &self.main,
        }
    }
}

/// Only one import into each database may run at a time.
struct ImportLocks {
    names: Vec<String>,
    connection: MySqlConnection,
    connection_id: u64,
}

impl ImportLocks {
    async fn take(databases: &Databases) -> Result<Self> {
        let mut connection = db::connect(&databases.server, Some(&databases.main)).await.with_context(|| {
            format!("the database {} cannot be used; `rotracker migrate` creates it", databases.main)
        })?;
        // The connection is idle while the import runs.
        sqlx::query("SET SESSION wait_timeout = 604800").execute(&mut connection).await?;
        let connection_id: u64 =
            sqlx::query_scalar("SELECT CAST(CONNECTION_ID() AS UNSIGNED)").fetch_one(&mut connection).await?;
        let mut databases = vec![&databases.main, &databases.inventory];
        databases.sort();
        databases.dedup();
        let mut names = Vec::new();
        for database in databases {
            let name: String = sqlx::query_scalar("SELECT CONCAT('rotracker import ', LEFT(SHA2(?, 256), 40))")
                .bind(database)
                .fetch_one(&mut connection)
                .await?;
            let is_taken: Option<i64> =
                sqlx::query_scalar("SELECT GET_LOCK(?, 0)").bind(&name).fetch_one(&mut connection).await?;
            if is_taken != Some(1) {
                bail!("another import into {database} is running");
            }
            names.push(name);
        }
        Ok(Self { names, connection, connection_id })
    }

    async fn release(&mut self) -> Result<()> {
        for name in &self.names {
            sqlx::query("DO RELEASE_LOCK(?)").bind(name).execute(&mut self.connection).await?;
        }
        Ok(())
    }
}

/// One pass over all rows.
struct Pass<'run> {
    import: &'run Import,
    write: bool,
    files: Option<ReportFiles>,
    report: Report,
    /// What became of the parts that the source's index names, by the row of the index.
    indexed_parts: HashMap<RelatedPlace, IndexedPart>,
}

#[derive(Clone, Copy)]
struct IndexedPart {
    was_imported: bool,
    table: Table,
    row_id: Option<i64>,
}

impl<'run> Pass<'run> {
    fn new(import: &'run Import, source: &str, write: bool, files: Option<ReportFiles>) -> Self {
        Self {
            import,
            write,
            files,
            report: Report::new(source, import.clock.now().with_timezone(&import.zone), import.dry_run),
            indexed_parts: HashMap::new(),
        }
    }

    async fn run<S: Source>(&mut self, pools: &Pools, source: &mut S, plan: &Plan, bar: &ProgressBar) -> Result<()> {
        for (table_index, table) in plan.tables.iter().enumerate() {
            let mut table_report = TableReport {
                table: table.title.clone(),
                columns: table.table.columns.iter().map(|column| column.name.clone()).collect(),
                is_understood: table.layout.is_some(),
                remarks: table.remarks(),
                rows: table.table.rows,
                unmapped_columns: table.unmapped_columns.clone(),
                ..TableReport::default()
            };
            let mut rows = source.rows_after(&table.table, None).await?;
            for planned in table.rows.chunks(BATCH) {
                let after = rows.last().map(|row| row.position);
                let is_same = rows.iter().map(|row| row.position).eq(planned.iter().map(|row| row.position));
                if !is_same {
                    bail!("the rows of {} have changed while they were read", table.table.name);
                }
                let related_rows = related_rows(source, plan, planned).await?;
                let mut batch = batch(self.import.zone, table, planned, &rows, &related_rows)?;
                // The next rows are read while these are written.
                let (outcomes, next_rows) = tokio::join!(
                    self.import_batch(pools, table_index, table, planned, &mut batch),
                    source.rows_after(&table.table, after)
                );
                self.record_outcomes(table, &mut table_report, &rows, &batch, &outcomes?)?;
                bar.inc(rows.len() as u64);
                rows = next_rows?;
            }
            if table_report.classes.values().sum::<u64>() != table.table.rows {
                bail!("the classes of the rows of {} do not add up to {} rows", table.table.name, table.table.rows);
            }
            self.report.tables.push(table_report);
        }
        Ok(())
    }

    async fn import_batch(
        &mut self,
        pools: &Pools,
        table_index: usize,
        table: &PlannedTable,
        planned: &[PlannedRow],
        batch: &mut [BatchRow],
    ) -> Result<Vec<Outcome>> {
        let outcomes = match self.apply(pools, table_index, table, batch).await {
            Err(error) if is_about_a_row(&error) => self.apply_one_by_one(pools, table_index, table, batch).await,
            result => result,
        };
        let outcomes = outcomes
            .map_err(anyhow::Error::from)
            .with_context(|| format!("rows of {} cannot be imported", table.table.name))?;
        if let Some(Content::Parts(part_table)) = table.content() {
            for (row, outcome) in planned.iter().zip(&outcomes) {
                if let Some(index_row) = row.related.as_deref().copied() {
                    let was_imported = !matches!(outcome.class, Class::Rejected | Class::Skipped);
                    let indexed = IndexedPart { was_imported, table: part_table, row_id: outcome.target };
                    self.indexed_parts.insert(index_row, indexed);
                }
            }
        }
        Ok(outcomes)
    }

    /// Imports the rows of a batch in one transaction.
    async fn apply(
        &self,
        pools: &Pools,
        table_index: usize,
        table: &PlannedTable,
        batch: &[BatchRow],
    ) -> Result<Vec<Outcome>, ApiError> {
        let now = self.import.clock.now();
        let context = BatchContext {
            source: &table.table.source,
            source_table: &table.table.name,
            kind: table.kind(),
            now,
            source_wins: self.import.on_conflict == OnConflict::Replace,
            write: self.write,
        };
        db::transaction!(pools.of(table.content()), |connection| match table.content() {
            Some(Content::Orders(_)) => target::apply(connection, &Orders { now }, batch, &context).await,
            Some(Content::Parts(table)) => target::apply(connection, &Parts { table, now }, batch, &context).await,
            Some(Content::PartIndex) if table.table.is_mended => {
                import_mended_index_rows(connection, now, batch, &context).await
            }
            Some(Content::PartIndex) => {
                import_index_rows(connection, table_index, &self.indexed_parts, batch, &context).await
            }
            Some(Content::Shops) => target::apply(connection, &SHOPS, batch, &context).await,
            Some(Content::AiLog) => target::apply(connection, &AI_LOG, batch, &context).await,
            Some(Content::Ledger) => target::apply(connection, &LEDGER, batch, &context).await,
            None => target::save_rejected(connection, batch, &context).await,
        })
    }

    /// Imports each row of a batch by itself, and rejects those that the database refuses. They may have a value that no rule found,
    /// or a number that someone has taken meanwhile.
    async fn apply_one_by_one(
        &self,
        pools: &Pools,
        table_index: usize,
        table: &PlannedTable,
        batch: &mut [BatchRow],
    ) -> Result<Vec<Outcome>, ApiError> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for row in batch {
            let outcome = match self.apply(pools, table_index, table, slice::from_ref(row)).await {
                Err(error) if is_about_a_row(&error) => {
                    row.decision = BatchDecision::Reject(format!("the database refuses it: {error}"));
                    self.apply(pools, table_index, table, slice::from_ref(row)).await
                }
                outcome => outcome,
            };
            outcomes.extend(outcome?);
        }
        Ok(outcomes)
    }

    /// Adds the rows of a batch to the report. Fails if an amount changed without a recorded correction.
    fn record_outcomes(
        &mut self,
        table: &PlannedTable,
        report: &mut TableReport,
        rows: &[SourceRow],
        batch: &[BatchRow],
        outcomes: &[Outcome],
    ) -> Result<()> {
        for ((row, batch_row), outcome) in rows.iter().zip(batch).zip(outcomes) {
            *report.classes.entry(outcome.class).or_default() += 1;
            if let Some(layout) = &table.layout {
                add_to_sums(layout, report, row, batch_row, outcome, &table.table)?;
            }
            self.report.count_kinds(outcome);
            if let Some(files) = &mut self.files {
                files.add(&table.title, &table.table, row, batch_row, outcome)?;
            }
        }
        Ok(())
    }
}

/// Returns whether the database refused a row of the batch, and not the batch.
fn is_about_a_row(error: &ApiError) -> bool {
    match error {
        ApiError::Conflict(_) => true,
        ApiError::Database(error) => is_refused_value(error),
        _ => false,
    }
}

/// Adds the amounts of a row to the sums of its table.
fn add_to_sums(
    layout: &Layout,
    report: &mut TableReport,
    row: &SourceRow,
    batch_row: &BatchRow,
    outcome: &Outcome,
    table: &SourceTable,
) -> Result<()> {
    for field in layout.content.summed_fields() {
        let Some(position) = layout.position(field) else { continue };
        let found = amount_of(layout, row, field).unwrap_or_default();
        let sum: &mut SumReport = report.sums.entry((*field).to_owned()).or_default();
        sum.source += found;
        let BatchDecision::Import(ours) = &batch_row.decision else {
            sum.left_out += found;
            continue;
        };
        if outcome.class == Class::Rejected {
            sum.left_out += found;
            continue;
        }
        let stored = stored_amount(layout.content, field, &ours.fields).unwrap_or(found);
        let column = &table.columns[position].name;
        let is_named = ours.corrections.iter().any(|correction| correction.column == *column);
        if stored != found && !is_named {
            bail!(
                "row {} of {} would change {field} from {found} to {stored} without a correction",
                row.position,
                table.name
            );
        }
        sum.taken += found;
        sum.stored += stored;
    }
    Ok(())
}

/// Returns the amount that is stored for a summed field. A row of the index stores none of its own.
fn stored_amount(content: Content, field: &str, fields: &super::merge::Fields) -> Option<Decimal> {
    let name = match (content, field) {
        (Content::Orders(_), "ESTIMATED_COST") => "estimatedCost",
        (Content::Orders(_), _) => "finalCost",
        (Content::Parts(_), _) => "qty",
        (Content::PartIndex, _) => return None,
        (_, field) => field,
    };
    let stored = fields.get(name)?;
    let text = stored.as_str().map_or_else(|| stored.to_string(), str::to_owned);
    // An empty field adds nothing.
    Some(text.parse().unwrap_or_default())
}

/// A second row of the source that is read together with another: the row of the active table for an order that was moved, or the
/// row of the index for a part.
struct RelatedRow<'plan> {
    table: &'plan PlannedTable,
    row: SourceRow,
}

/// Reads the related rows of a batch.
async fn related_rows<'plan, S: Source>(
    source: &mut S,
    plan: &'plan Plan,
    planned: &[PlannedRow],
) -> Result<HashMap<RelatedPlace, RelatedRow<'plan>>> {
    let mut positions: HashMap<usize, Vec<i64>> = HashMap::new();
    for place in planned.iter().filter_map(|row| row.related.as_deref()) {
        positions.entry(place.table).or_default().push(place.position);
    }
    let mut found = HashMap::new();
    for (index, positions) in positions {
        let table = &plan.tables[index];
        for row in source.rows_at(&table.table, &positions).await? {
            let place = RelatedPlace { table: index, position: row.position };
            found.insert(place, RelatedRow { table, row });
        }
    }
    Ok(found)
}

/// Converts the rows of a batch.
fn batch(
    zone: Tz,
    table: &PlannedTable,
    planned: &[PlannedRow],
    rows: &[SourceRow],
    related_rows: &HashMap<RelatedPlace, RelatedRow<'_>>,
) -> Result<Vec<BatchRow>> {
    planned
        .iter()
        .zip(rows)
        .map(|(planned, row)| {
            let decision = match (&planned.decision, &table.layout) {
                _ if planned.is_mended_already() => BatchDecision::Mended,
                (Decision::Skip(reason), _) => BatchDecision::Skip(reason.to_string()),
                (Decision::Reject(reason), _) => BatchDecision::Reject(reason.to_string()),
                (Decision::Import, None) => BatchDecision::Reject("the table is not understood".to_owned()),
                (Decision::Import, Some(layout)) => {
                    let related = planned.related.as_deref().and_then(|place| related_rows.get(place));
                    match read(zone, table, layout, row, related) {
                        ReadRow::Row(ours) => BatchDecision::Import(ours),
                        ReadRow::Skipped(reason) => BatchDecision::Skip(reason),
                        ReadRow::Rejected { reason, .. } => BatchDecision::Reject(reason),
                    }
                }
            };
            Ok(BatchRow {
                // A mended row stands for the row that was rejected.
                position: row.mends.as_ref().map_or(row.position, |rejected| rejected.position),
                is_mended: row.mends.is_some(),
                digests: planned.digests,
                original: serde_json::to_string(&Original { table: &table.table, row })?,
                earlier: planned.earlier.as_deref().copied(),
                decision,
            })
        })
        .collect()
}

/// Converts a row together with its related row.
fn read(zone: Tz, table: &PlannedTable, layout: &Layout, row: &SourceRow, related: Option<&RelatedRow<'_>>) -> ReadRow {
    let other = related.and_then(|related| Some((related.table, related.table.layout.as_ref()?, &related.row)));
    match layout.content {
        Content::Orders(archive) => {
            let earlier = other.and_then(|(other, layout, row)| {
                match orders::read_order(&other.table, layout, row, zone, archive, None) {
                    ReadRow::Row(earlier) => Some(*earlier),
                    ReadRow::Skipped(_) | ReadRow::Rejected { .. } => None,
                }
            });
            orders::read_order(&table.table, layout, row, zone, archive, earlier)
        }
        Content::Parts(_) => {
            let index =
                other.and_then(|(other, layout, row)| parts::read_index_row(&other.table, layout, row, zone).ok());
            parts::read_part(&table.table, layout, row, zone, index.as_ref())
        }
        Content::PartIndex if table.table.is_mended => parts::read_mended_index_row(&table.table, layout, row, zone),
        // The quantity of a row of the index is stored with its part. The row itself is only saved in `import_rows`.
        Content::PartIndex => ReadRow::Row(Box::default()),
        content => read_plain_row(content, &table.table, layout, row, zone),
    }
}

/// Finds out what became of rows of the source's index: each went with its part.
async fn import_index_rows(
    connection: &mut MySqlConnection,
    index_table: usize,
    parts: &HashMap<RelatedPlace, IndexedPart>,
    batch: &[BatchRow],
    context: &BatchContext<'_>,
) -> Result<Vec<Outcome>, ApiError> {
    let part_of = |row: &BatchRow| parts.get(&RelatedPlace { table: index_table, position: row.position });
    let mut named: HashMap<Table, Vec<i64>> = HashMap::new();
    for row in batch {
        if let Some(IndexedPart { table, row_id: Some(row_id), .. }) = part_of(row) {
            named.entry(*table).or_default().push(*row_id);
        }
    }
    let mut index_ids = HashMap::new();
    for (table, row_ids) in named {
        for (row_id, index_id) in store::index_ids(connection, table, &row_ids).await? {
            index_ids.insert((table, row_id), index_id.0);
        }
    }
    let outcomes: Vec<Outcome> = batch
        .iter()
        .map(|row| {
            let outcome = |class, reason: Option<&str>, target| Outcome::new(class, reason.map(str::to_owned), target);
            match (&row.decision, part_of(row)) {
                (BatchDecision::Skip(reason), _) => outcome(Class::Skipped, Some(reason), None),
                (BatchDecision::Reject(reason), _) => outcome(Class::Rejected, Some(reason), None),
                (BatchDecision::Mended, _) => target::mended_already(row),
                (BatchDecision::Import(_), Some(part)) if part.was_imported => {
                    let target = part.row_id.and_then(|row_id| index_ids.get(&(part.table, row_id)).copied());
                    let class = match row.earlier {
                        None => Class::Imported,
                        Some(earlier) if earlier.has_same_content && earlier.class != Class::Rejected => {
                            Class::Unchanged
                        }
                        Some(_) => Class::Updated,
                    };
                    outcome(class, None, target)
                }
                (BatchDecision::Import(_), _) => {
                    outcome(Class::Rejected, Some("the part to which it points was not imported"), None)
                }
            }
        })
        .collect();
    if context.write {
        target::save_entries(connection, "inventoryindex", batch, &outcomes, context).await?;
    }
    Ok(outcomes)
}

/// Imports rows of the source's index that people have mended. An earlier run has imported their parts.
async fn import_mended_index_rows(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
    batch: &[BatchRow],
    context: &BatchContext<'_>,
) -> Result<Vec<Outcome>, ApiError> {
    let mut outcomes = Vec::with_capacity(batch.len());
    for row in batch {
        outcomes.push(match &row.decision {
            BatchDecision::Import(ours) => import_mended_index_row(connection, now, ours, context).await?,
            BatchDecision::Skip(reason) => Outcome::new(Class::Skipped, Some(reason.clone()), None),
            BatchDecision::Reject(reason) => Outcome::new(Class::Rejected, Some(reason.clone()), None),
            BatchDecision::Mended => target::mended_already(row),
        });
    }
    if context.write {
        target::save_entries(connection, "inventoryindex", batch, &outcomes, context).await?;
    }
    Ok(outcomes)
}

async fn import_mended_index_row(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
    row: &ConvertedRow,
    context: &BatchContext<'_>,
) -> Result<Outcome, ApiError> {
    let reject = |reason: &str| Outcome::new(Class::Rejected, Some(reason.to_owned()), None);
    let Some(index_row) = &row.mended_index_row else { return Ok(reject("it is no row of the index")) };
    let (table, kind) = (index_row.table, Content::Parts(index_row.table).kind());
    let part =
        import_rows::target_of_part(connection, context.source, kind, &index_row.table_name, index_row.row).await?;
    let Some(id) = part else { return Ok(reject("the part to which it points was not imported")) };
    let applied = Parts { table, now }.apply_index_row(connection, id, index_row, context.write).await?;
    let class = match applied {
        Ok(class) => class,
        Err(reason) => return Ok(reject(&reason)),
    };
    let index_id = store::index_ids(connection, table, &[id]).await?.into_iter().map(|(_, index_id)| index_id.0).next();
    Ok(Outcome::new(class, None, index_id))
}

/// Adds up what the rows of each table became.
async fn sums_here(pools: &Pools, plan: &Plan, report: &mut Report) -> Result<()> {
    for (planned, table) in plan.tables.iter().zip(&mut report.tables) {
        let (pool, statement) = match planned.content() {
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
