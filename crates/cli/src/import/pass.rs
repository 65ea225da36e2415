//! One pass over all rows of the source: reads them in batches, imports them or finds out what would be done, and reports.

use std::{collections::HashMap, slice};

use anyhow::{Context, Result, bail};
use app_core::{
    db::{self, is_refused_value},
    http::ApiError,
};
use chrono_tz::Tz;
use indicatif::ProgressBar;
use rust_decimal::Decimal;

use super::{
    index_rows::{IndexedPart, import_index_rows, import_mended_index_rows},
    layout::{Content, Layout},
    merge::Fields,
    orders::{self, Orders},
    parts::{self, Parts},
    plain_tables::{AI_LOG, LEDGER, SHOPS, read_plain_row},
    plan::{Decision, Plan, PlannedRow, PlannedTable, RelatedPlace, amount_of},
    report::{Report, ReportFiles, SumReport, TableReport},
    row_reader::ReadRow,
    run::{Import, OnConflict, Pools},
    source::{BATCH, Original, Source, SourceRow, SourceTable},
    target::{self, BatchContext, BatchDecision, BatchRow, Class, Outcome},
};

/// One pass over all rows.
pub(super) struct Pass<'run> {
    import: &'run Import,
    write: bool,
    pub(super) files: Option<ReportFiles>,
    pub(super) report: Report,
    /// What became of the parts that the source's index names, by the row of the index.
    indexed_parts: HashMap<RelatedPlace, IndexedPart>,
}

impl<'run> Pass<'run> {
    pub(super) fn new(import: &'run Import, source: &str, write: bool, files: Option<ReportFiles>) -> Self {
        Self {
            import,
            write,
            files,
            report: Report::new(source, import.clock.now().with_timezone(&import.zone), import.dry_run),
            indexed_parts: HashMap::new(),
        }
    }

    pub(super) async fn run<S: Source>(
        &mut self,
        pools: &Pools,
        source: &mut S,
        plan: &Plan,
        bar: &ProgressBar,
    ) -> Result<()> {
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
            missing_fields: table.layout.as_ref().map(missing_fields).unwrap_or_default(),
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
            self.report.count_groups(outcome);
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
fn stored_amount(content: Content, field: &str, fields: &Fields) -> Option<Decimal> {
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
                _ if planned.is_mended_already(&table.table) => BatchDecision::Mended,
                (Decision::Skip(reason), _) => BatchDecision::Skip(reason.to_string()),
                (Decision::Reject(reason), _) => BatchDecision::Reject(reason.to_string()),
                (Decision::Import, None) => bail!("a row of {}, which is not understood, is planned", table.title),
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
                position: row.rejected_row.as_ref().map_or(row.position, |rejected| rejected.position),
                is_mended: table.table.is_mended,
                digests: planned.digests,
                original: serde_json::to_string(&Original { table: &table.table, row })?,
                earlier: planned.earlier.as_deref().copied(),
                decision,
            })
        })
        .collect()
}

/// Returns the members of our rows for which the source has no column.
fn missing_fields(layout: &Layout) -> Vec<&'static str> {
    let missing = layout.missing_fields();
    match layout.content {
        Content::Orders(_) => missing.filter_map(orders::member_of).collect(),
        Content::Parts(_) => missing.filter_map(parts::member_of).collect(),
        Content::PartIndex | Content::Shops | Content::AiLog | Content::Ledger => missing.collect(),
    }
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
