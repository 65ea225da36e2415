//! The first pass over a source: looks at every row and decides what becomes of it, as far as the source alone tells.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Result, bail};
use app_core::Digest;
use chrono_tz::Tz;
use indicatif::ProgressBar;
use inventory::model::part_number_key;
use rust_decimal::Decimal;

use super::{
    convert::{raw_amount, raw_quantity},
    layout::{Content, Layout, part_table},
    mapping::Mapping,
    matching::{RowDigest, RowDigests},
    orders::{self, DuplicateNumber, NumberedRow, RowsOfNumber},
    parts,
    plain_tables::read_plain_row,
    row_reader::ReadRow,
    source::{RejectedRow, Source, SourceColumn, SourceRow, SourceTable, Value},
    target::EarlierRow,
};

/// The rows of a table that an import does not understand are one kind in `import_rows`.
pub(super) const NOT_UNDERSTOOD: &str = "not understood";

/// A table with the decision about each row.
#[derive(Debug)]
pub(super) struct PlannedTable {
    pub(super) table: SourceTable,
    /// The name that reports use. No other table has it.
    pub(super) title: String,
    /// None if the table is not understood.
    pub(super) layout: Option<Layout>,
    /// In the order in which the source has them.
    pub(super) rows: Vec<PlannedRow>,
    /// For each row of mended rows, the rejected row for which it stands. Empty in other tables.
    pub(super) mends: Vec<Option<RejectedRow>>,
    pub(super) unmapped_columns: BTreeMap<String, u64>,
}

/// A row with the decision about it. There is one for each row of the source at once, so it is small, and rare parts are in boxes.
#[derive(Debug)]
pub(super) struct PlannedRow {
    pub(super) position: i64,
    pub(super) digests: RowDigests,
    pub(super) decision: Decision,
    /// A second row that is read together with this one: the row of the active table for an order that was moved, or the row of
    /// the index for a part.
    pub(super) related: Option<Box<RelatedPlace>>,
    /// The row as an earlier run read it.
    pub(super) earlier: Option<Box<EarlierRow>>,
}

/// Where a second row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RelatedPlace {
    /// The index of its table in the plan.
    pub(super) table: usize,
    pub(super) position: i64,
}

/// Whether a row is imported; if not, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Import,
    Skip(Box<str>),
    Reject(Box<str>),
}

impl PlannedRow {
    /// Returns whether a person has mended the row after an earlier run rejected it, and it is still the same in the source.
    pub(super) fn is_mended_already(&self, table: &SourceTable) -> bool {
        !table.is_mended && self.earlier.as_ref().is_some_and(|earlier| earlier.is_mended && earlier.has_same_content)
    }
}

impl PlannedTable {
    /// Returns what a person should know about how the table was read.
    pub(super) fn remarks(&self) -> Vec<String> {
        let of_layout = self.layout.iter().flat_map(|layout| &layout.remarks);
        self.table.remarks.iter().chain(of_layout).cloned().collect()
    }

    pub(super) fn content(&self) -> Option<Content> {
        self.layout.as_ref().map(|layout| layout.content)
    }

    /// Returns the name under which `import_rows` keeps the rows.
    pub(super) fn kind(&self) -> &'static str {
        self.content().map_or(NOT_UNDERSTOOD, Content::kind)
    }
}

/// The tables of a source, in the order in which they are imported.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) tables: Vec<PlannedTable>,
}

impl Plan {
    /// Returns the names under which `import_rows` keeps the rows, without those of mended rows.
    pub(super) fn sources(&self) -> Vec<String> {
        let mut sources: Vec<String> =
            self.tables.iter().filter(|table| !table.table.is_mended).map(|table| table.table.source.clone()).collect();
        sources.sort();
        sources.dedup();
        sources
    }
}

/// Reads the whole source and decides about each row.
///
/// # Errors
/// When the source cannot be read, or does not agree with its own counts and sums.
pub(super) async fn plan<S: Source>(
    source: &mut S,
    zone: Tz,
    mapping: &Mapping,
    progress: &ProgressBar,
) -> Result<Plan> {
    let tables = source.tables().await?;
    let titles = titles(&tables);
    let mut tables: Vec<PlannedTable> = tables
        .into_iter()
        .zip(titles)
        .map(|(table, title)| PlannedTable {
            title,
            layout: Layout::of(&table, mapping),
            table,
            rows: Vec::new(),
            mends: Vec::new(),
            unmapped_columns: BTreeMap::new(),
        })
        .collect();
    tables.sort_by_key(|table| match table.content() {
        Some(Content::Orders(archive)) => (0, archive as usize),
        Some(Content::Parts(table)) => (1, table as usize),
        Some(Content::PartIndex) => (2, 0),
        Some(Content::Shops) => (3, 0),
        Some(Content::AiLog) => (4, 0),
        Some(Content::Ledger) => (5, 0),
        None => (6, 0),
    });
    progress.set_length(tables.iter().map(|table| table.table.rows).sum());
    let mut scan = Scan { tables, zone, indexed: HashMap::new(), numbers: HashMap::new() };
    // The index comes first, because it says which quantities count.
    let is_index = |table: &PlannedTable| table.content() == Some(Content::PartIndex);
    let (mut order, others): (Vec<usize>, Vec<usize>) =
        (0..scan.tables.len()).partition(|place| is_index(&scan.tables[*place]));
    order.extend(others);
    for place in order {
        scan.scan_table(source, place, progress).await?;
    }
    scan.resolve_duplicate_numbers()?;
    scan.reject_index_rows_of_rejected_parts();
    Ok(Plan { tables: scan.tables })
}

/// Returns a title for each table, which no other table has: its name, with its source and then the file and sheet where that is
/// needed to tell it from another.
fn titles(tables: &[SourceTable]) -> Vec<String> {
    let candidates: Vec<[String; 3]> = tables
        .iter()
        .map(|table| {
            let of_source = format!("{} of {}", table.name, table.source);
            let from_file = format!("{of_source}, from {}", table.stored_name);
            [table.name.clone(), of_source, from_file]
        })
        .collect();
    let mut uses: HashMap<String, usize> = HashMap::new();
    for candidate in candidates.iter().flatten() {
        *uses.entry(candidate.to_lowercase()).or_default() += 1;
    }
    let title = |[name, of_source, from_file]: [String; 3]| {
        let is_unique = |title: &String| uses.get(&title.to_lowercase()) == Some(&1);
        [name, of_source].into_iter().find(is_unique).unwrap_or(from_file)
    };
    candidates.into_iter().map(title).collect()
}

/// A row of the source's index that counts.
struct IndexedPart {
    /// The index of its table in the plan.
    table: usize,
    /// Its index in [`PlannedTable::rows`].
    row: usize,
    position: i64,
    content: RowDigest,
}

struct Scan {
    tables: Vec<PlannedTable>,
    zone: Tz,
    /// The rows of the index that count, by the table and the position of the part.
    indexed: HashMap<(usize, i64), IndexedPart>,
    /// The rows of orders, by number.
    numbers: HashMap<String, RowsOfNumber>,
}

impl Scan {
    async fn scan_table<S: Source>(&mut self, source: &mut S, place: usize, progress: &ProgressBar) -> Result<()> {
        let table = self.tables[place].table.clone();
        let layout = self.tables[place].layout.clone();
        self.tables[place].rows.reserve_exact(usize::try_from(table.rows)?);
        let mut sums: BTreeMap<&'static str, Decimal> = BTreeMap::new();
        let mut seen = HashSet::new();
        let mut after = None;
        loop {
            let rows = source.rows_after(&table, after).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.position);
            progress.inc(rows.len() as u64);
            let parts_of_index = match &layout {
                Some(layout) if layout.content == Content::PartIndex => {
                    self.parts_that_index_names(source, &table, layout, &rows).await?
                }
                _ => HashMap::new(),
            };
            for row in &rows {
                let planned = match &layout {
                    None => not_understood(&table, row)?,
                    Some(layout) if layout.content == Content::PartIndex => {
                        self.plan_index_row(place, &table, layout, row, &parts_of_index)?
                    }
                    Some(layout) => self.plan_row(place, &table, layout, row, &mut seen)?,
                };
                let planned_table = &mut self.tables[place];
                planned_table.rows.push(planned);
                if table.is_mended {
                    planned_table.mends.push(row.rejected_row.clone());
                }
                if let Some(layout) = &layout {
                    for field in layout.content.summed_fields() {
                        *sums.entry(field).or_default() += amount_of(layout, row, field).unwrap_or_default();
                    }
                    for position in &layout.unmapped_columns {
                        let count = planned_table.unmapped_columns.entry(table.columns[*position].name.clone());
                        *count.or_default() += u64::from(!row.values[*position].is_null());
                    }
                }
            }
        }
        if self.tables[place].rows.len() as u64 != table.rows {
            bail!("{} has {} rows, but {} were read", table.name, table.rows, self.tables[place].rows.len());
        }
        if let Some(layout) = &layout {
            compare_sums(source, &table, layout, &sums).await?;
        }
        Ok(())
    }

    fn plan_row(
        &mut self,
        place: usize,
        table: &SourceTable,
        layout: &Layout,
        row: &SourceRow,
        seen: &mut HashSet<RowDigest>,
    ) -> Result<PlannedRow> {
        let mut content = content_digest(table, layout, row)?;
        let related = self.indexed.get(&(place, row.position));
        if let Some(indexed) = related {
            content = digest_of_bytes(&[&content, &indexed.content])?;
        }
        let related =
            related.map(|indexed| Box::new(RelatedPlace { table: indexed.table, position: indexed.position }));
        let planned = |key: RowDigest, decision| PlannedRow {
            position: row.position,
            digests: RowDigests { key, content },
            decision,
            related: related.clone(),
            earlier: None,
        };
        let ours = match read(table, layout, row, self.zone) {
            ReadRow::Row(ours) => ours,
            ReadRow::Skipped(reason) => return Ok(planned(content, Decision::Skip(reason.into()))),
            ReadRow::Rejected { reason, key } => {
                // A row that was imported before is known again, also when it can no longer be read.
                if let Some(key) = &key {
                    self.remember_number(place, layout, row, key, content);
                }
                let key = key.map_or(Ok(content), |key| digest_of_bytes(&[key.as_bytes()]))?;
                return Ok(planned(key, Decision::Reject(reason.into())));
            }
        };
        let key = digest_of_bytes(&[ours.key.as_bytes()])?;
        let mut decision = Decision::Import;
        match layout.content {
            Content::Orders(_) => self.remember_number(place, layout, row, &ours.key, content),
            Content::Shops | Content::AiLog if !seen.insert(content) => {
                decision = Decision::Skip("an exact repetition of an earlier row".into());
            }
            _ => {}
        }
        Ok(planned(key, decision))
    }

    /// Remembers an order that has a number, also if the row is rejected for another reason.
    fn remember_number(&mut self, place: usize, layout: &Layout, row: &SourceRow, key: &str, content: RowDigest) {
        let Content::Orders(archive) = layout.content else { return };
        let archive = layout.archive_status(row, archive).unwrap_or(archive);
        self.numbers.entry(key.to_owned()).or_default().rows.push(NumberedRow {
            table: place,
            row: self.tables[place].rows.len(),
            archive,
            shop_and_part: orders::shop_and_part(layout, row),
            status_date: orders::status_date(layout, row, self.zone),
            content,
        });
    }

    /// Returns the part numbers of the rows of sheets that `rows` of the index name, by table and position.
    async fn parts_that_index_names<S: Source>(
        &self,
        source: &mut S,
        table: &SourceTable,
        layout: &Layout,
        rows: &[SourceRow],
    ) -> Result<HashMap<(usize, i64), Value>> {
        let mut named: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
        for row in rows {
            if let Ok(index_row) = parts::read_index_row(table, layout, row, self.zone)
                && let Some(place) = self.place_of_sheet(layout, row)
            {
                named.entry(place).or_default().push(index_row.row);
            }
        }
        let mut found = HashMap::new();
        for (place, positions) in named {
            let PlannedTable { table, layout: Some(layout), .. } = &self.tables[place] else { continue };
            for row in source.rows_at(table, &positions).await? {
                found.insert((place, row.position), layout.value(&row, "PN").clone());
            }
        }
        Ok(found)
    }

    /// Returns the place of the sheet that a row of the index names: the table of exactly that name, or else the one that is
    /// called like that here.
    fn place_of_sheet(&self, layout: &Layout, row: &SourceRow) -> Option<usize> {
        let name = layout.value(row, "TableName").to_string().trim().to_lowercase();
        let is_sheet =
            |table: &&PlannedTable| !table.table.is_mended && matches!(table.content(), Some(Content::Parts(_)));
        let find = |is_it: &dyn Fn(&PlannedTable) -> bool| {
            self.tables.iter().position(|table| is_sheet(&table) && is_it(table))
        };
        find(&|table| table.table.name.eq_ignore_ascii_case(&name)).or_else(|| {
            let named = part_table(&name)?;
            find(&|table| table.content() == Some(Content::Parts(named)))
        })
    }

    fn plan_index_row(
        &mut self,
        place: usize,
        table: &SourceTable,
        layout: &Layout,
        row: &SourceRow,
        parts: &HashMap<(usize, i64), Value>,
    ) -> Result<PlannedRow> {
        // LastSeen follows every change, and RowId is another one when a sheet is loaded again. Neither makes it another row.
        let is_compared = |name: &str| !name.eq_ignore_ascii_case("LastSeen") && !name.eq_ignore_ascii_case("RowId");
        let compared = table.columns.iter().zip(&row.values);
        let compared: Vec<&Value> =
            compared.filter(|(column, _)| is_compared(&column.name)).map(|(_, value)| value).collect();
        let content = digest(&compared)?;
        if table.is_mended {
            // The part is in an earlier import.
            let read = parts::read_index_row(table, layout, row, self.zone);
            let decision = read.map_or_else(|problem| Decision::Reject(problem.into()), |_| Decision::Import);
            let digests = RowDigests { key: content, content };
            return Ok(PlannedRow { position: row.position, digests, decision, related: None, earlier: None });
        }
        let checked = match parts::read_index_row(table, layout, row, self.zone) {
            Err(problem) => Err(problem),
            Ok(index_row) => match self.place_of_sheet(layout, row) {
                None => Err(format!(
                    "it points to the table {}, which the source does not have",
                    layout.value(row, "TableName")
                )),
                Some(sheet) => {
                    let part = (sheet, index_row.row);
                    match parts.get(&part) {
                        None => {
                            Err(format!("it points to row {} of {}, which does not exist", part.1, self.name_of(sheet)))
                        }
                        Some(number)
                            if part_number_key(&number.to_string()) != part_number_key(&index_row.part_number) =>
                        {
                            Err(format!(
                                "it points to row {} of {}, which has another part: {number}",
                                part.1,
                                self.name_of(sheet)
                            ))
                        }
                        Some(_) => match self.indexed.get(&part) {
                            Some(first) => Err(format!("row {} points to the same part already", first.position)),
                            None => Ok(part),
                        },
                    }
                }
            },
        };
        let (key, decision) = match checked {
            Ok(part) => {
                let row_in_plan = self.tables[place].rows.len();
                self.indexed
                    .insert(part, IndexedPart { table: place, row: row_in_plan, position: row.position, content });
                (digest(&(self.name_of(part.0), part.1))?, Decision::Import)
            }
            Err(problem) => (content, Decision::Reject(problem.into())),
        };
        Ok(PlannedRow {
            position: row.position,
            digests: RowDigests { key, content },
            decision,
            related: None,
            earlier: None,
        })
    }

    fn name_of(&self, place: usize) -> &str {
        &self.tables[place].title
    }

    fn resolve_duplicate_numbers(&mut self) -> Result<()> {
        for rows in std::mem::take(&mut self.numbers).into_values() {
            for ((table, row), decision) in rows.decide() {
                let name = |place: (usize, usize)| {
                    let planned = &self.tables[place.0];
                    format!("row {} of {}", planned.rows[place.1].position, planned.title)
                };
                let decision = match decision {
                    DuplicateNumber::ExactCopy { of } => {
                        Decision::Skip(format!("an exact repetition of {}", name(of)).into())
                    }
                    DuplicateNumber::IncompleteMove { to } => {
                        let reason = format!("the order was already moved: {} counts", name(to));
                        let moved = &self.tables[table].rows[row];
                        let (position, content) = (moved.position, moved.digests.content);
                        let archived = &mut self.tables[to.0].rows[to.1];
                        archived.related = Some(Box::new(RelatedPlace { table, position }));
                        archived.digests.content = digest_of_bytes(&[&archived.digests.content, &content])?;
                        Decision::Skip(reason.into())
                    }
                    DuplicateNumber::Conflict { by } => {
                        Decision::Reject(format!("{} has the same number with other content", name(by)).into())
                    }
                };
                let planned = &mut self.tables[table].rows[row];
                let is_rejected_already = matches!(planned.decision, Decision::Reject(_));
                if !(is_rejected_already && matches!(decision, Decision::Reject(_))) {
                    planned.decision = decision;
                }
            }
        }
        Ok(())
    }

    /// A row of the index goes with its part.
    fn reject_index_rows_of_rejected_parts(&mut self) {
        for ((place, position), indexed) in std::mem::take(&mut self.indexed) {
            let sheet = &self.tables[place];
            let row = sheet.rows.binary_search_by_key(&position, |row| row.position);
            if row.is_ok_and(|row| sheet.rows[row].decision == Decision::Import) {
                continue;
            }
            let reason = format!("row {position} of {}, to which it points, is not imported", sheet.title);
            self.tables[indexed.table].rows[indexed.row].decision = Decision::Reject(reason.into());
        }
    }
}

/// Reads a row of a table that is understood, without its related row. Rows of the index are read elsewhere.
fn read(table: &SourceTable, layout: &Layout, row: &SourceRow, zone: Tz) -> ReadRow {
    if layout.is_blank(table, row) {
        return ReadRow::Skipped("a blank row".to_owned());
    }
    if layout.is_heading(row) {
        return ReadRow::Skipped("a heading".to_owned());
    }
    if layout.is_total(row) {
        return ReadRow::Skipped("a line with totals".to_owned());
    }
    if layout.is_note(row) {
        let reason = "it has nothing but a text where the number should be, as a note has".to_owned();
        return ReadRow::Rejected { reason, key: None };
    }
    match layout.content {
        Content::Orders(archive) => orders::read_order(table, layout, row, zone, archive, None),
        Content::Parts(_) => parts::read_part(table, layout, row, zone, None),
        content => read_plain_row(content, table, layout, row, zone),
    }
}

fn not_understood(table: &SourceTable, row: &SourceRow) -> Result<PlannedRow> {
    let content = digest(&(&table.name, row.values.iter().collect::<Vec<_>>()))?;
    Ok(PlannedRow {
        position: row.position,
        digests: RowDigests { key: content, content },
        decision: Decision::Reject(format!("the table {} is not understood", table.name).into()),
        related: None,
        earlier: None,
    })
}

/// Digests the values of a row. For an order it includes the archive status, so that a move to another table is a change.
fn content_digest(table: &SourceTable, layout: &Layout, row: &SourceRow) -> Result<RowDigest> {
    let archive = match layout.content {
        Content::Orders(archive) => archive.name(),
        _ => "",
    };
    digest(&(archive, layout.mapped_columns(table), layout.compared(table, row)))
}

fn digest(content: &impl serde::Serialize) -> Result<RowDigest> {
    Ok(Digest::of(content)?.as_bytes().try_into()?)
}

fn digest_of_bytes(parts: &[&[u8]]) -> Result<RowDigest> {
    Ok(Digest::of_bytes(parts).as_bytes().try_into()?)
}

/// Returns the amount that a person would read in the field, before any correction.
pub(super) fn amount_of(layout: &Layout, row: &SourceRow, field: &str) -> Option<Decimal> {
    let value = layout.value(row, field);
    let amount = match layout.content {
        Content::Parts(_) | Content::PartIndex => raw_quantity(value),
        _ => raw_amount(value),
    };
    amount.filter(|amount| amount.abs() < SUM_LIMIT)
}

/// A trillion. Larger amounts are typing errors, which no column holds, and a database's own sum of them is not exact.
const SUM_LIMIT: Decimal = Decimal::from_parts(3_567_587_328, 232, 0, false, 0);

/// Compares the sums of numeric columns with those that the source itself computes.
async fn compare_sums<S: Source>(
    source: &mut S,
    table: &SourceTable,
    layout: &Layout,
    sums: &BTreeMap<&'static str, Decimal>,
) -> Result<()> {
    /// The source adds up at most ten decimals.
    const TOLERANCE: Decimal = Decimal::from_parts(1, 0, 0, false, 2);
    for (field, sum) in sums {
        let column: Option<&SourceColumn> = layout.position(field).map(|position| &table.columns[position]);
        if let Some(column) = column.filter(|column| column.is_numeric()) {
            let expected = source.sum(table, column, SUM_LIMIT).await?;
            if (expected - sum).abs() > TOLERANCE {
                bail!(
                    "{} of {} adds up to {expected} in the source, but to {sum} in the rows that were read",
                    column.name,
                    table.name
                );
            }
        }
    }
    Ok(())
}
