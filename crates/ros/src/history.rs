//! What happened to repair orders: every change leaves an entry, in its own transaction. The entries of an order, applied
//! one after the other to nothing, make the order as it is.

use app_core::{
    Digest,
    http::{Actor, ApiError},
    openapi::Digits,
    values::{Day, Money, Timestamp},
};
use chrono::{DateTime, SubsecRound, Utc};
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};
use sqlx::{FromRow, Row, mysql::MySqlRow};
use utoipa::ToSchema;

use crate::model::RepairOrder;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The order was entered.
    Created,
    /// Fields were changed.
    Updated,
    /// The status was set, with what the shop said along with it.
    Status,
    /// The order went to another table, with changes of fields, if any.
    Moved,
    /// The order was deleted.
    Deleted,
    /// Another program had written the order; its entry has the whole order as it was found, just before the next change.
    Found,
}

impl Action {
    /// All six.
    pub const ALL: [Self; 6] = [Self::Created, Self::Updated, Self::Status, Self::Moved, Self::Deleted, Self::Found];

    /// The name in the database and in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Updated => "UPDATED",
            Self::Status => "STATUS",
            Self::Moved => "MOVED",
            Self::Deleted => "DELETED",
            Self::Found => "FOUND",
        }
    }
}

app_core::described_as_one_of!(Action, "HistoryAction", Action::ALL.map(Action::name));

/// An order, and what its history says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The order as it is.
    pub order: RepairOrder,
    /// The number of its last entry; 0 if it has none.
    pub revision: i64,
    /// What the order was after that entry.
    pub digest: Option<Vec<u8>>,
}

/// What happens to an order, and on whose behalf.
#[derive(Clone, Debug)]
pub struct Occasion {
    /// What.
    pub action: Action,
    /// Who.
    pub actor: Actor,
    /// The invoice or the quote that was said along with the status; it need not be another one than before.
    pub cost: Option<Money>,
}

/// An entry as it is written.
#[derive(Clone, Debug)]
pub struct Entry {
    pub order_id: i64,
    pub revision: i64,
    pub ro_number: String,
    pub action: Action,
    pub at: DateTime<Utc>,
    pub actor: Actor,
    pub changes: String,
    pub digest: Option<Digest>,
    pub step: Option<Step>,
}

/// What an entry says of the status, where that was set.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The status.
    pub status: String,
    /// Its day.
    pub date: Option<Day>,
    /// The invoice, or else the quote, that came along with it.
    pub cost: Option<Money>,
    /// What was added to the notes.
    pub notes: Option<String>,
}

/// A field that a change altered, by its name and its values in answers.
#[derive(Debug, Serialize, ToSchema)]
struct FieldChange<'a> {
    /// Its name in answers.
    field: &'a str,
    /// What it was.
    #[schema(value_type = Option<String>)]
    old: &'a Value,
    /// What it is since.
    #[schema(value_type = Option<String>)]
    new: &'a Value,
}

/// A step of the status as the order itself shows it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusStep {
    /// The status.
    pub status: String,
    /// Its day.
    pub date: Option<Day>,
    /// Who set it; none where authentication was off, or another program did.
    pub user: Option<String>,
    /// The invoice, or else the quote, that came along with it.
    pub cost: Option<Money>,
    /// What was added to the notes.
    pub notes: Option<String>,
}

/// An entry as the history shows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Its number among the entries of its order, from 1.
    pub revision: i64,
    /// The order's id, a string of digits.
    #[schema(value_type = Digits)]
    pub order_id: String,
    /// The number that the order had afterwards, or last.
    pub ro_number: String,
    /// What happened.
    #[schema(value_type = Action)]
    pub action: String,
    /// When.
    pub timestamp: Timestamp,
    /// Who: the subject of the verified token; none where authentication was off.
    pub user: Option<String>,
    /// The program, of changes that no request asked for.
    pub program: Option<String>,
    /// The request's id, which is in its log lines.
    pub request_id: Option<String>,
    /// What changed: a list of `{field, old, new}`.
    #[schema(value_type = Vec<FieldChange<'_>>)]
    pub changes: Box<RawValue>,
}

/// The entries for `known` (nothing, for an order that is new) having become `new` (nothing, if it was deleted): none if
/// that is the same, two if another program had written the order since its last entry. `at` is taken under the order's
/// lock, so that one machine's clock has the entries in their order.
///
/// # Errors
/// When an order cannot be written as JSON, which would be a defect.
pub fn entries(
    known: Option<&Known>,
    new: Option<&RepairOrder>,
    occasion: &Occasion,
    at: DateTime<Utc>,
) -> Result<Vec<Entry>, ApiError> {
    let old = known.map(|known| &known.order);
    let Some(named) = new.or(old) else { return Ok(Vec::new()) };
    let changes = changes(old, new)?;
    if changes.is_none() {
        return Ok(Vec::new());
    }
    let mut entries = Vec::with_capacity(2);
    let mut revision = known.map_or(0, |known| known.revision);
    // As the column keeps it.
    let at = at.trunc_subsecs(3);
    if let Some(Known { order, digest, .. }) = known {
        let found = Digest::of(order)?;
        if digest.as_deref() != Some(found.as_bytes()) {
            revision += 1;
            entries.push(Entry {
                order_id: order.id,
                revision,
                ro_number: order.ro_number.trim().to_owned(),
                action: Action::Found,
                at,
                actor: Actor::default(),
                changes: self::changes(None, Some(order))?.unwrap_or_default(),
                digest: Some(found),
                step: Step::between(None, order, Action::Found, None),
            });
        }
    }
    entries.push(Entry {
        order_id: named.id,
        revision: revision + 1,
        ro_number: named.ro_number.trim().to_owned(),
        action: occasion.action,
        at,
        actor: occasion.actor.clone(),
        changes: changes.unwrap_or_default(),
        digest: new.map(Digest::of).transpose()?,
        step: new.and_then(|new| Step::between(old, new, occasion.action, occasion.cost)),
    });
    Ok(entries)
}

/// What differs, as the JSON list `[{field, old, new}]`; nothing if nothing does.
fn changes(old: Option<&RepairOrder>, new: Option<&RepairOrder>) -> Result<Option<String>, ApiError> {
    let fields = |order: Option<&RepairOrder>| match order.map(serde_json::to_value) {
        Some(Ok(Value::Object(fields))) => Ok(fields),
        Some(Err(error)) => Err(ApiError::internal(error)),
        _ => Ok(Map::new()),
    };
    let (old, new) = (fields(old)?, fields(new)?);
    let names = if new.is_empty() { old.keys() } else { new.keys() };
    let changes: Vec<FieldChange<'_>> = names
        // The id is what the entry is about.
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

impl Step {
    /// What a change says of the status: something if it set the status, or its day, or was made to set it. `cost` was said
    /// along with it.
    fn between(old: Option<&RepairOrder>, new: &RepairOrder, action: Action, cost: Option<Money>) -> Option<Self> {
        let status = |order: &RepairOrder| (order.current_status.clone(), order.current_status_date);
        if action != Action::Status && old.is_some_and(|old| status(old) == status(new)) {
            return None;
        }
        let changed = |of: fn(&RepairOrder) -> Option<Money>| of(new).filter(|cost| old.and_then(of) != Some(*cost));
        let notes = new.notes.as_deref().unwrap_or_default();
        let earlier = old.and_then(|old| old.notes.as_deref()).unwrap_or_default();
        let added = notes.strip_prefix(earlier).map_or(notes, |added| added.strip_prefix('\n').unwrap_or(added));
        Some(Self {
            status: new.current_status.clone()?,
            date: new.current_status_date,
            cost: cost.or_else(|| changed(|order| order.final_cost)).or_else(|| changed(|order| order.estimated_cost)),
            notes: Some(added.to_owned()).filter(|added| !added.is_empty()),
        })
    }
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

    fn occasion(action: Action) -> Occasion {
        Occasion { action, actor: Actor::program("test"), cost: None }
    }

    fn noon() -> DateTime<Utc> {
        "2024-11-15T12:00:00.123456Z".parse().unwrap()
    }

    #[test]
    fn a_change_of_nothing_leaves_nothing() {
        let known = Known { order: order(), revision: 0, digest: None };
        assert!(entries(Some(&known), Some(&order()), &occasion(Action::Updated), noon()).unwrap().is_empty());
        assert!(entries(None, None, &occasion(Action::Updated), noon()).unwrap().is_empty());
    }

    #[test]
    fn an_order_that_was_written_elsewhere_is_entered_as_it_was_found() {
        let new = RepairOrder { terms: Some("COD".to_owned()), ..order() };
        let found =
            r#"[{"field":"archiveStatus","old":null,"new":"ACTIVE"},{"field":"roNumber","old":null,"new":"RO1"}]"#;
        let changed = r#"[{"field":"terms","old":null,"new":"COD"}]"#;
        let seen = Digest::of(&order()).unwrap().as_bytes().to_vec();
        for (digest, expected) in [
            (Some(seen), vec![(4, "UPDATED", changed)]),
            (Some(vec![0; 16]), vec![(4, "FOUND", found), (5, "UPDATED", changed)]),
        ] {
            let known = Known { order: order(), revision: 3, digest };
            let entries = entries(Some(&known), Some(&new), &occasion(Action::Updated), noon()).unwrap();
            let written: Vec<_> =
                entries.iter().map(|entry| (entry.revision, entry.action.name(), &*entry.changes)).collect();
            assert_eq!(written, expected);
        }
    }

    #[test]
    fn a_step_has_what_came_along_with_the_status() {
        let cost = |text: &str| Some(Money::parse(text).unwrap());
        let old = RepairOrder { current_status: Some("A".to_owned()), notes: Some("one".to_owned()), ..order() };
        let set = |change: fn(&mut RepairOrder)| {
            let mut new = RepairOrder { current_status: Some("B".to_owned()), ..old.clone() };
            change(&mut new);
            let step = Step::between(Some(&old), &new, Action::Updated, None).unwrap();
            (step.cost, step.notes)
        };
        assert_eq!(set(|_| {}), (None, None));
        assert_eq!(set(|order| order.estimated_cost = Money::parse("1").ok()), (cost("1"), None));
        assert_eq!(set(|order| order.notes = Some("one\ntwo".to_owned())), (None, Some("two".to_owned())));
        assert_eq!(set(|order| order.notes = Some("other".to_owned())), (None, Some("other".to_owned())));
        assert_eq!(set(|order| order.notes = None), (None, None));
        let terms = RepairOrder { terms: Some("COD".to_owned()), ..old.clone() };
        assert_eq!(Step::between(Some(&old), &terms, Action::Updated, None), None);
        assert!(Step::between(Some(&old), &terms, Action::Status, None).is_some());
    }
}
