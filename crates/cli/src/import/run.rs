//! The two passes of an import: the first finds out what would be done with every row, and the second does it.

use std::{collections::HashMap, path::PathBuf, slice};

use anyhow::{Context, Result, anyhow, bail};
use app_core::{
    clock::Clock,
    db::{self, Pool, is_missing_table, is_refused_value},
    http::ApiError,
};
use chrono_tz::Tz;
use indicatif::ProgressBar;
use inventory::{model::Table, store};
use rust_decimal::Decimal;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, MySqlConnection, Row};

use super::{
    import_rows::{self, EarlierRows},
    layout::{Content, Layout},
    matching::{MatchBy, match_rows},
    orders::{self, Orders},
    parts::{self, Parts},
    plain_tables::{AI_LOG, LEDGER, SHOPS, read_plain_row},
    plan::{Decision, Plan, PlannedRow, PlannedTable, amount_of, plan},
    report::{DeletedInSource, Report, ReportFiles, SumReport, TableReport},
    row_reader::ReadRow,
    source::{BATCH, DatabaseAddress, DatabaseSource, Original, Source, SourceRow, SourceTable},
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
    /// The source: `mysql://user@host:port/name`.
    pub source: String,
    /// The password of the source.
    pub password: SecretString,
    pub clock: Clock,
    /// The time zone of the business, in which instants of the source become dates.
    pub zone: Tz,
    pub dry_run: bool,
    pub on_conflict: OnConflict,
    /// The name under which `import_rows` keeps the rows of the source: its address by default.
    pub source_name: Option<String>,
    /// The directory for the files of the report.
    pub report: Option<PathBuf>,
}

impl Import {
    /// Imports from the source.
    ///
    /// # Errors
    /// When the source cannot be read, our databases cannot be written, or another import is running. Batches that were
    /// committed before stay, and the next run finds them.
    pub async fn run(&self) -> Result<Report> {
        let address = DatabaseAddress::parse(&self.source, &self.databases.server, &self.password)?;
        let mut locks = ImportLocks::take(&self.databases).await?;
        let mut source = DatabaseSource::open(&address).await?;
        let is_our_server = source.is_server_of_lock(&locks.names[0], locks.connection_id).await?;
        if is_our_server
            && [&self.databases.main, &self.databases.inventory].iter().any(|ours| *ours == source.database())
        {
            source.exclude(migrate::our_tables());
        }
        let result = self.import(&mut source).await;
        // The server also releases the locks when the connection is closed, so this may fail.
        let _ = locks.release().await;
        result
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
        let mut plan = plan(source, self.zone, &bar).await?;
        if plan.tables.is_empty() {
            bail!("{} has no tables to import", source.name());
        }
        let source_name = self.source_name.clone().unwrap_or_else(|| source.name().to_owned());
        self.reject_renamed_source(pools, &source_name, &plan).await?;
        let deleted_in_source = self.find_earlier_rows(pools, &source_name, &mut plan).await?;

        // The first pass writes nothing. A dry run ends with it, and so its report is that of the run.
        bar.set_message("checking");
        bar.set_position(0);
        let mut done = Pass::new(self, &source_name, false, if self.dry_run { files.take() } else { None });
        done.run(pools, source, &plan, &bar).await?;
        if !self.dry_run {
            bar.set_message("importing");
            bar.set_position(0);
            done = Pass::new(self, &source_name, true, files.take());
            done.run(pools, source, &plan, &bar)
                .await
                .context("the import stopped; the committed rows are saved, and running it again continues")?;
            sums_here(pools, &source_name, &mut done.report).await?;
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
    async fn reject_renamed_source(&self, pools: &Pools, source: &str, plan: &Plan) -> Result<()> {
        if self.source_name.is_some() {
            return Ok(());
        }
        let mut known_kinds = Vec::new();
        for pool in pools.distinct() {
            let kinds = db::read!(pool, |connection| import_rows::kinds(connection, source).await);
            known_kinds.extend(or_not_migrated(kinds)?);
        }
        let is_new = |table: &&PlannedTable| !known_kinds.iter().any(|kind| kind == table.kind());
        let tables = plan.tables.iter().filter(|table| table.layout.is_some() && table.table.rows > 0);
        for table in tables.filter(is_new) {
            let (pool, kind) = (pools.of(table.content()), table.kind());
            let others = db::read!(pool, |connection| import_rows::other_sources(connection, source, kind).await)?;
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

    /// Finds each row among those of earlier runs, and returns those that the source no longer has.
    async fn find_earlier_rows(&self, pools: &Pools, source: &str, plan: &mut Plan) -> Result<Vec<DeletedInSource>> {
        let tables: Vec<String> = plan.tables.iter().map(|table| table.table.name.clone()).collect();
        let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
        let mut deleted = Vec::new();
        for pool in pools.distinct() {
            for kind in or_not_migrated(db::read!(pool, |connection| import_rows::kinds(connection, source).await))? {
                let earlier =
                    db::read!(pool, |connection| import_rows::list(connection, source, &kind, &tables).await)?;
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
            .filter(|table| table.kind() == kind)
            .flat_map(|table| &mut table.rows)
            .filter(|row| row.earlier.is_none() && scope.contains(&row.decision))
            .collect();
        let digests: Vec<_> = open.iter().map(|row| row.digests).collect();
        let known_digests: Vec<_> = known.iter().map(|known| earlier.digests[*known]).collect();
        for (row, found) in open.iter_mut().zip(match_rows(&digests, &known_digests, by)) {
            let Some(found) = found.map(|found| known[found]) else { continue };
            is_matched[found] = true;
            let has_same_content = earlier.digests[found].content == row.digests.content;
            row.earlier = Some(EarlierRow { has_same_content, ..earlier.rows[found] });
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
    for (index, table) in plan.tables.iter_mut().enumerate().filter(|(_, table)| table.kind() == kind) {
        for row in table.rows.iter_mut().filter(|row| row.earlier.is_none()) {
            if let Some(known) = open.remove(&(index, row.position)) {
                is_matched[known] = true;
                row.earlier = Some(EarlierRow { has_same_content: false, ..earlier.rows[known] });
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
    source_name: String,
    write: bool,
    files: Option<ReportFiles>,
    report: Report,
    /// What became of the parts that the source's index names, by the row of the index.
    indexed_parts: HashMap<i64, IndexedPart>,
}

#[derive(Clone, Copy)]
struct IndexedPart {
    was_imported: bool,
    table: Table,
    row_id: Option<i64>,
}

impl<'run> Pass<'run> {
    fn new(import: &'run Import, source_name: &str, write: bool, files: Option<ReportFiles>) -> Self {
        Self {
            import,
            source_name: source_name.to_owned(),
            write,
            files,
            report: Report::new(source_name, import.clock.now().with_timezone(&import.zone), import.dry_run),
            indexed_parts: HashMap::new(),
        }
    }

    async fn run<S: Source>(&mut self, pools: &Pools, source: &mut S, plan: &Plan, bar: &ProgressBar) -> Result<()> {
        for table in &plan.tables {
            let mut table_report = TableReport {
                table: table.table.name.clone(),
                columns: table.table.columns.iter().map(|column| column.name.clone()).collect(),
                is_understood: table.layout.is_some(),
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
                let related_rows = related_rows(source, plan, table, planned).await?;
                let mut batch = batch(self.import.zone, table, planned, &rows, &related_rows)?;
                // The next rows are read while these are written.
                let (outcomes, next_rows) = tokio::join!(
                    self.import_batch(pools, table, planned, &mut batch),
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
        table: &PlannedTable,
        planned: &[PlannedRow],
        batch: &mut [BatchRow],
    ) -> Result<Vec<Outcome>> {
        let outcomes = match self.apply(pools, table, batch).await {
            Err(error) if is_about_a_row(&error) => self.apply_one_by_one(pools, table, batch).await,
            result => result,
        };
        let outcomes = outcomes
            .map_err(anyhow::Error::from)
            .with_context(|| format!("rows of {} cannot be imported", table.table.name))?;
        if let Some(Content::Parts(part_table)) = table.content() {
            for (row, outcome) in planned.iter().zip(&outcomes) {
                if let Some(index_row) = row.related {
                    let was_imported = !matches!(outcome.class, Class::Rejected | Class::Skipped);
                    let indexed = IndexedPart { was_imported, table: part_table, row_id: outcome.target };
                    self.indexed_parts.insert(index_row, indexed);
                }
            }
        }
        Ok(outcomes)
    }

    /// Imports the rows of a batch in one transaction.
    async fn apply(&self, pools: &Pools, table: &PlannedTable, batch: &[BatchRow]) -> Result<Vec<Outcome>, ApiError> {
        let now = self.import.clock.now();
        let context = BatchContext {
            source: &self.source_name,
            source_table: &table.table.name,
            kind: table.kind(),
            now,
            source_wins: self.import.on_conflict == OnConflict::Replace,
            write: self.write,
        };
        db::transaction!(pools.of(table.content()), |connection| match table.content() {
            Some(Content::Orders(_)) => target::apply(connection, &Orders { now }, batch, &context).await,
            Some(Content::Parts(table)) => target::apply(connection, &Parts { table, now }, batch, &context).await,
            Some(Content::PartIndex) => import_index_rows(connection, &self.indexed_parts, batch, &context).await,
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
        table: &PlannedTable,
        batch: &mut [BatchRow],
    ) -> Result<Vec<Outcome>, ApiError> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for row in batch {
            let outcome = match self.apply(pools, table, slice::from_ref(row)).await {
                Err(error) if is_about_a_row(&error) => {
                    row.decision = BatchDecision::Reject(format!("the database refuses it: {error}"));
                    self.apply(pools, table, slice::from_ref(row)).await
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
                files.add(&table.table, row, outcome)?;
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
    table: &PlannedTable,
    planned: &[PlannedRow],
) -> Result<HashMap<i64, RelatedRow<'plan>>> {
    let positions: Vec<i64> = planned.iter().filter_map(|row| row.related).collect();
    let Some(related) = related_table(plan, table) else { return Ok(HashMap::new()) };
    let rows = source.rows_at(&related.table, &positions).await?;
    Ok(rows.into_iter().map(|row| (row.position, RelatedRow { table: related, row })).collect())
}

fn related_table<'plan>(plan: &'plan Plan, table: &PlannedTable) -> Option<&'plan PlannedTable> {
    let wanted = match table.content()? {
        Content::Orders(_) => Content::Orders(ros::model::ArchiveStatus::Active),
        Content::Parts(_) => Content::PartIndex,
        _ => return None,
    };
    plan.tables.iter().find(|table| table.content() == Some(wanted))
}

/// Converts the rows of a batch.
fn batch(
    zone: Tz,
    table: &PlannedTable,
    planned: &[PlannedRow],
    rows: &[SourceRow],
    related_rows: &HashMap<i64, RelatedRow<'_>>,
) -> Result<Vec<BatchRow>> {
    planned
        .iter()
        .zip(rows)
        .map(|(planned, row)| {
            let decision = match (&planned.decision, &table.layout) {
                (Decision::Skip(reason), _) => BatchDecision::Skip(reason.to_string()),
                (Decision::Reject(reason), _) => BatchDecision::Reject(reason.to_string()),
                (Decision::Import, None) => BatchDecision::Reject("the table is not understood".to_owned()),
                (Decision::Import, Some(layout)) => {
                    let related = planned.related.and_then(|position| related_rows.get(&position));
                    match read(zone, table, layout, row, related) {
                        ReadRow::Row(ours) => BatchDecision::Import(ours),
                        ReadRow::Skipped(reason) => BatchDecision::Skip(reason),
                        ReadRow::Rejected { reason, .. } => BatchDecision::Reject(reason),
                    }
                }
            };
            Ok(BatchRow {
                position: row.position,
                digests: planned.digests,
                original: serde_json::to_string(&Original { table: &table.table, row })?,
                earlier: planned.earlier,
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
        // The quantity of a row of the index is stored with its part. The row itself is only saved in `import_rows`.
        Content::PartIndex => ReadRow::Row(Box::default()),
        content => read_plain_row(content, &table.table, layout, row, zone),
    }
}

/// Finds out what became of rows of the source's index: each went with its part.
async fn import_index_rows(
    connection: &mut MySqlConnection,
    parts: &HashMap<i64, IndexedPart>,
    batch: &[BatchRow],
    context: &BatchContext<'_>,
) -> Result<Vec<Outcome>, ApiError> {
    let mut named: HashMap<Table, Vec<i64>> = HashMap::new();
    for row in batch {
        if let Some(IndexedPart { table, row_id: Some(row_id), .. }) = parts.get(&row.position) {
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
            match (&row.decision, parts.get(&row.position)) {
                (BatchDecision::Skip(reason), _) => outcome(Class::Skipped, Some(reason), None),
                (BatchDecision::Reject(reason), _) => outcome(Class::Rejected, Some(reason), None),
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

/// Adds up what the rows of each table became.
async fn sums_here(pools: &Pools, source: &str, report: &mut Report) -> Result<()> {
    for table in &mut report.tables {
        let content = Content::of_table(&table.table);
        let (pool, statement) = match content {
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
            let query = sqlx::query(AssertSqlSafe(statement.clone())).bind(source).bind(&table.table);
            Ok(query.fetch_one(connection).await?)
        })?;
        for (column, sum) in &mut table.sums {
            sum.here = Some(row.try_get::<Decimal, _>(column.as_str())?);
        }
    }
    Ok(())
}
