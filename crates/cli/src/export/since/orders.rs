//! The orders that were changed: as the old database has them, and as they are now.

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
    changed_at: Timestamp,
    changed_by: Option<String>,
}

/// What happened to an order, all changes taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ChangeKind {
    #[default]
    Created,
    Changed,
    Moved,
    Deleted,
}

impl ChangeKind {
    fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Changed => "CHANGED",
            Self::Moved => "MOVED",
            Self::Deleted => "DELETED",
        }
    }
}

impl OrderChange {
    /// Returns whether this order now has the number that `other` had, and the old database knows `other` by its number only. Then the
    /// statements for the one could reach the row of the other.
    pub(super) fn has_number_of(&self, other: &Self) -> bool {
        self.now.id != other.now.id
            && self.now.ro_number == other.before.ro_number
            && other.kind != ChangeKind::Created
            && other.old_row.is_none()
    }
}

/// Lists the orders that are not as they were at `since`, by id. Orders that were created and deleted since are none.
pub(super) async fn changes(connection: &mut MySqlConnection, since: DateTime<Utc>) -> Result<Vec<OrderChange>> {
    let history = store::history(connection, since).await?;
    let skipped = store::skipped_orders(connection).await?;
    let mut changes = Vec::new();
    for entries in history.chunk_by(|one, next| one.order_id == next.order_id) {
        let Some(last) = entries.last() else { continue };
        let id: i64 = last.order_id.parse()?;
        let before = state_before(entries, since).with_context(|| format!("the history of the order {id}"))?;
        let now = ros::store::find(connection, &OrderKey::Id(id)).await?.map(|detail| detail.order);
        let (kind, before, now) = match (before, now) {
            (None, None) => continue,
            (None, Some(now)) => (ChangeKind::Created, RepairOrder::default(), now),
            (Some(before), None) => (ChangeKind::Deleted, before.clone(), before),
            (Some(before), Some(now)) if before.archive_status != now.archive_status => {
                (ChangeKind::Moved, before, now)
            }
            (Some(before), Some(now)) if before.columns() == now.columns() => continue,
            (Some(before), Some(now)) => (ChangeKind::Changed, before, now),
        };
        let old_row = store::old_row(connection, "ro_registry", id).await?;
        changes.push(OrderChange {
            kind,
            old_row: old_row.filter(|row| row.table == before.archive_status.table()),
            copies: skipped.iter().filter(|row| row.order_number() == before.ro_number).cloned().collect(),
            before,
            now: RepairOrder { id, ..now },
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

/// Returns the order as the old database has it: as it was at `since`, or as a later import has read it. `None` if it did not exist.
fn state_before(entries: &[HistoryEntry], since: DateTime<Utc>) -> serde_json::Result<Option<RepairOrder>> {
    let mut fields = Map::new();
    for entry in entries {
        if entry.timestamp.0 >= since && entry.action != HistoryAction::Imported.name() {
            continue;
        }
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
    }
    if fields.is_empty() { Ok(None) } else { serde_json::from_value(Value::Object(fields)).map(Some) }
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
