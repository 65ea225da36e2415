//! Imports a batch of rows: finds out for each what has to change here, changes it, and saves the row in `import_rows`.

use std::collections::HashMap;

use app_core::http::ApiError;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::MySqlConnection;

use super::{
    convert::Step,
    import_rows::{self, MergeBase, NewEntry},
    matching::RowDigests,
    merge::{Fields, Merge, merge},
    row_reader::{ConvertedRow, Correction},
};

/// What the import did with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Inserted without corrections.
    Imported,
    /// Inserted with corrections.
    Corrected,
    /// A row that an earlier run had imported was updated.
    Updated,
    /// The database already has the row.
    Unchanged,
    /// Not imported; the report has the reason.
    Rejected,
    /// Blank, a heading, an exact repetition, or the copy of an order that was left in the active table.
    Skipped,
}

impl Class {
    pub const ALL: [Self; 6] =
        [Self::Imported, Self::Corrected, Self::Updated, Self::Unchanged, Self::Rejected, Self::Skipped];

    /// Returns the name that `import_rows` and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Corrected => "corrected",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
            Self::Skipped => "skipped",
        }
    }
}

/// A row of the database that a row of the source became, locked until the transaction ends.
pub(super) struct StoredRow<S> {
    pub(super) fields: Fields,
    /// What an update needs to know beside the fields.
    pub(super) state: S,
}

/// A kind of rows of the database: how they are found, inserted and updated. All calls for a batch are in one transaction.
pub(super) trait Target {
    type State;

    /// Returns the name of the table that has the ids.
    fn table(&self) -> &'static str;

    /// Returns the rows with these ids, as far as they exist, and locks them.
    async fn find(
        &self,
        connection: &mut MySqlConnection,
        ids: &[i64],
    ) -> Result<HashMap<i64, StoredRow<Self::State>>, ApiError>;

    /// Returns for each of `rows` the id of the row in the database that has its number, if there is one.
    async fn ids_of(&self, _: &mut MySqlConnection, rows: &[&ConvertedRow]) -> Result<Vec<Option<i64>>, ApiError> {
        Ok(vec![None; rows.len()])
    }

    /// Inserts `rows` and returns their ids.
    async fn insert(&self, connection: &mut MySqlConnection, rows: &[&ConvertedRow]) -> Result<Vec<i64>, ApiError>;

    /// Sets the fields of a row, and adds `new_steps` to its history.
    async fn update(
        &self,
        connection: &mut MySqlConnection,
        stored: &StoredRow<Self::State>,
        fields: &Fields,
        new_steps: &[Step],
    ) -> Result<(), ApiError>;

    /// Adds to `row` what an earlier version of it had and the source has no longer.
    ///
    /// # Errors
    /// The reason for which the row is rejected.
    fn complete(&self, _row: &mut ConvertedRow, _earlier: &MergeBase) -> Result<(), String> {
        Ok(())
    }

    /// Changes the three versions of a row so that fields which follow from others are no conflict.
    fn reconcile(&self, _base: Option<&mut Fields>, _theirs: &mut Fields, _here: &Fields) {}
}

/// A row of a batch.
pub(super) struct BatchRow {
    pub(super) position: i64,
    /// Whether it is of a table of rejected rows that people have mended.
    pub(super) is_mended: bool,
    pub(super) digests: RowDigests,
    /// The row as found, as JSON.
    pub(super) original: String,
    pub(super) earlier: Option<EarlierRow>,
    pub(super) decision: BatchDecision,
}

/// What the first pass decided about a row.
pub(super) enum BatchDecision {
    Import(Box<ConvertedRow>),
    Skip(String),
    Reject(String),
    /// A person has mended the row, which an earlier run imported.
    Mended,
}

/// The latest version of a row that an earlier run read.
#[derive(Clone, Copy, Debug)]
pub(super) struct EarlierRow {
    /// The id in `import_rows`.
    pub(super) id: i64,
    /// The index of the table in the plan, if the sources still have it.
    pub(super) table: Option<usize>,
    pub(super) position: i64,
    pub(super) has_same_content: bool,
    pub(super) class: Class,
    /// Whether a person has mended the row: what was imported is not what the source has.
    pub(super) is_mended: bool,
    pub(super) target: Option<i64>,
}

/// What became of a row.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) class: Class,
    /// Why it was rejected or skipped; otherwise a remark, or nothing.
    pub(super) reason: Option<String>,
    pub(super) corrections: Vec<Correction>,
    /// The id of the row here.
    pub(super) target: Option<i64>,
    /// The base of the next merge. `None` leaves that of an earlier version.
    pub(super) new_base: Option<MergeBase>,
}

impl Outcome {
    pub(super) fn new(class: Class, reason: Option<String>, target: Option<i64>) -> Self {
        Self { class, reason, corrections: Vec::new(), target, new_base: None }
    }
}

/// Where a batch comes from and how it is imported.
pub(super) struct BatchContext<'run> {
    pub(super) source: &'run str,
    pub(super) source_table: &'run str,
    pub(super) kind: &'run str,
    pub(super) now: DateTime<Utc>,
    /// The fields for which the source has no column.
    pub(super) missing_fields: Vec<&'static str>,
    /// Whether the source's value counts where a field was changed both here and in the source.
    pub(super) source_wins: bool,
    /// Without this nothing is written.
    pub(super) write: bool,
}

/// What has to be done for a row.
enum Action {
    Nothing(Outcome),
    Insert,
    /// Compare it with the row of the database. Without a `base`, no earlier version of it was imported.
    Compare {
        id: i64,
        base: Option<MergeBase>,
    },
}

/// Imports the rows of a batch, or finds out what would be done.
pub(super) async fn apply<T: Target>(
    connection: &mut MySqlConnection,
    target: &T,
    batch: &[BatchRow],
    context: &BatchContext<'_>,
) -> Result<Vec<Outcome>, ApiError> {
    let mut action = actions_from_earlier_rows(connection, batch).await?;
    find_rows_with_same_number(connection, target, batch, &mut action).await?;

    let compared: Vec<i64> = action
        .iter()
        .filter_map(|action| if let Action::Compare { id, .. } = action { Some(*id) } else { None })
        .collect();
    let stored = target.find(connection, &compared).await?;
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut inserted = Vec::new();
    for ((row, action), place) in batch.iter().zip(action).zip(0..) {
        outcomes.push(match (action, &row.decision) {
            (Action::Nothing(outcome), _) => outcome,
            (Action::Insert, BatchDecision::Import(row)) => {
                inserted.push((place, &**row));
                let class = if row.corrections.is_empty() { Class::Imported } else { Class::Corrected };
                Outcome {
                    corrections: row.corrections.clone(),
                    new_base: Some(MergeBase::of(row)),
                    ..Outcome::new(class, None, None)
                }
            }
            (Action::Compare { id, base }, BatchDecision::Import(row)) => {
                compare(connection, target, row, base, id, stored.get(&id), context).await?
            }
            (_, BatchDecision::Skip(reason) | BatchDecision::Reject(reason)) => not_imported(row, reason),
            (_, BatchDecision::Mended) => mended_already(row),
        });
    }
    if context.write {
        let new_rows: Vec<&ConvertedRow> = inserted.iter().map(|(_, row)| *row).collect();
        let ids = if new_rows.is_empty() { Vec::new() } else { target.insert(connection, &new_rows).await? };
        for ((place, _), id) in inserted.iter().zip(ids) {
            outcomes[*place].target = Some(id);
        }
        save_entries(connection, target.table(), batch, &outcomes, context).await?;
    }
    Ok(outcomes)
}

/// Saves the rows of a table that is not understood, all of which are rejected.
pub(super) async fn save_rejected(
    connection: &mut MySqlConnection,
    batch: &[BatchRow],
    context: &BatchContext<'_>,
) -> Result<Vec<Outcome>, ApiError> {
    let outcomes: Vec<Outcome> = batch
        .iter()
        .map(|row| match &row.decision {
            BatchDecision::Skip(reason) | BatchDecision::Reject(reason) => not_imported(row, reason),
            BatchDecision::Import(_) | BatchDecision::Mended => mended_already(row),
        })
        .collect();
    if context.write {
        save_entries(connection, "", batch, &outcomes, context).await?;
    }
    Ok(outcomes)
}

fn not_imported(row: &BatchRow, reason: &str) -> Outcome {
    let class = if matches!(row.decision, BatchDecision::Skip(_)) { Class::Skipped } else { Class::Rejected };
    // A row that was imported before and can no longer be read still belongs to what it became.
    Outcome::new(class, Some(reason.to_owned()), row.earlier.and_then(|earlier| earlier.target))
}

pub(super) fn mended_already(row: &BatchRow) -> Outcome {
    let reason = "a person has mended it, and that was imported".to_owned();
    Outcome::new(Class::Unchanged, Some(reason), row.earlier.and_then(|earlier| earlier.target))
}

/// Decides what can be decided without looking at the rows of the database.
async fn actions_from_earlier_rows(
    connection: &mut MySqlConnection,
    batch: &[BatchRow],
) -> Result<Vec<Action>, ApiError> {
    let is_settled = |earlier: &EarlierRow| earlier.has_same_content && earlier.class != Class::Rejected;
    let changed: Vec<i64> = batch
        .iter()
        .filter(|row| matches!(row.decision, BatchDecision::Import(_)))
        .filter_map(|row| row.earlier.filter(|earlier| earlier.target.is_some() && !is_settled(earlier)))
        .map(|earlier| earlier.id)
        .collect();
    let mut bases = import_rows::merge_bases(connection, &changed).await?;
    Ok(batch
        .iter()
        .map(|row| match (&row.decision, row.earlier) {
            (BatchDecision::Skip(reason) | BatchDecision::Reject(reason), _) => {
                Action::Nothing(not_imported(row, reason))
            }
            (BatchDecision::Mended, _) => Action::Nothing(mended_already(row)),
            (BatchDecision::Import(_), Some(earlier @ EarlierRow { target: Some(id), .. })) => {
                if is_settled(&earlier) {
                    Action::Nothing(Outcome::new(Class::Unchanged, None, Some(id)))
                } else {
                    Action::Compare { id, base: bases.remove(&earlier.id) }
                }
            }
            (BatchDecision::Import(_), _) => Action::Insert,
        })
        .collect())
}

/// Replaces `Insert` by `Compare` for rows whose number the database already has.
async fn find_rows_with_same_number<T: Target>(
    connection: &mut MySqlConnection,
    target: &T,
    batch: &[BatchRow],
    action: &mut [Action],
) -> Result<(), ApiError> {
    let new_rows = batch.iter().zip(action).filter_map(|(row, action)| match (&row.decision, &action) {
        (BatchDecision::Import(row), Action::Insert) => Some((&**row, action)),
        _ => None,
    });
    let (new_rows, action): (Vec<&ConvertedRow>, Vec<&mut Action>) = new_rows.unzip();
    if new_rows.is_empty() {
        return Ok(());
    }
    for (action, id) in action.into_iter().zip(target.ids_of(connection, &new_rows).await?) {
        if let Some(id) = id {
            *action = Action::Compare { id, base: None };
        }
    }
    Ok(())
}

/// Compares a row of the source with a row of the database: the one that an earlier version of it became, or, without a `base`,
/// one with the same order number.
async fn compare<T: Target>(
    connection: &mut MySqlConnection,
    target: &T,
    row: &ConvertedRow,
    base: Option<MergeBase>,
    id: i64,
    stored: Option<&StoredRow<T::State>>,
    context: &BatchContext<'_>,
) -> Result<Outcome, ApiError> {
    let mut row = row.clone();
    if let Some(base) = &base
        && let Err(reason) = target.complete(&mut row, base)
    {
        return Ok(Outcome::new(Class::Rejected, Some(reason), Some(id)));
    }
    keep_missing_fields(
        &mut row,
        &context.missing_fields,
        base.as_ref().map(|base| &base.fields).or(stored.map(|stored| &stored.fields)),
    );
    let new_base = MergeBase::of(&row).with_steps_of(base.as_ref());
    let name = row.key.replace('\u{1f}', " ");
    let unchanged = |reason: Option<String>| Outcome {
        new_base: Some(new_base.clone()),
        ..Outcome::new(Class::Unchanged, reason, Some(id))
    };
    let Some(stored) = stored else {
        return Ok(match base {
            Some(base) if base == new_base => unchanged(Some("it was deleted in this database".to_owned())),
            _ => {
                let reason = format!("{name} was deleted in this database and changed in the source");
                Outcome::new(Class::Rejected, Some(reason), Some(id))
            }
        });
    };
    let new_steps = match &base {
        Some(base) => base.new_steps(&row.steps),
        None => row.steps.clone(),
    };
    let is_known = base.is_some();
    let mut base = base.map(|base| base.fields);
    target.reconcile(base.as_mut(), &mut row.fields, &stored.fields);
    let changed = match merge(base.as_ref(), &row.fields, &stored.fields, is_known && context.source_wins) {
        Merge::Unchanged if new_steps.is_empty() => return Ok(unchanged(None)),
        Merge::Unchanged => stored.fields.clone(),
        Merge::Changed(fields) => fields,
        Merge::Conflict(fields) => {
            let fields = fields.join(", ");
            return Ok(if is_known {
                let reason = format!("{name}: the source and this database have different changes of {fields}");
                Outcome::new(Class::Rejected, Some(reason), Some(id))
            } else {
                let reason = format!("{name} already exists (id {id}) and differs in {fields}");
                Outcome::new(Class::Rejected, Some(reason), None)
            });
        }
    };
    if context.write {
        target.update(connection, stored, &changed, &new_steps).await?;
    }
    Ok(Outcome {
        corrections: row.corrections,
        new_base: Some(new_base),
        ..Outcome::new(Class::Updated, None, Some(id))
    })
}

/// Gives the fields for which the source has no column the values that they have in `known`. Notes may have a value all the same: they
/// keep dates and amounts that cannot be read.
fn keep_missing_fields(row: &mut ConvertedRow, missing_fields: &[&str], known: Option<&Fields>) {
    for field in missing_fields {
        if let (Some(value), Some(known)) = (row.fields.get_mut(*field), known.and_then(|known| known.get(*field)))
            && value.is_null()
        {
            value.clone_from(known);
        }
    }
}

/// Saves the rows of a batch in `import_rows`. A row that an earlier run saved with the same content and class is left alone.
pub(super) async fn save_entries(
    connection: &mut MySqlConnection,
    target_table: &str,
    batch: &[BatchRow],
    outcomes: &[Outcome],
    context: &BatchContext<'_>,
) -> Result<(), ApiError> {
    let mut new_entries = Vec::new();
    let mut moved = Vec::new();
    for (row, outcome) in batch.iter().zip(outcomes) {
        let entry = NewEntry { row, outcome, target_table };
        match row.earlier {
            // It stands for no row of the source, whose rows these are.
            None if row.is_mended => {}
            None => new_entries.push(entry),
            Some(earlier) if !earlier.has_same_content => new_entries.push(entry),
            Some(earlier) => {
                // After a conflict was resolved, the present values are the new base.
                let is_resolved = outcome.class == Class::Unchanged && earlier.class == Class::Rejected;
                let has_other_class = outcome.class != Class::Unchanged && outcome.class != earlier.class;
                if is_resolved || has_other_class {
                    import_rows::update(connection, context, &entry, earlier.id).await?;
                } else if earlier.position != row.position {
                    moved.push((earlier.id, row.position));
                }
            }
        }
    }
    import_rows::insert(connection, context, &new_entries).await?;
    import_rows::move_to(connection, &moved).await
}
