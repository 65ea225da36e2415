//! Brings the index in line with the eleven tables, from which it drifts in real life: other programs add rows, edit and
//! delete them. Works batch by batch beside the running functions, and never touches a quantity that an entry of the
//! ledger has moved, since then the index knows better than the sheet.

use std::collections::HashSet;

use app_core::{
    db::{self, Pool, Transaction},
    http::{Actor, ApiError},
};
use chrono::{DateTime, SubsecRound, Utc};
use sqlx::MySqlConnection;

use crate::{
    model::{Action, Entry, IndexId, Table},
    store,
};

/// What to do about what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: only count.
    DryRun,
    /// Add what the index misses.
    Complete,
    /// Also write what differs, and remove what is in no table any more.
    Rebuild,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Rows of the tables.
    pub rows: u64,
    /// Rows of the tables that the index misses.
    pub missing: u64,
    /// Rows whose number, condition, location or quantity is another one in the index.
    pub outdated: u64,
    /// Rows whose quantity is another one in the index, where an entry of the ledger has moved it; the index keeps it.
    pub moved: u64,
    /// Rows of the index that are in no table, and that no entry of the ledger has moved.
    pub gone: u64,
    /// Rows of the index that are in no table, but have entries in the ledger; the index keeps them.
    pub gone_with_history: u64,
    /// Rows of the tables without a part number, which nobody could search for.
    pub nameless: u64,
}

impl std::ops::AddAssign for Findings {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.missing += other.missing;
        self.outdated += other.outdated;
        self.moved += other.moved;
        self.gone += other.gone;
        self.gone_with_history += other.gone_with_history;
        self.nameless += other.nameless;
    }
}

/// The rows of a table with ids after `after` up to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The id before the first.
    pub after: i64,
    /// The last id.
    pub to: i64,
}

impl Batch {
    /// The ids before the first batch.
    pub const START: Self = Self { after: -1, to: -1 };

    /// Whether there is none after it.
    pub fn is_last(self) -> bool {
        self.to == i64::MAX
    }
}

/// A row of a table beside its row of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The id in the table.
    pub row_id: i64,
    /// What the table says.
    pub source: Fields,
    /// What the index says, if it has the row.
    pub indexed: Option<Indexed>,
}

/// What both the tables and the index know of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub part_number: String,
    pub qty: i64,
    pub condition: Option<String>,
    pub location: Option<String>,
}

/// A row of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed {
    /// Its id.
    pub id: IndexId,
    /// What it says.
    pub fields: Fields,
    /// Whether an entry of the ledger has moved its quantity.
    pub is_moved: bool,
}

/// A row of the index that is in no table any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its id.
    pub id: IndexId,
    /// Its number.
    pub part_number: String,
    /// Its quantity.
    pub qty: i64,
    /// Whether an entry of the ledger has moved that.
    pub is_moved: bool,
}

/// What a row needs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    /// It has no number to be indexed by.
    Name,
    /// The index misses it.
    Row(Fields),
    /// The index says something else.
    Update(IndexId, Fields),
}

impl Pair {
    fn need(&self) -> Need {
        let source = Fields { part_number: self.source.part_number.trim().to_owned(), ..self.source.clone() };
        let Some(indexed) = &self.indexed else {
            return if source.part_number.is_empty() { Need::Name } else { Need::Row(source) };
        };
        let wanted = Fields {
            // A row that has lost its number keeps the one by which it was known.
            part_number: if source.part_number.is_empty() || source.part_number == indexed.fields.part_number.trim() {
                indexed.fields.part_number.clone()
            } else {
                source.part_number
            },
            qty: if indexed.is_moved { indexed.fields.qty } else { source.qty },
            ..source
        };
        if wanted == indexed.fields { Need::Nothing } else { Need::Update(indexed.id, wanted) }
    }

    fn has_moved_apart(&self) -> bool {
        self.indexed.as_ref().is_some_and(|indexed| indexed.is_moved && indexed.fields.qty != self.source.qty)
    }
}

/// Looks at the rows of `table` after those of `previous` and does about them what `mode` says; all or nothing. The ledger
/// gets an entry, of the instant `now`, for each row that the index gets, has changed or loses.
///
/// # Errors
/// When the database fails; what earlier batches did stays.
pub async fn next_batch(
    db: &Pool,
    table: Table,
    previous: Batch,
    mode: Mode,
    now: DateTime<Utc>,
) -> Result<(Batch, Findings), ApiError> {
    db::retry(|| async {
        let mut transaction = Transaction::begin(db).await?;
        let done = reindex_batch(&mut transaction, table, previous, mode, now).await;
        transaction.commit_or_roll_back(done).await
    })
    .await
}

async fn reindex_batch(
    connection: &mut MySqlConnection,
    table: Table,
    previous: Batch,
    mode: Mode,
    now: DateTime<Utc>,
) -> Result<(Batch, Findings), ApiError> {
    let batch = store::batch_after(connection, table, previous.to).await?;
    if mode != Mode::DryRun {
        // Before anything is read: a change that comes now waits, and one that came earlier is seen whole.
        store::lock_batch(connection, table, batch).await?;
    }
    let mut findings = Findings::default();
    let mut new = Vec::new();
    let mut entries = Vec::new();
    let mut enter = |index_id, part_number: String, previous_qty, new_qty, notes: &str| {
        entries.push(Entry {
            // As the ledger keeps it.
            at: now.trunc_subsecs(0),
            action: Action::Reindex,
            index_id,
            part_number,
            previous_qty,
            new_qty,
            ro_number: None,
            notes: Some(notes.to_owned()),
            actor: Actor::program("rotracker reindex"),
        });
    };
    for pair in store::pairs(connection, table, batch).await? {
        findings.rows += 1;
        findings.moved += u64::from(pair.has_moved_apart());
        match pair.need() {
            Need::Nothing => {}
            Need::Name => findings.nameless += 1,
            Need::Row(fields) => {
                findings.missing += 1;
                new.push((pair.row_id, fields));
            }
            Need::Update(id, fields) => {
                findings.outdated += 1;
                if mode == Mode::Rebuild {
                    store::update_indexed(connection, id, &fields).await?;
                    let was = pair.indexed.map(|indexed| indexed.fields).unwrap_or_default();
                    let notes = format!("as its table has it{}", difference(&was, &fields));
                    enter(id, fields.part_number, was.qty, fields.qty, &notes);
                }
            }
        }
    }
    if mode != Mode::DryRun && !new.is_empty() {
        store::add_indexed(connection, table, &new).await?;
        let added: HashSet<i64> = new.iter().map(|(row_id, _)| *row_id).collect();
        for (id, row_id, part_number, qty) in store::without_entries(connection, table, batch).await? {
            if added.contains(&row_id) {
                enter(id, part_number, 0, qty, "added to the index");
            }
        }
    }
    for gone in store::gone(connection, table, batch).await? {
        if gone.is_moved {
            findings.gone_with_history += 1;
            continue;
        }
        findings.gone += 1;
        if mode == Mode::Rebuild {
            store::remove_indexed(connection, gone.id).await?;
            enter(gone.id, gone.part_number, gone.qty, 0, "removed from the index");
        }
    }
    store::add_entries(connection, &entries).await?;
    Ok((batch, findings))
}

/// What differs apart from the quantity, of which an entry of the ledger says more.
fn difference(was: &Fields, is: &Fields) -> String {
    let shown = |text: Option<&str>| text.map_or("nothing".to_owned(), |text| format!("{text:?}"));
    [
        ("part number", Some(&*was.part_number), Some(&*is.part_number)),
        ("condition", was.condition.as_deref(), is.condition.as_deref()),
        ("location", was.location.as_deref(), is.location.as_deref()),
    ]
    .into_iter()
    .filter(|(_, was, is)| was != is)
    .map(|(field, was, is)| format!(", {field} {} instead of {}", shown(is), shown(was)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(part_number: &str, qty: i64, location: &str) -> Fields {
        Fields {
            part_number: part_number.to_owned(),
            qty,
            condition: Some("SV".to_owned()),
            location: Some(location.to_owned()),
        }
    }

    fn pair(source: Fields, indexed: Option<(Fields, bool)>) -> Pair {
        let indexed = indexed.map(|(fields, is_moved)| Indexed { id: IndexId(7), fields, is_moved });
        Pair { row_id: 1, source, indexed }
    }

    #[test]
    fn each_row_gets_what_it_needs_and_no_moved_quantity_is_touched() {
        let same = fields("A-1", 3, "S1");
        let update = |fields| Need::Update(IndexId(7), fields);
        for (what, pair, need) in [
            ("missing", pair(fields(" A-1 ", 3, "S1"), None), Need::Row(same.clone())),
            ("without a number", pair(fields("  ", 3, "S1"), None), Need::Name),
            ("the same", pair(same.clone(), Some((same.clone(), false))), Need::Nothing),
            ("blanks around", pair(fields(" A-1 ", 3, "S1"), Some((same.clone(), true))), Need::Nothing),
            ("moved shelf", pair(fields("A-1", 3, "S2"), Some((same.clone(), false))), update(fields("A-1", 3, "S2"))),
            ("new count", pair(fields("A-1", 9, "S1"), Some((same.clone(), false))), update(fields("A-1", 9, "S1"))),
            ("new count, moved", pair(fields("A-1", 9, "S1"), Some((same.clone(), true))), Need::Nothing),
            ("all, moved", pair(fields("B", 9, "S2"), Some((same.clone(), true))), update(fields("B", 3, "S2"))),
            ("number lost", pair(fields("", 3, "S1"), Some((same.clone(), false))), Need::Nothing),
        ] {
            assert_eq!(pair.need(), need, "{what}");
        }
        assert!(pair(fields("A-1", 9, "S1"), Some((same.clone(), true))).has_moved_apart());
        assert!(!pair(fields("A-1", 9, "S1"), Some((same, false))).has_moved_apart());
    }

    #[test]
    fn what_differs_is_told_field_by_field() {
        let (was, is) = (fields("A-1", 3, "S1"), Fields { condition: None, ..fields("A-2", 9, "S1") });
        let told = r#", part number "A-2" instead of "A-1", condition nothing instead of "SV""#;
        assert_eq!((difference(&was, &is), difference(&was, &was)), (told.to_owned(), String::new()));
    }
}
