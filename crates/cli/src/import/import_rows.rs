//! The table `import_rows`: every row that an import has read, as it was found, and what became of it.

use std::collections::HashMap;

use app_core::{
    db::{Comparison, inserted_ids, push_list},
    http::ApiError,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use sqlx::{FromRow, MySqlConnection, QueryBuilder, Row};

use super::{
    convert::Step,
    matching::{RowDigest, RowDigests},
    merge::Fields,
    plan::{NOT_UNDERSTOOD, PlannedTable},
    row_reader::ConvertedRow,
    source::SourceTable,
    target::{BatchContext, BatchRow, Class, EarlierRow, Outcome},
};

/// The converted values of a row when it was last imported: the base of the next three-way merge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MergeBase {
    pub(super) fields: Fields,
    /// The statuses that became history.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    steps: Vec<serde_json::Value>,
    /// The notes that came from the row of the active table that the order had before a move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) earlier_notes: Option<String>,
}

impl MergeBase {
    pub(super) fn of(row: &ConvertedRow) -> Self {
        Self {
            fields: row.fields.clone(),
            steps: row.steps.iter().map(step_json).collect(),
            earlier_notes: row.earlier_notes.clone(),
        }
    }

    /// Adds the steps of an earlier version: they are in the history, also if the source no longer has them.
    pub(super) fn with_steps_of(mut self, earlier: Option<&Self>) -> Self {
        let steps = earlier.map(|earlier| &*earlier.steps).unwrap_or_default();
        let missing: Vec<_> = steps.iter().filter(|step| !self.steps.contains(step)).cloned().collect();
        self.steps.extend(missing);
        self
    }

    /// Returns the steps that were not imported yet.
    pub(super) fn new_steps(&self, steps: &[Step]) -> Vec<Step> {
        steps.iter().filter(|step| !self.steps.contains(&step_json(step))).cloned().collect()
    }
}

fn step_json(step: &Step) -> serde_json::Value {
    json!({
        "status": step.status,
        "date": step.date.map(|date| date.to_string()),
        "user": step.user,
        "cost": step.cost.map(|cost| cost.to_string()),
        "notes": step.notes,
    })
}

/// The class of a row that was rejected, was mended by a person, and was then imported.
const MENDED: &str = "mended";

/// Compares each version of a row that was read with the later version that it names, for `rotracker check`.
///
/// # Errors
/// When the database fails.
pub(crate) async fn check(connection: &mut MySqlConnection, kept: usize) -> Result<Comparison, ApiError> {
    let query = "
        SELECT 'import_rows' AS table_name,
               CAST(earlier.id AS CHAR) AS row_id,
               CONCAT('names the later version ', earlier.replaced_by, ', which does not exist or is of another row')
                   AS difference
        FROM import_rows earlier
        LEFT JOIN import_rows later
            ON later.id = earlier.replaced_by AND later.source = earlier.source AND later.kind = earlier.kind
        WHERE earlier.replaced_by IS NOT NULL AND later.id IS NULL";
    Comparison::of_rows(connection, "versions of imported rows", kept, query).await
}

/// An entry to be written.
pub(super) struct NewEntry<'batch> {
    pub(super) row: &'batch BatchRow,
    pub(super) outcome: &'batch Outcome,
    pub(super) target_table: &'batch str,
}

impl NewEntry<'_> {
    fn target(&self) -> (Option<&str>, Option<i64>) {
        (self.outcome.target.map(|_| self.target_table), self.outcome.target)
    }

    fn class(&self) -> &'static str {
        match self.outcome.class {
            Class::Imported | Class::Corrected | Class::Updated | Class::Unchanged if self.row.is_mended => MENDED,
            // A row that was here already counts as imported in later runs.
            Class::Unchanged => Class::Imported.name(),
            class => class.name(),
        }
    }

    fn reasons(&self) -> Option<String> {
        let Outcome { reason, corrections, .. } = self.outcome;
        let is_empty = reason.is_none() && corrections.is_empty();
        (!is_empty).then(|| json!({"reason": reason, "corrections": corrections}).to_string())
    }

    fn merge_base(&self) -> Result<Option<String>, ApiError> {
        self.outcome.new_base.as_ref().map(serde_json::to_string).transpose().map_err(ApiError::internal)
    }
}

#[derive(FromRow)]
struct StoredEntry {
    id: i64,
    source: String,
    source_table: String,
    source_row: i64,
    key_digest: Vec<u8>,
    content_digest: Vec<u8>,
    class: String,
    target_id: Option<i64>,
}

impl StoredEntry {
    /// Returns the row without its content. `table` is the index of its table in the plan.
    fn earlier_row(&self, table: Option<usize>) -> EarlierRow {
        let is_mended = self.class == MENDED;
        let known = Class::ALL.into_iter().find(|class| class.name() == self.class);
        let class = if is_mended { Class::Imported } else { known.unwrap_or(Class::Rejected) };
        EarlierRow {
            id: self.id,
            table,
            position: self.source_row,
            has_same_content: false,
            class,
            is_mended,
            target: self.target_id,
        }
    }
}

/// The rows of one kind that earlier runs read, each in its latest version, in the order of the source.
#[derive(Default)]
pub(super) struct EarlierRows {
    pub(super) digests: Vec<RowDigests>,
    pub(super) rows: Vec<EarlierRow>,
}

/// Lists the kinds of rows that earlier runs of `sources` read.
pub(super) async fn kinds(connection: &mut MySqlConnection, sources: &[String]) -> Result<Vec<String>, ApiError> {
    let mut statement = QueryBuilder::new("SELECT DISTINCT kind FROM import_rows WHERE source IN (");
    push_list(&mut statement, sources);
    statement.push(")");
    Ok(statement.build_query_scalar().fetch_all(connection).await?)
}

/// Lists the sources other than `sources` whose rows of this kind were imported.
pub(super) async fn other_sources(
    connection: &mut MySqlConnection,
    sources: &[String],
    kind: &str,
) -> Result<Vec<String>, ApiError> {
    let mut statement =
        QueryBuilder::new("SELECT DISTINCT source FROM import_rows WHERE target_id IS NOT NULL AND kind = ");
    statement.push_bind(kind).push(" AND source NOT IN (");
    push_list(&mut statement, sources);
    statement.push(")");
    Ok(statement.build_query_scalar().fetch_all(connection).await?)
}

/// Lists the rows of `kind` that earlier runs of `sources` read. `tables` are the tables of the plan in their order.
pub(super) async fn list(
    connection: &mut MySqlConnection,
    sources: &[String],
    kind: &str,
    tables: &[PlannedTable],
) -> Result<EarlierRows, ApiError> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let mut statement = QueryBuilder::new(
            "SELECT id, source, source_table, source_row, key_digest, content_digest, class, target_id
             FROM import_rows
             WHERE replaced_by IS NULL AND kind = ",
        );
        statement.push_bind(kind).push(" AND id > ").push_bind(after).push(" AND source IN (");
        push_list(&mut statement, sources);
        statement.push(") ORDER BY id LIMIT 5000");
        let entries: Vec<StoredEntry> = statement.build_query_as().fetch_all(&mut *connection).await?;
        let Some(last) = entries.last() else { break };
        after = last.id;
        for entry in entries {
            let is_of_table = |planned: &PlannedTable| {
                let SourceTable { source, name, is_mended, .. } = &planned.table;
                *source == entry.source && *name == entry.source_table && !is_mended
            };
            let table = tables.iter().position(is_of_table);
            let digests = RowDigests { key: digest(&entry.key_digest)?, content: digest(&entry.content_digest)? };
            let row = entry.earlier_row(table);
            found.push((table, digests, row));
        }
    }
    found.sort_by_key(|(table, _, row)| (*table, row.position, row.id));
    let (digests, rows) = found.into_iter().map(|(_, digests, row)| (digests, row)).unzip();
    Ok(EarlierRows { digests, rows })
}

/// The latest version of a row that may have been rejected.
pub(super) struct RejectedEntry {
    pub(super) row: EarlierRow,
    pub(super) content: RowDigest,
    /// The row as it was found, as JSON.
    pub(super) original: String,
}

/// Returns the rows of a source whose content has one of these digests: those of a kind, and those that were not understood.
pub(super) async fn find(
    connection: &mut MySqlConnection,
    source: &str,
    kind: &str,
    contents: &[RowDigest],
) -> Result<Vec<RejectedEntry>, ApiError> {
    #[derive(FromRow)]
    struct Found {
        #[sqlx(flatten)]
        entry: StoredEntry,
        original: String,
    }

    if contents.is_empty() {
        return Ok(Vec::new());
    }
    let mut statement = QueryBuilder::new(
        "SELECT id, source, source_table, source_row, key_digest, content_digest, class, target_id, original
         FROM import_rows
         WHERE replaced_by IS NULL AND source = ",
    );
    statement.push_bind(source).push(" AND kind IN (").push_bind(kind).push(", ").push_bind(NOT_UNDERSTOOD);
    statement.push(") AND content_digest IN (");
    push_list(&mut statement, contents.iter().map(|content| content.to_vec()));
    statement.push(") ORDER BY id");
    let found: Vec<Found> = statement.build_query_as().fetch_all(connection).await?;
    found
        .into_iter()
        .map(|Found { entry, original }| {
            Ok(RejectedEntry { content: digest(&entry.content_digest)?, row: entry.earlier_row(None), original })
        })
        .collect()
}

/// Returns the rows with these ids as they were found.
pub(super) async fn originals(
    connection: &mut MySqlConnection,
    ids: &[i64],
) -> Result<HashMap<i64, serde_json::Value>, ApiError> {
    json_by_id(connection, "original", ids).await
}

/// A part that an earlier run imported.
#[derive(FromRow)]
pub(super) struct PartOfRow {
    pub(super) source: String,
    pub(super) source_table: String,
    pub(super) source_row: i64,
    pub(super) target_id: i64,
}

/// Lists what rows of a kind with these positions became, in any source. There must be at least one position.
pub(super) async fn parts_at(
    connection: &mut MySqlConnection,
    kind: &str,
    positions: &[i64],
) -> Result<Vec<PartOfRow>, ApiError> {
    let mut statement = QueryBuilder::new(
        "SELECT source, source_table, source_row, target_id
         FROM import_rows
         WHERE replaced_by IS NULL AND target_id IS NOT NULL AND kind = ",
    );
    statement.push_bind(kind).push(" AND source_row IN (");
    push_list(&mut statement, positions);
    statement.push(") ORDER BY id");
    Ok(statement.build_query_as().fetch_all(connection).await?)
}

fn digest(bytes: &[u8]) -> Result<RowDigest, ApiError> {
    bytes.try_into().map_err(ApiError::internal)
}

/// Returns the merge bases of the rows with these ids, as far as they were imported.
pub(super) async fn merge_bases(
    connection: &mut MySqlConnection,
    ids: &[i64],
) -> Result<HashMap<i64, MergeBase>, ApiError> {
    json_by_id(connection, "imported", ids).await
}

/// Returns the JSON in a column of the rows with these ids, without the rows in which it is NULL.
async fn json_by_id<T: DeserializeOwned>(
    connection: &mut MySqlConnection,
    column: &'static str,
    ids: &[i64],
) -> Result<HashMap<i64, T>, ApiError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut statement =
        QueryBuilder::new(format!("SELECT id, {column} FROM import_rows WHERE {column} IS NOT NULL AND id IN ("));
    push_list(&mut statement, ids);
    statement.push(")");
    let rows = statement.build().fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let json: String = row.try_get(column)?;
            Ok((row.try_get("id")?, serde_json::from_str(&json).map_err(ApiError::internal)?))
        })
        .collect()
}

/// Inserts entries. One whose row has an earlier version takes its place.
pub(super) async fn insert(
    connection: &mut MySqlConnection,
    context: &BatchContext<'_>,
    entries: &[NewEntry<'_>],
) -> Result<(), ApiError> {
    let mut replaced = Vec::new();
    for entries in chunks_by_size(entries, |entry| entry.row.original.len()) {
        let mut statement = QueryBuilder::new(
            "INSERT INTO import_rows
                 (source, source_table, source_row, kind, key_digest, content_digest, original, imported, class, reasons,
                  target_table, target_id, read_at) ",
        );
        let imported = entries.iter().map(NewEntry::merge_base).collect::<Result<Vec<_>, _>>()?;
        statement.push_values(entries.iter().zip(imported), |mut values, (entry, imported)| {
            let (target_table, target_id) = entry.target();
            values
                .push_bind(context.source)
                .push_bind(context.source_table)
                .push_bind(entry.row.position)
                .push_bind(context.kind)
                .push_bind(entry.row.digests.key.to_vec())
                .push_bind(entry.row.digests.content.to_vec())
                .push_bind(&entry.row.original)
                .push_bind(imported)
                .push_bind(entry.class())
                .push_bind(entry.reasons())
                .push_bind(target_table)
                .push_bind(target_id)
                .push_bind(context.now);
        });
        let inserted = statement.build().execute(&mut *connection).await?;
        let ids = inserted_ids(connection, &inserted, entries.len()).await?;
        for (entry, id) in entries.iter().zip(ids) {
            if let Some(earlier) = entry.row.earlier {
                replaced.push((earlier.id, id));
            }
        }
    }
    replace(connection, &replaced).await
}

/// Marks rows as replaced by later versions, as pairs of the ids. A version that was rejected leaves what an earlier one gave
/// ours.
async fn replace(connection: &mut MySqlConnection, replaced: &[(i64, i64)]) -> Result<(), ApiError> {
    if replaced.is_empty() {
        return Ok(());
    }
    set_by_id(connection, "replaced_by", replaced).await?;
    let mut statement = QueryBuilder::new(
        "UPDATE import_rows later
         JOIN import_rows earlier ON earlier.replaced_by = later.id
         SET later.imported = earlier.imported
         WHERE later.imported IS NULL AND earlier.id IN (",
    );
    push_list(&mut statement, replaced.iter().map(|(earlier, _)| earlier));
    statement.push(")");
    statement.build().execute(connection).await?;
    Ok(())
}

/// Changes what became of the row with the id `id`, whose content is the same.
pub(super) async fn update(
    connection: &mut MySqlConnection,
    context: &BatchContext<'_>,
    entry: &NewEntry<'_>,
    id: i64,
) -> Result<(), ApiError> {
    let (target_table, target_id) = entry.target();
    sqlx::query(
        "UPDATE import_rows
         SET class = ?, reasons = ?, imported = COALESCE(?, imported), target_table = ?, target_id = ?, source_row = ?,
             read_at = ?
         WHERE id = ?",
    )
    .bind(entry.class())
    .bind(entry.reasons())
    .bind(entry.merge_base()?)
    .bind(target_table)
    .bind(target_id)
    .bind(entry.row.position)
    .bind(context.now)
    .bind(id)
    .execute(connection)
    .await?;
    Ok(())
}

/// Sets the positions of rows, as pairs of id and position: the same rows are at other places of the source now.
pub(super) async fn move_to(connection: &mut MySqlConnection, moved: &[(i64, i64)]) -> Result<(), ApiError> {
    if moved.is_empty() { Ok(()) } else { set_by_id(connection, "source_row", moved).await }
}

/// Sets a column of several rows, as pairs of id and value. There must be at least one.
async fn set_by_id(
    connection: &mut MySqlConnection,
    column: &'static str,
    values: &[(i64, i64)],
) -> Result<(), ApiError> {
    let mut statement = QueryBuilder::new(format!("UPDATE import_rows SET {column} = CASE id"));
    for (id, value) in values {
        statement.push(" WHEN ").push_bind(id).push(" THEN ").push_bind(value);
    }
    statement.push(" END WHERE id IN (");
    push_list(&mut statement, values.iter().map(|(id, _)| id));
    statement.push(")");
    statement.build().execute(connection).await?;
    Ok(())
}

/// The most bytes of original values in one statement. MariaDB's default `max_allowed_packet` is 16 MiB, and each row also has its
/// converted values.
const STATEMENT_BYTES: usize = 4 * 1024 * 1024;

/// Splits `items` into parts of which each fits a statement.
pub(super) fn chunks_by_size<T>(items: &[T], size: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (place, item) in items.iter().enumerate() {
        let size = size(item);
        if place > start && bytes + size > STATEMENT_BYTES {
            chunks.push(&items[start..place]);
            (start, bytes) = (place, 0);
        }
        bytes += size;
    }
    if start < items.len() {
        chunks.push(&items[start..]);
    }
    chunks
}
