//! The history of repair orders. Every change adds an entry in its own transaction. The entries of an order, applied one after
//! the other, give its state after the last change by this service. A `FOUND` entry starts over from an empty order.

use app_core::{
    Digest,
    http::{Actor, ApiError},
    openapi::Digits,
    values::{Day, Money, Timestamp},
};
use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use sqlx::{FromRow, Row, mysql::MySqlRow};
use utoipa::ToSchema;

use super::{ColumnValue, RepairOrder};

/// What a history entry records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryAction {
    /// The order was created.
    Created,
    /// Fields were changed.
    Updated,
    /// The status was set through the status route.
    Status,
    /// The order was moved to another table, maybe with changes of fields.
    Moved,
    /// The order was deleted.
    Deleted,
    /// `rotracker import` inserted or changed the order.
    Imported,
    /// Another program had changed the order. The entry has the whole order as it was found just before the next change.
    Found,
}

impl HistoryAction {
    pub const ALL: [Self; 7] =
        [Self::Created, Self::Updated, Self::Status, Self::Moved, Self::Deleted, Self::Imported, Self::Found];

    /// Returns the name that the database and responses use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Updated => "UPDATED",
            Self::Status => "STATUS",
            Self::Moved => "MOVED",
            Self::Deleted => "DELETED",
            Self::Imported => "IMPORTED",
            Self::Found => "FOUND",
        }
    }
}

app_core::described_as_one_of!(HistoryAction, "HistoryAction", HistoryAction::ALL.map(HistoryAction::name));

/// An order that is locked until the transaction ends, with the state of its history.
#[derive(Clone, Debug, PartialEq)]
pub struct LockedOrder {
    pub order: RepairOrder,
    /// The number of its last history entry; 0 if it has none.
    pub revision: i64,
    /// The digest of the order after that entry.
    pub digest: Option<OrderDigest>,
    /// The names of columns that other programs have added to its table. A move copies them.
    pub other_columns: Vec<String>,
}

impl LockedOrder {
    /// Returns whether the order is as its last history entry left it. If not, another program has changed it.
    fn is_unchanged(&self) -> Result<bool, ApiError> {
        match &self.digest {
            Some(digest) => digest.matches(&self.order),
            None => Ok(false),
        }
    }
}

/// A digest of an order, by which the next change notices that another program has changed the order meanwhile.
///
/// It names the columns that it covers. So an order does not look changed when a later version of this program adds a
/// column, not even while both versions run side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderDigest {
    pub digest: Vec<u8>,
    /// The names of the columns, separated by commas.
    pub columns: String,
}

/// The kind of a change and its originator.
#[derive(Clone, Debug)]
pub struct ChangeContext {
    pub action: HistoryAction,
    pub actor: Actor,
    /// The cost that was sent together with a status, even if the order has had it before.
    pub cost: Option<Money>,
}

/// A history entry to be inserted.
#[derive(Clone, Debug)]
pub struct NewHistoryEntry {
    pub order_id: i64,
    /// The number of the entry among those of its order, from 1.
    pub revision: i64,
    /// The number of the order after the change.
    pub ro_number: String,
    pub action: HistoryAction,
    pub changed_at: DateTime<Utc>,
    pub actor: Actor,
    /// A JSON list of [`FieldChange`].
    pub changes: String,
    /// None after a deletion.
    pub digest: Option<OrderDigest>,
    /// None unless the change set the status.
    pub status_change: Option<StatusChange>,
}

/// A field that a change altered.
#[derive(Debug, Serialize, ToSchema)]
struct FieldChange<'a> {
    /// The name of the field in responses.
    field: &'a str,
    /// The value before the change.
    #[schema(value_type = Option<String>)]
    old: &'a Value,
    /// The value after the change.
    #[schema(value_type = Option<String>)]
    new: &'a Value,
}

/// A status that an order had.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StatusStep)]
pub struct StatusChange {
    /// The status.
    pub status: String,
    /// The date of the status.
    pub date: Option<Day>,
    /// The subject of the token of the person who set it; null without authentication, or if another program set it.
    pub user: Option<String>,
    /// The final cost, or else the estimated cost, that was sent with it.
    pub cost: Option<Money>,
    /// The text that was added to the notes.
    pub notes: Option<String>,
}

/// A history entry as responses show it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The number of the entry among those of its order, from 1.
    pub revision: i64,
    /// The order's id, a string of digits.
    #[schema(value_type = Digits)]
    pub order_id: String,
    /// The number of the order after the change, or its last number if it was deleted.
    pub ro_number: String,
    /// The kind of the change.
    #[schema(value_type = HistoryAction)]
    pub action: String,
    /// The time of the change; for `FOUND`, the time at which this service noticed it.
    pub timestamp: Timestamp,
    /// The subject of the token of the person who made the change; null without authentication.
    pub user: Option<String>,
    /// The program that made the change, if no request asked for it.
    pub program: Option<String>,
    /// The id of the request, which its log lines carry, too.
    pub request_id: Option<String>,
    /// The changed fields, a list of `{field, old, new}`.
    #[schema(value_type = Vec<FieldChange<'_>>)]
    pub changes: Box<RawValue>,
}

/// The place of an entry in the history of its order, newest first.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, Deserialize)]
pub struct HistoryPlace {
    pub place_revision: i64,
}

impl OrderDigest {
    /// Digests all columns that this version of the program knows.
    ///
    /// # Errors
    /// When the values cannot be written as JSON, which would be a defect.
    pub fn of(order: &RepairOrder) -> Result<Self, ApiError> {
        let names: Vec<&str> = covered_columns(order).into_iter().map(|(name, _)| name).collect();
        let columns = names.join(",");
        let digest = digest_of_columns(order, &columns)?.unwrap_or_default();
        Ok(Self { digest, columns })
    }

    /// Returns whether `order` is as it was when the digest was made. If the digest covers columns that this version does not
    /// know, a later version made it. This one cannot check it, and assumes that the order is unchanged.
    pub(crate) fn matches(&self, order: &RepairOrder) -> Result<bool, ApiError> {
        Ok(digest_of_columns(order, &self.columns)?.is_none_or(|digest| digest == self.digest))
    }
}

/// Returns the columns that a digest covers: all, and the archive status.
fn covered_columns(order: &RepairOrder) -> Vec<(&'static str, ColumnValue<'_>)> {
    let archive = ("archive", ColumnValue::Text(Some(order.archive_status.name())));
    order.columns().into_iter().chain([archive]).collect()
}

/// Digests the columns that `names` lists, separated by commas. Returns `None` if one of them is unknown.
fn digest_of_columns(order: &RepairOrder, names: &str) -> Result<Option<Vec<u8>>, ApiError> {
    let covered = covered_columns(order);
    let values: Option<Vec<Value>> = names
        .split(',')
        .map(|name| {
            let (_, value) = covered.iter().find(|(column, _)| *column == name)?;
            Some(match value {
                ColumnValue::Text(text) => Value::from(*text),
                ColumnValue::Day(day) => Value::from(day.map(|day| day.to_string())),
                ColumnValue::Money(money) => Value::from(money.map(|money| money.to_string())),
            })
        })
        .collect();
    values.map(|values| Digest::of(&values).map(|digest| digest.as_bytes().to_vec())).transpose()
}

/// Returns the history entries for a change from `old` (`None` for a new order) to `new` (`None` for a deleted one): none if
/// nothing changed, and two if another program had changed the order since its last entry. `now` must be taken under the
/// order's lock, so that the times of entries are in their order.
///
/// # Errors
/// When an order cannot be written as JSON, which would be a defect.
pub fn history_of_change(
    old: Option<&LockedOrder>,
    new: Option<&RepairOrder>,
    context: &ChangeContext,
    now: DateTime<Utc>,
) -> Result<Vec<NewHistoryEntry>, ApiError> {
    let old_order = old.map(|locked| &locked.order);
    // The entry of a deletion has the number that the order had.
    let Some(order) = new.or(old_order) else { return Ok(Vec::new()) };
    let Some(changes) = field_changes(old_order, new)? else { return Ok(Vec::new()) };
    let entry = |order: &RepairOrder, revision, changes, old, new: Option<&RepairOrder>, context: &ChangeContext| {
        Ok::<_, ApiError>(NewHistoryEntry {
            order_id: order.id,
            revision,
            ro_number: order.ro_number.trim().to_owned(),
            action: context.action,
            // The column has milliseconds.
            changed_at: now.trunc_subsecs(3),
            actor: context.actor.clone(),
            changes,
            digest: new.map(OrderDigest::of).transpose()?,
            status_change: new.and_then(|new| status_change(old, new, context)),
        })
    };
    let mut entries = Vec::with_capacity(2);
    let mut revision = old.map_or(0, |locked| locked.revision);
    if let Some(locked) = old
        && !locked.is_unchanged()?
    {
        let found = ChangeContext { action: HistoryAction::Found, actor: Actor::default(), cost: None };
        let all_fields = field_changes(None, Some(&locked.order))?.unwrap_or_default();
        revision += 1;
        entries.push(entry(&locked.order, revision, all_fields, None, Some(&locked.order), &found)?);
    }
    entries.push(entry(order, revision + 1, changes, old_order, new, context)?);
    Ok(entries)
}

/// Returns the differences as a JSON list of [`FieldChange`], or `None` if there are none.
fn field_changes(old: Option<&RepairOrder>, new: Option<&RepairOrder>) -> Result<Option<String>, ApiError> {
    let fields = |order: Option<&RepairOrder>| match order.map(serde_json::to_value) {
        Some(Ok(Value::Object(fields))) => Ok(fields),
        Some(Err(error)) => Err(ApiError::internal(error)),
        _ => Ok(Map::new()),
    };
    let (old, new) = (fields(old)?, fields(new)?);
    let names = if new.is_empty() { old.keys() } else { new.keys() };
    let changes: Vec<FieldChange<'_>> = names
        // The entry itself has the id.
        .filter(|name| *name != "id")
        .map(|field| FieldChange {
            field,
            old: old.get(field).unwrap_or(&Value::Null),
            new: new.get(field).unwrap_or(&Value::Null),
        })
        .filter(|change| change.old != change.new)
        .collect();
    if changes.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(&changes).map(Some).map_err(ApiError::internal)
}

/// Returns the status of `new` with the cost and the notes that came with it, if the change set the status or its date, or came
/// through the status route.
fn status_change(old: Option<&RepairOrder>, new: &RepairOrder, context: &ChangeContext) -> Option<StatusChange> {
    let status = |order: &RepairOrder| (order.current_status.clone(), order.current_status_date);
    if context.action != HistoryAction::Status && old.is_some_and(|old| status(old) == status(new)) {
        return None;
    }
    let changed_cost =
        |cost_of: fn(&RepairOrder) -> Option<Money>| cost_of(new).filter(|cost| old.and_then(cost_of) != Some(*cost));
    // Only the notes that were added at the end, or all of them if they were rewritten.
    let notes = new.notes.as_deref().unwrap_or_default();
    let earlier_notes = old.and_then(|old| old.notes.as_deref()).unwrap_or_default();
    let added_notes =
        notes.strip_prefix(earlier_notes).map_or(notes, |added| added.strip_prefix('\n').unwrap_or(added));
    Some(StatusChange {
        status: new.current_status.clone()?,
        date: new.current_status_date,
        user: context.actor.user().map(str::to_owned),
        cost: context
            .cost
            .or_else(|| changed_cost(|order| order.final_cost))
            .or_else(|| changed_cost(|order| order.estimated_cost)),
        notes: Some(added_notes.to_owned()).filter(|added| !added.is_empty()),
    })
}

impl FromRow<'_, MySqlRow> for HistoryEntry {
    fn from_row(row: &MySqlRow) -> Result<Self, sqlx::Error> {
        let changes: String = row.try_get("changes")?;
        Ok(Self {
            revision: row.try_get("revision")?,
            order_id: row.try_get::<i64, _>("order_id")?.to_string(),
            ro_number: row.try_get("ro_number")?,
            action: row.try_get("action")?,
            timestamp: row.try_get("changed_at")?,
            user: row.try_get("user")?,
            program: row.try_get("program")?,
            request_id: row.try_get("request_id")?,
            changes: RawValue::from_string(changes).map_err(|error| sqlx::Error::Decode(error.into()))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> RepairOrder {
        RepairOrder { id: 7, ro_number: "RO1".to_owned(), ..RepairOrder::default() }
    }

    fn context(action: HistoryAction) -> ChangeContext {
        ChangeContext { action, actor: Actor::program("test"), cost: None }
    }

    fn noon() -> DateTime<Utc> {
        "2024-11-15T12:00:00.123456Z".parse().unwrap()
    }

    #[test]
    fn unchanged_orders_get_no_entry() {
        let locked = LockedOrder { order: order(), revision: 0, digest: None, other_columns: Vec::new() };
        assert!(
            history_of_change(Some(&locked), Some(&order()), &context(HistoryAction::Updated), noon())
                .unwrap()
                .is_empty()
        );
        assert!(history_of_change(None, None, &context(HistoryAction::Updated), noon()).unwrap().is_empty());
    }

    #[test]
    fn changes_of_other_programs_are_found() {
        let new = RepairOrder { terms: Some("COD".to_owned()), ..order() };
        let found =
            r#"[{"field":"archiveStatus","old":null,"new":"ACTIVE"},{"field":"roNumber","old":null,"new":"RO1"}]"#;
        let changed = r#"[{"field":"terms","old":null,"new":"COD"}]"#;
        let digest = OrderDigest::of(&order()).unwrap();
        let other = OrderDigest { digest: vec![0; 16], ..digest.clone() };
        let unchanged = vec![(4, "UPDATED", changed)];
        let found = vec![(4, "FOUND", found), (5, "UPDATED", changed)];
        for (digest, expected) in [(Some(digest), unchanged), (Some(other), found.clone()), (None, found)] {
            let locked = LockedOrder { order: order(), revision: 3, digest, other_columns: Vec::new() };
            let entries =
                history_of_change(Some(&locked), Some(&new), &context(HistoryAction::Updated), noon()).unwrap();
            let written: Vec<_> =
                entries.iter().map(|entry| (entry.revision, entry.action.name(), &*entry.changes)).collect();
            assert_eq!(written, expected);
        }
    }

    #[test]
    fn status_changes_have_their_cost_and_notes() {
        let cost = |text: &str| Some(Money::parse(text).unwrap());
        let old = RepairOrder { current_status: Some("A".to_owned()), notes: Some("one".to_owned()), ..order() };
        let set = |change: fn(&mut RepairOrder)| {
            let mut new = RepairOrder { current_status: Some("B".to_owned()), ..old.clone() };
            change(&mut new);
            let step = status_change(Some(&old), &new, &context(HistoryAction::Updated)).unwrap();
            (step.cost, step.notes)
        };
        assert_eq!(set(|_| {}), (None, None));
        assert_eq!(set(|order| order.estimated_cost = Money::parse("1").ok()), (cost("1"), None));
        assert_eq!(set(|order| order.notes = Some("one\ntwo".to_owned())), (None, Some("two".to_owned())));
        assert_eq!(set(|order| order.notes = Some("other".to_owned())), (None, Some("other".to_owned())));
        assert_eq!(set(|order| order.notes = None), (None, None));
        let terms = RepairOrder { terms: Some("COD".to_owned()), ..old.clone() };
        assert_eq!(status_change(Some(&old), &terms, &context(HistoryAction::Updated)), None);
        assert!(status_change(Some(&old), &terms, &context(HistoryAction::Status)).is_some());
    }

    #[test]
    fn digests_cover_the_columns_that_they_name() {
        let later = RepairOrder { terms: Some("COD".to_owned()), ..order() };
        // A version that did not know TERMS yet.
        let earlier_version = OrderDigest {
            digest: digest_of_columns(&order(), "RO,NOTES").unwrap().unwrap(),
            columns: "RO,NOTES".to_owned(),
        };
        assert!(earlier_version.matches(&later).unwrap());
        assert!(!earlier_version.matches(&RepairOrder { notes: Some("x".to_owned()), ..order() }).unwrap());
        // A version that knows a column more.
        let later_version = OrderDigest { digest: vec![0; 16], columns: "RO,NOTES,A_NEW_COLUMN".to_owned() };
        assert!(later_version.matches(&order()).unwrap());
        let all = OrderDigest::of(&order()).unwrap();
        assert!(all.matches(&order()).unwrap() && !all.matches(&later).unwrap());
    }
}
