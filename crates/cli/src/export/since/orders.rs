//! The orders that were changed: as the old database has them, and as they are now.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use app_core::{
    http::{Cell, Record},
    values::Timestamp,
};
use chrono::{DateTime, Utc};
use ros::model::{HistoryAction, HistoryEntry, OrderKey, RepairOrder};
use serde::Deserialize;
use serde_json::{Map, Value};
use sqlx::MySqlConnection;

use super::store::{self, OldRow};

/// A change of an order over the whole period.
#[derive(Debug)]
pub(super) struct OrderChange {
    pub(super) kind: ChangeKind,
    /// The order as the old database has it; the default one if that does not have it.
    pub(super) before: RepairOrder,
    /// The order now, or as it was if it was deleted.
    pub(super) now: RepairOrder,
    /// Its row in the old database, if the importer has read it there, and the order was not moved between the import and the period.
    pub(super) old_row: Option<OldRow>,
    /// Further rows of the same order in the old database, which count no more.
    pub(super) copies: Vec<OldRow>,
    /// The columns that were changed in the period, also those that have their old values again. An earlier file may have brought the
    /// values between to the old database.
    pub(super) columns: BTreeSet<&'static str>,
    /// The numbers that the order has had since the start of the period.
    pub(super) numbers: BTreeSet<String>,
    /// The tables that it was in since the start of the period.
    pub(super) tables: BTreeSet<&'static str>,
    changed_at: Timestamp,
    changed_by: Option<String>,
}

impl OrderChange {
    /// Whether the old database did not have the order at the start of the period.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.kind, ChangeKind::Created | ChangeKind::CreatedAndDeleted)
    }

    /// The number that the old database had for the order at the start of the period; that of a new order is its own.
    pub(super) fn known_number(&self) -> &str {
        if self.is_new() { &self.now.ro_number } else { &self.before.ro_number }
    }

    /// Whether the order can only be in the row that the importer has read, because no file of ours has moved it.
    pub(super) fn is_known_by_id(&self) -> bool {
        self.old_row.as_ref().is_some_and(|row| self.tables.iter().all(|table| *table == row.table))
    }

    /// Whether it is another order that has had one of the same numbers.
    pub(super) fn shares_number_with(&self, other: &Self) -> bool {
        self.now.id != other.now.id && !self.numbers.is_disjoint(&other.numbers)
    }
}

/// What happened to an order, all changes taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ChangeKind {
    #[default]
    Created,
    Changed,
    Moved,
    Deleted,
    /// It was changed, and then changed back.
    ChangedBack,
    /// It was created and deleted.
    CreatedAndDeleted,
}

impl ChangeKind {
    fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Changed => "CHANGED",
            Self::Moved => "MOVED",
            Self::Deleted => "DELETED",
            Self::ChangedBack => "CHANGED BACK",
            Self::CreatedAndDeleted => "CREATED AND DELETED",
        }
    }

    /// Whether the order is now other than at the start of the period.
    pub(super) fn is_change(self) -> bool {
        !matches!(self, Self::ChangedBack | Self::CreatedAndDeleted)
    }

    /// Whether the order does not exist any more.
    pub(super) fn is_deletion(self) -> bool {
        matches!(self, Self::Deleted | Self::CreatedAndDeleted)
    }
}

/// Lists the orders that were changed since, by id, also those that are as they were again.
pub(super) async fn changes(connection: &mut MySqlConnection, since: DateTime<Utc>) -> Result<Vec<OrderChange>> {
    let history = store::history(connection, since).await?;
    let skipped = store::skipped_orders(connection).await?;
    let mut changes = Vec::new();
    for entries in history.chunk_by(|one, next| one.order_id == next.order_id) {
        let Some(last) = entries.last() else { continue };
        let id: i64 = last.order_id.parse()?;
        let Course { before, last_state, mut columns, mut numbers, mut tables } =
            Course::of(entries, since).with_context(|| format!("the history of the order {id}"))?;
        let now = ros::store::find(connection, &OrderKey::Id(id)).await?.map(|detail| detail.order);
        let (kind, before, now) = match (before, now) {
            (None, None) => (ChangeKind::CreatedAndDeleted, RepairOrder::default(), last_state),
            (None, Some(now)) => (ChangeKind::Created, RepairOrder::default(), now),
            (Some(before), None) => (ChangeKind::Deleted, before.clone(), before),
            (Some(before), Some(now)) if before.archive_status != now.archive_status => {
                (ChangeKind::Moved, before, now)
            }
            (Some(before), Some(now)) if before.columns() == now.columns() => (ChangeKind::ChangedBack, before, now),
            (Some(before), Some(now)) => (ChangeKind::Changed, before, now),
        };
        columns.extend(different_columns(&before, &now));
        numbers.insert(now.ro_number.clone());
        tables.insert(now.archive_status.table());
        let old_row = store::old_row(connection, "ro_registry", id).await?;
        changes.push(OrderChange {
            kind,
            old_row: old_row.filter(|row| row.table == before.archive_status.table()),
            copies: skipped.iter().filter(|row| row.order_number() == before.ro_number).cloned().collect(),
            before,
            now: RepairOrder { id, ..now },
            columns,
            numbers,
            tables,
            changed_at: last.timestamp,
            changed_by: last.user.clone(),
        });
    }
    Ok(changes)
}

/// A member of the list `changes` of a history entry.
#[derive(Deserialize)]
struct FieldChange {
    field: String,
    new: Value,
}

/// What the history tells of an order.
#[derive(Debug, Default)]
struct Course {
    /// The order as the old database has it: as it was at the start of the period, or as a later import has read it. `None` if it did
    /// not exist.
    before: Option<RepairOrder>,
    /// The order as it last was.
    last_state: RepairOrder,
    columns: BTreeSet<&'static str>,
    numbers: BTreeSet<String>,
    tables: BTreeSet<&'static str>,
}

impl Course {
    /// Applies the entries one after the other.
    fn of(entries: &[HistoryEntry], since: DateTime<Utc>) -> serde_json::Result<Self> {
        let (mut before, mut fields, mut course) = (Map::new(), Map::new(), Self::default());
        for entry in entries {
            let is_ours = entry.timestamp.0 >= since && entry.action != HistoryAction::Imported.name();
            if !is_ours {
                apply(entry, &mut before)?;
            }
            apply(entry, &mut fields)?;
            let Some(state) = order_of(&fields)? else { continue };
            if is_ours {
                course.numbers.insert(state.ro_number.clone());
                course.columns.extend(different_columns(&course.last_state, &state));
                course.tables.insert(state.archive_status.table());
            }
            course.last_state = state;
        }
        course.before = order_of(&before)?;
        if let Some(before) = &course.before {
            course.numbers.insert(before.ro_number.clone());
            course.tables.insert(before.archive_status.table());
        }
        Ok(course)
    }
}

/// Makes the change of an entry to the fields of the order.
fn apply(entry: &HistoryEntry, fields: &mut Map<String, Value>) -> serde_json::Result<()> {
    // Such an entry has the whole order.
    if entry.action == HistoryAction::Found.name() {
        fields.clear();
    }
    for FieldChange { field, new } in serde_json::from_str::<Vec<FieldChange>>(entry.changes.get())? {
        fields.insert(field, new);
    }
    if entry.action == HistoryAction::Deleted.name() {
        fields.clear();
    }
    Ok(())
}

fn order_of(fields: &Map<String, Value>) -> serde_json::Result<Option<RepairOrder>> {
    if fields.is_empty() { Ok(None) } else { serde_json::from_value(Value::Object(fields.clone())).map(Some) }
}

/// Lists the columns in which the two differ.
fn different_columns(one: &RepairOrder, other: &RepairOrder) -> Vec<&'static str> {
    let pairs = one.columns().into_iter().zip(other.columns());
    pairs.filter(|(one, other)| one != other).map(|((column, _), _)| column).collect()
}

/// A changed order as the CSV file has it.
#[derive(Debug, Default)]
pub(super) struct ChangedOrder {
    kind: ChangeKind,
    order: RepairOrder,
    /// The changed fields with both values.
    changes: String,
    archive_before: Option<&'static str>,
    old_row: Option<OldRow>,
    changed_at: Option<Timestamp>,
    changed_by: Option<String>,
}

impl From<OrderChange> for ChangedOrder {
    fn from(change: OrderChange) -> Self {
        let changes = if matches!(change.kind, ChangeKind::Changed | ChangeKind::Moved) {
            changes_text(&change.before, &change.now)
        } else {
            String::new()
        };
        Self {
            kind: change.kind,
            changes,
            archive_before: (change.kind != ChangeKind::Created).then_some(change.before.archive_status.name()),
            order: change.now,
            old_row: change.old_row,
            changed_at: Some(change.changed_at),
            changed_by: change.changed_by,
        }
    }
}

/// Returns the changed fields, a line each.
fn changes_text(before: &RepairOrder, now: &RepairOrder) -> String {
    let [before, now] = [before, now].map(|order| match serde_json::to_value(order) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    });
    let shown = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.strip_suffix("T00:00:00.000Z").unwrap_or(text).to_owned(),
        _ => "nothing".to_owned(),
    };
    let changed = now.iter().filter(|(field, value)| *field != "id" && before.get(*field) != Some(*value));
    let lines =
        changed.map(|(field, value)| format!("{field}: {} -> {}", shown(before.get(field)), shown(Some(value))));
    lines.collect::<Vec<_>>().join("\n")
}

impl Record for ChangedOrder {
    fn cells(&self) -> Vec<(&'static str, Cell<'_>)> {
        let ours = [
            ("change", Cell::Text(Some(self.kind.name()))),
            ("changes", Cell::Text(Some(&self.changes))),
            ("archiveBefore", Cell::Text(self.archive_before)),
            ("changedAt", Cell::Instant(self.changed_at)),
            ("changedBy", Cell::Text(self.changed_by.as_deref())),
            ("oldTable", Cell::Text(self.old_row.as_ref().map(|row| &*row.table))),
            ("oldRow", Cell::Integer(self.old_row.as_ref().map(|row| row.id))),
        ];
        ours.into_iter().chain(self.order.cells()).collect()
    }
}
