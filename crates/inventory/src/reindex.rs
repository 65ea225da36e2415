//! `rotracker reindex`: brings the index in line with the eleven tables, whose rows other programs insert, edit and delete. It
//! works in batches beside the running functions. It never sets a quantity that a transaction has changed, since from then on
//! the index is right and not the table.

use std::collections::HashSet;

use app_core::{
    db::{self, Pool},
    http::{Actor, ApiError},
};
use chrono::{DateTime, SubsecRound, Utc};
use sqlx::{FromRow, MySqlConnection};

use crate::{
    model::{IndexId, NewStockTransaction, StockAction, Table, part_number_key},
    store::{self, NewIndexedPart},
};

/// What to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReindexMode {
    /// Count and change nothing.
    DryRun,
    /// Insert the rows that the index misses.
    Complete,
    /// Also update rows that differ, and delete rows that no table has any more.
    Rebuild,
    /// As [`Rebuild`](Self::Rebuild), after tables were emptied and filled anew: a row of the index whose part number differs is
    /// another part, which has the quantity of its table, and the former entries of the ledger no longer name the row.
    RebuildRenumbered,
}

impl ReindexMode {
    fn rebuilds(self) -> bool {
        matches!(self, Self::Rebuild | Self::RebuildRenumbered)
    }
}

/// What was found in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReindexFindings {
    /// Rows of the table.
    pub rows: u64,
    /// Rows of the table that the index misses.
    pub missing: u64,
    /// Rows whose part number, condition, location or quantity differs in the index.
    pub outdated: u64,
    /// Rows whose quantity differs in the index because of a transaction. The index keeps it.
    pub changed_by_transactions: u64,
    /// Rows of the index that the table does not have, without transactions.
    pub vanished: u64,
    /// Rows of the index that the table does not have, with transactions. The index keeps them.
    pub vanished_with_transactions: u64,
    /// Rows of the table without a part number, by which nobody could search for them.
    pub without_number: u64,
}

impl std::ops::AddAssign for ReindexFindings {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.missing += other.missing;
        self.outdated += other.outdated;
        self.changed_by_transactions += other.changed_by_transactions;
        self.vanished += other.vanished;
        self.vanished_with_transactions += other.vanished_with_transactions;
        self.without_number += other.without_number;
    }
}

/// The rows of a table with ids after `after`, up to and including `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowIdRange {
    pub after: i64,
    pub to: i64,
}

impl RowIdRange {
    /// The empty batch before the first one.
    pub const START: Self = Self { after: -1, to: -1 };

    pub fn is_last(self) -> bool {
        self.to == i64::MAX
    }
}

/// A row of a table and its row of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowWithIndex {
    /// The id in the table.
    pub row_id: i64,
    /// The part according to the table.
    pub part: IndexedPart,
    /// The row of the index, if there is one.
    pub index: Option<IndexEntry>,
}

/// The columns that the tables and the index have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct IndexedPart {
    pub part_number: String,
    /// `None` if unknown.
    pub qty: Option<i64>,
    pub condition: Option<String>,
    pub location: Option<String>,
}

/// A row of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    pub id: IndexId,
    /// The part according to the index.
    pub part: IndexedPart,
    /// Whether a transaction has changed the quantity.
    pub quantity_was_changed: bool,
}

/// A row of the index which the ledger knows as another part. One such row may be a corrected number; many mean that another
/// program has emptied and filled tables, so that ids mean other parts than before.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct RenumberedRow {
    pub index_id: IndexId,
    /// The number in the index or, if it has that of the ledger, in the part's table.
    pub part_number: String,
    /// The number in the ledger.
    pub former_number: String,
}

/// A row of the index that no table has.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct VanishedRow {
    pub index_id: IndexId,
    pub part_number: String,
    pub qty: Option<i64>,
    /// Whether a transaction has changed the quantity.
    pub quantity_was_changed: bool,
}

/// What the index needs for a row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
enum IndexUpdate {
    None,
    /// The row has no part number and cannot be indexed.
    NoNumber,
    Insert(IndexedPart),
    Update(IndexId, IndexedPart),
}

impl RowWithIndex {
    /// Returns whether the table has another part than the index.
    fn is_renumbered(&self) -> bool {
        let number = part_number_key(&self.part.part_number);
        let indexed = self.index.as_ref().map(|index| part_number_key(&index.part.part_number));
        !number.is_empty() && indexed.is_some_and(|indexed| indexed != number)
    }

    fn index_update(&self, mode: ReindexMode) -> IndexUpdate {
        let part = IndexedPart { part_number: self.part.part_number.trim().to_owned(), ..self.part.clone() };
        let Some(index) = &self.index else {
            return if part.part_number.is_empty() { IndexUpdate::NoNumber } else { IndexUpdate::Insert(part) };
        };
        let wanted = IndexedPart {
            // A row that has lost its number keeps the one that the index has.
            part_number: if part.part_number.is_empty() || part.part_number == index.part.part_number.trim() {
                index.part.part_number.clone()
            } else {
                part.part_number
            },
            qty: if index.quantity_was_changed && !(mode == ReindexMode::RebuildRenumbered && self.is_renumbered()) {
                index.part.qty
            } else {
                part.qty
            },
            ..part
        };
        if wanted == index.part { IndexUpdate::None } else { IndexUpdate::Update(index.id, wanted) }
    }

    /// Returns whether the quantity differs in the index because of a transaction.
    fn differs_by_transactions(&self) -> bool {
        self.index.as_ref().is_some_and(|index| index.quantity_was_changed && index.part.qty != self.part.qty)
    }
}

/// Reindexes the batch of `table` after `previous`, all of it or nothing. The ledger gets a transaction at the time `now` for each
/// row of the index that is inserted, changed or deleted.
///
/// # Errors
/// When the database fails. The work of earlier batches stays.
pub async fn reindex_next_batch(
    db: &Pool,
    table: Table,
    previous: RowIdRange,
    mode: ReindexMode,
    now: DateTime<Utc>,
) -> Result<(RowIdRange, ReindexFindings), ApiError> {
    db::transaction!(db, |connection| {
        let batch = store::next_batch(connection, table, previous.to).await?;
        let findings = reindex_batch(connection, table, batch, mode, now).await?;
        Ok((batch, findings))
    })
}

async fn reindex_batch(
    connection: &mut MySqlConnection,
    table: Table,
    batch: RowIdRange,
    mode: ReindexMode,
    now: DateTime<Utc>,
) -> Result<ReindexFindings, ApiError> {
    if mode != ReindexMode::DryRun {
        // Before anything is read, so that changes of quantities are seen whole or wait.
        store::lock_batch(connection, table, batch).await?;
    }
    let mut findings = ReindexFindings::default();
    let mut new_rows = Vec::new();
    let mut transactions = Vec::new();
    let mut record = |index_id, part_number: String, previous_qty, new_qty, notes: &str| {
        transactions.push(NewStockTransaction {
            // The column has whole seconds.
            timestamp: now.trunc_subsecs(0),
            action: StockAction::Reindex,
            index_id,
            part_number,
            previous_qty,
            new_qty,
            ro_number: None,
            notes: Some(notes.to_owned()),
            actor: Actor::program("rotracker reindex"),
        });
    };
    for row in store::list_rows_with_index(connection, table, batch).await? {
        findings.rows += 1;
        findings.changed_by_transactions += u64::from(row.differs_by_transactions());
        match row.index_update(mode) {
            IndexUpdate::None => {}
            IndexUpdate::NoNumber => findings.without_number += 1,
            IndexUpdate::Insert(part) => {
                findings.missing += 1;
                new_rows.push(NewIndexedPart { row_id: row.row_id, part, last_seen: Some(now.trunc_subsecs(0)) });
            }
            IndexUpdate::Update(id, part) => {
                findings.outdated += 1;
                if mode.rebuilds() {
                    store::update_indexed(connection, id, &part).await?;
                    if mode == ReindexMode::RebuildRenumbered && row.is_renumbered() {
                        store::release_entries_of_other_parts(connection, &[id]).await?;
                    }
                    let old = row.index.map(|index| index.part).unwrap_or_default();
                    let notes = format!("as its table has it{}", describe_difference(&old, &part));
                    record(id, part.part_number, old.qty, part.qty, &notes);
                }
            }
        }
    }
    if mode != ReindexMode::DryRun && !new_rows.is_empty() {
        store::insert_indexed(connection, table, &new_rows).await?;
        let inserted: HashSet<i64> = new_rows.iter().map(|row| row.row_id).collect();
        for row in store::list_rows_without_transactions(connection, table, batch).await? {
            if inserted.contains(&row.row_id) {
                record(row.index_id, row.part_number, Some(0), row.qty, "added to the index");
            }
        }
    }
    for vanished in store::list_vanished(connection, table, batch).await? {
        if vanished.quantity_was_changed {
            findings.vanished_with_transactions += 1;
            continue;
        }
        findings.vanished += 1;
        if mode.rebuilds() {
            store::remove_indexed(connection, vanished.index_id).await?;
            record(vanished.index_id, vanished.part_number, vanished.qty, Some(0), "removed from the index");
        }
    }
    store::insert_transactions(connection, &transactions).await?;
    Ok(findings)
}

/// Describes the differences for the notes of a transaction, which itself says how two known quantities differ.
fn describe_difference(old: &IndexedPart, new: &IndexedPart) -> String {
    let shown = |text: Option<&str>| text.map_or("nothing".to_owned(), |text| format!("{text:?}"));
    let pieces = |quantity: Option<i64>| quantity.map_or("unknown".to_owned(), |quantity| quantity.to_string());
    let unknown_quantity = (old.qty != new.qty && (old.qty.is_none() || new.qty.is_none()))
        .then(|| format!(", quantity {} instead of {}", pieces(new.qty), pieces(old.qty)));
    [
        ("part number", Some(&*old.part_number), Some(&*new.part_number)),
        ("condition", old.condition.as_deref(), new.condition.as_deref()),
        ("location", old.location.as_deref(), new.location.as_deref()),
    ]
    .into_iter()
    .filter(|(_, old, new)| old != new)
    .map(|(field, old, new)| format!(", {field} {} instead of {}", shown(new), shown(old)))
    .chain(unknown_quantity)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(part_number: &str, qty: i64, location: &str) -> IndexedPart {
        IndexedPart {
            part_number: part_number.to_owned(),
            qty: Some(qty),
            condition: Some("SV".to_owned()),
            location: Some(location.to_owned()),
        }
    }

    fn row(part: IndexedPart, index: Option<(IndexedPart, bool)>) -> RowWithIndex {
        let index = index.map(|(part, quantity_was_changed)| IndexEntry { id: IndexId(7), part, quantity_was_changed });
        RowWithIndex { row_id: 1, part, index }
    }

    #[test]
    fn quantities_changed_by_transactions_are_kept() {
        let same = part("A-1", 3, "S1");
        let update = |part| IndexUpdate::Update(IndexId(7), part);
        for (case, row, update) in [
            ("missing", row(part(" A-1 ", 3, "S1"), None), IndexUpdate::Insert(same.clone())),
            ("without a number", row(part("  ", 3, "S1"), None), IndexUpdate::NoNumber),
            ("the same", row(same.clone(), Some((same.clone(), false))), IndexUpdate::None),
            ("blanks around", row(part(" A-1 ", 3, "S1"), Some((same.clone(), true))), IndexUpdate::None),
            ("other shelf", row(part("A-1", 3, "S2"), Some((same.clone(), false))), update(part("A-1", 3, "S2"))),
            ("new count", row(part("A-1", 9, "S1"), Some((same.clone(), false))), update(part("A-1", 9, "S1"))),
            ("new count, changed", row(part("A-1", 9, "S1"), Some((same.clone(), true))), IndexUpdate::None),
            ("all, changed", row(part("B", 9, "S2"), Some((same.clone(), true))), update(part("B", 3, "S2"))),
            (
                "no count any more",
                row(IndexedPart { qty: None, ..same.clone() }, Some((same.clone(), false))),
                update(IndexedPart { qty: None, ..same.clone() }),
            ),
            ("number lost", row(part("", 3, "S1"), Some((same.clone(), false))), IndexUpdate::None),
        ] {
            assert_eq!(row.index_update(ReindexMode::Rebuild), update, "{case}");
        }
        for (case, row, update) in [
            ("another part", row(part("B", 9, "S1"), Some((same.clone(), true))), update(part("B", 9, "S1"))),
            ("the same part", row(part("a - 1", 9, "S1"), Some((same.clone(), true))), update(part("a - 1", 3, "S1"))),
            ("number lost", row(part("", 9, "S1"), Some((same.clone(), true))), IndexUpdate::None),
        ] {
            assert_eq!(row.index_update(ReindexMode::RebuildRenumbered), update, "{case}");
        }
        assert!(row(part("A-1", 9, "S1"), Some((same.clone(), true))).differs_by_transactions());
        assert!(!row(part("A-1", 9, "S1"), Some((same, false))).differs_by_transactions());
    }

    #[test]
    fn differences_are_described_by_field() {
        let (old, new) = (part("A-1", 3, "S1"), IndexedPart { condition: None, ..part("A-2", 9, "S1") });
        let told = r#", part number "A-2" instead of "A-1", condition nothing instead of "SV""#;
        assert_eq!(
            (describe_difference(&old, &new), describe_difference(&old, &old)),
            (told.to_owned(), String::new())
        );
        let unknown = IndexedPart { qty: None, ..old.clone() };
        assert_eq!(describe_difference(&old, &unknown), ", quantity unknown instead of 3");
        assert_eq!(describe_difference(&unknown, &old), ", quantity 3 instead of unknown");
    }
}
