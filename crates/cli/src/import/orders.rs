//! Repair orders: how a row of a source is read as an order, and how orders are inserted and changed here.

use std::collections::HashMap;

use app_core::{
    http::{Actor, ApiError},
    values::{Day, Money, capital},
};
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use ros::{
    model::{
        ArchiveStatus, ChangeContext, HistoryAction, LockedOrder, NewHistoryEntry, OrderDigest, OrderKey, RepairOrder,
        RoNumber, StatusChange, history_of_change,
    },
    store,
};
use serde_json::Value as Json;
use sqlx::MySqlConnection;

use super::{
    convert::{self, Reading, Step},
    import_rows::MergeBase,
    layout::Layout,
    merge::{Fields, keep_later_date},
    row_reader::{ConvertedRow, ReadRow, RowReader, TEXT_BYTES, check_notes, join_notes},
    source::{SourceRow, SourceTable},
    target::{StoredRow, Target},
};

/// The name under which the history shows what the importer did.
pub(super) const PROGRAM: &str = "rotracker import";

/// Reads a row as an order. Its archive status is `archive_status`, unless the row names one. `earlier` is the row of the active
/// table that the order had before it was moved: its notes and statuses come along.
pub(super) fn read_order(
    table: &SourceTable,
    layout: &Layout,
    row: &SourceRow,
    zone: Tz,
    archive_status: ArchiveStatus,
    earlier: Option<ConvertedRow>,
) -> ReadRow {
    let mut reader = RowReader::new(table, layout, row, zone);
    let number = order_number(&mut reader);
    let archive_status = layout.archive_status(row, archive_status).unwrap_or_else(|problem| {
        reader.reject(problem);
        archive_status
    });
    let money = |amount: Option<_>| amount.map(Money::from_database);
    let mut order = RepairOrder {
        id: 0,
        ro_number: number.unwrap_or_default(),
        date_made: reader.day("DATE_MADE", "date made").map(Day),
        shop_name: reader.text::<255>("SHOP_NAME"),
        part_number: reader.part_number("PART"),
        serial_number: reader.text::<100>("SERIAL"),
        part_description: reader.long_text::<TEXT_BYTES>("PART_DESCRIPTION"),
        required_work: reader.long_text::<TEXT_BYTES>("REQ_WORK"),
        date_dropped_off: reader.day("DATE_DROPPED_OFF", "date dropped off").map(Day),
        estimated_cost: money(reader.money("ESTIMATED_COST", "estimated cost")),
        final_cost: money(reader.money("FINAL_COST", "final cost")),
        terms: reader.text::<50>("TERMS"),
        shop_reference_number: reader.text::<100>("SHOP_REF"),
        estimated_delivery_date: reader.day("ESTIMATED_DELIVERY_DATE", "estimated delivery").map(Day),
        current_status: reader.text::<100>("CURENT_STATUS"),
        current_status_date: reader.day("CURENT_STATUS_DATE", "status date").map(Day),
        gen_thrust_status: reader.text::<100>("GENTHRUST_STATUS"),
        shop_status: reader.text::<100>("SHOP_STATUS"),
        tracking_number: reader.text::<100>("TRACKING_NUMBER_PICKING_UP"),
        notes: None,
        last_date_updated: reader.day("LAST_DATE_UPDATED", "last updated").map(Day),
        next_date_to_update: reader.day("NEXT_DATE_TO_UPDATE", "next update").map(Day),
        archive_status,
    };
    let (own_notes, own_steps) = reader.notes("NOTES");
    let earlier = earlier.unwrap_or_default();
    let earlier_notes = notes_of(&earlier.fields).map(str::to_owned);
    order.notes = join_notes(earlier_notes.as_deref(), own_notes.as_deref());
    if let Err(problem) = check_notes(order.notes.as_deref()) {
        reader.reject(problem);
    }
    // What the row has itself need not be remembered, and may be replaced later.
    let is_own = |notes: &String| own_notes.as_deref().is_some_and(|own| own.contains(notes.as_str()));
    let earlier_notes = earlier_notes.filter(|notes| !is_own(notes));
    let mut steps = earlier.steps;
    let new_steps: Vec<Step> = own_steps.into_iter().filter(|step| !steps.contains(step)).collect();
    steps.extend(new_steps);
    let key = number_key(&order.ro_number);
    match order_fields(&order) {
        Ok(fields) => reader.finish(ConvertedRow { steps, earlier_notes, ..ConvertedRow::new(key, fields) }),
        Err(error) => ReadRow::Rejected { reason: error.to_string(), key: Some(key) },
    }
}

/// Returns the member of an order that holds a field of a source.
pub(super) fn member_of(field: &str) -> Option<&'static str> {
    RepairOrder::MEMBERS.into_iter().find(|(column, _)| *column == field).map(|(_, member)| member)
}

fn notes_of(fields: &Fields) -> Option<&str> {
    fields.get("notes").and_then(Json::as_str)
}

fn order_number(reader: &mut RowReader<'_>) -> Option<String> {
    reader.reject_date("RO");
    let found = match convert::read_number_text(reader.value("RO")) {
        Reading::Same(text) => text,
        Reading::Corrected(text, rule) => {
            reader.correct("RO", Some(text.clone()), rule.name());
            text
        }
        Reading::Blank | Reading::Unreadable(_) => {
            reader.reject("the order has no number");
            return None;
        }
    };
    match RoNumber::parse(&found) {
        Ok(number) => {
            if *number != found {
                reader.correct(
                    "RO",
                    Some(number.to_string()),
                    "order number in its normal form: plain blanks and dashes, no invisible characters",
                );
            }
            Some(number.into_inner())
        }
        Err(problem) => {
            reader.reject(format!("the number of the order {problem}"));
            None
        }
    }
}

/// Returns the form of an order's number by which it is compared: in capitals, letter by letter, as the database does it.
pub(super) fn number_key(number: &str) -> String {
    number.chars().map(capital).collect()
}

/// Returns the fields of an order as responses show them, without its id.
pub(super) fn order_fields(order: &RepairOrder) -> Result<Fields, serde_json::Error> {
    let mut fields = match serde_json::to_value(order)? {
        Json::Object(fields) => fields,
        _ => Fields::new(),
    };
    fields.remove("id");
    Ok(fields)
}

fn order_of(id: i64, fields: &Fields) -> Result<RepairOrder, ApiError> {
    let order: RepairOrder = serde_json::from_value(Json::Object(fields.clone())).map_err(ApiError::internal)?;
    Ok(RepairOrder { id, ..order })
}

/// Returns the date of an order's status, if it can be read.
pub(super) fn status_date(layout: &Layout, row: &SourceRow, zone: Tz) -> Option<NaiveDate> {
    match convert::read_day(layout.value(row, "CURENT_STATUS_DATE"), zone) {
        Reading::Same(day) | Reading::Corrected(day, _) => Some(day),
        Reading::Blank | Reading::Unreadable(_) => None,
    }
}

/// Orders here: the four tables with their history.
pub(super) struct Orders {
    pub(super) now: DateTime<Utc>,
}

impl Target for Orders {
    type State = LockedOrder;

    /// The registry has an order's id, whichever of the four tables the order is in.
    fn table(&self) -> &'static str {
        "ro_registry"
    }

    async fn find(
        &self,
        connection: &mut MySqlConnection,
        ids: &[i64],
    ) -> Result<HashMap<i64, StoredRow<LockedOrder>>, ApiError> {
        let mut found = HashMap::with_capacity(ids.len());
        for id in ids {
            if let Some(locked) = store::lock(connection, &OrderKey::Id(*id)).await? {
                found.insert(
                    *id,
                    StoredRow { fields: order_fields(&locked.order).map_err(ApiError::internal)?, state: locked },
                );
            }
        }
        Ok(found)
    }

    async fn ids_of(
        &self,
        connection: &mut MySqlConnection,
        rows: &[&ConvertedRow],
    ) -> Result<Vec<Option<i64>>, ApiError> {
        let numbers: Vec<&str> = rows.iter().filter_map(|row| row.fields.get("roNumber")?.as_str()).collect();
        let taken = store::ids_of_numbers(connection, &numbers).await?;
        let ids: HashMap<String, i64> = taken.into_iter().map(|(number, id)| (number_key(&number), id)).collect();
        Ok(rows.iter().map(|row| ids.get(&row.key).copied()).collect())
    }

    async fn insert(&self, connection: &mut MySqlConnection, rows: &[&ConvertedRow]) -> Result<Vec<i64>, ApiError> {
        let mut orders = rows.iter().map(|row| order_of(0, &row.fields)).collect::<Result<Vec<_>, _>>()?;
        let mut ids = vec![0; orders.len()];
        for archive in ArchiveStatus::ALL {
            let places: Vec<usize> =
                (0..orders.len()).filter(|place| orders[*place].archive_status == archive).collect();
            if places.is_empty() {
                continue;
            }
            let of_archive: Vec<RepairOrder> = places.iter().map(|place| orders[*place].clone()).collect();
            let inserted = store::insert_many(connection, archive, &of_archive).await?;
            for (place, id) in places.into_iter().zip(inserted) {
                ids[place] = id;
            }
        }
        let mut entries = Vec::with_capacity(rows.len());
        for ((order, id), row) in orders.iter_mut().zip(&ids).zip(rows) {
            order.id = *id;
            entries.extend(self.history_of_new(order, &row.steps)?);
        }
        store::insert_history(connection, &entries).await?;
        Ok(ids)
    }

    async fn update(
        &self,
        connection: &mut MySqlConnection,
        stored: &StoredRow<LockedOrder>,
        fields: &Fields,
        new_steps: &[Step],
    ) -> Result<(), ApiError> {
        let locked = &stored.state;
        let order = order_of(locked.order.id, fields)?;
        let is_moved = order.archive_status != locked.order.archive_status;
        if is_moved {
            store::move_order(connection, locked, &order).await?;
        } else {
            store::update(connection, &order).await?;
        }
        let action = if is_moved { HistoryAction::Moved } else { HistoryAction::Imported };
        let context = ChangeContext { action, actor: Actor::program(PROGRAM), cost: None };
        let changed = history_of_change(Some(locked), Some(&order), &context, self.now)?;
        let entries = self.after_steps(&order, locked.revision, new_steps, changed, locked.digest.as_ref());
        store::insert_history(connection, &entries).await
    }

    /// The notes of the row that the order had in the active table stay, also when that row was deleted at last.
    fn complete(&self, row: &mut ConvertedRow, earlier: &MergeBase) -> Result<(), String> {
        if row.earlier_notes.is_none() && earlier.earlier_notes.is_some() {
            row.earlier_notes.clone_from(&earlier.earlier_notes);
            let notes = join_notes(row.earlier_notes.as_deref(), notes_of(&row.fields));
            check_notes(notes.as_deref())?;
            row.fields.insert("notes".to_owned(), notes.into());
        }
        Ok(())
    }

    fn reconcile(&self, base: Option<&mut Fields>, theirs: &mut Fields, here: &Fields) {
        keep_later_date("lastDateUpdated", base, theirs, here);
    }
}

impl Orders {
    /// Returns the history of a new order: an entry for each status that it had before, and one for the order as it is imported.
    fn history_of_new(&self, order: &RepairOrder, steps: &[Step]) -> Result<Vec<NewHistoryEntry>, ApiError> {
        let context = ChangeContext { action: HistoryAction::Imported, actor: Actor::program(PROGRAM), cost: None };
        let created = history_of_change(None, Some(order), &context, self.now)?;
        Ok(self.after_steps(order, 0, steps, created, None))
    }

    /// Returns history entries for `steps`, and after them those in `changed`. The last entry that an order had before has the
    /// number `revision` and the digest `digest`.
    fn after_steps(
        &self,
        order: &RepairOrder,
        revision: i64,
        steps: &[Step],
        mut changed: Vec<NewHistoryEntry>,
        digest: Option<&OrderDigest>,
    ) -> Vec<NewHistoryEntry> {
        let mut entries: Vec<NewHistoryEntry> = Vec::with_capacity(steps.len() + changed.len());
        for (step, revision) in steps.iter().zip(revision + 1..) {
            let actor = Actor::program(PROGRAM);
            entries.push(NewHistoryEntry {
                order_id: order.id,
                revision,
                ro_number: order.ro_number.clone(),
                action: HistoryAction::Imported,
                changed_at: self.now,
                actor: match &step.user {
                    Some(user) => actor.on_behalf_of(user),
                    None => actor,
                },
                changes: "[]".to_owned(),
                // A step leaves the order as it was.
                digest: digest.cloned(),
                status_change: Some(StatusChange {
                    status: step.status.clone(),
                    date: step.date.map(Day),
                    user: step.user.clone(),
                    cost: step.cost.map(Money::from_database),
                    notes: step.notes.clone(),
                }),
            });
        }
        for (entry, revision) in changed.iter_mut().zip(entries.last().map_or(revision, |last| last.revision) + 1..) {
            entry.revision = revision;
            // The last step of the list is usually the present status, which must not show twice.
            let is_last_step = |change: &StatusChange| {
                steps.last().is_some_and(|step| {
                    step.status.trim().eq_ignore_ascii_case(change.status.trim()) && step.date.map(Day) == change.date
                })
            };
            entry.status_change = entry.status_change.take().filter(|change| !is_last_step(change));
        }
        entries.append(&mut changed);
        entries
    }
}

/// The rows of the source that have one number.
#[derive(Default)]
pub(super) struct RowsOfNumber {
    pub(super) rows: Vec<NumberedRow>,
}

/// A row of an order table, as far as it matters to find out which of several rows with one number counts.
pub(super) struct NumberedRow {
    /// The indexes of the table in the plan and of the row in its table.
    pub(super) table: usize,
    pub(super) row: usize,
    pub(super) archive: ArchiveStatus,
    pub(super) shop_and_part: (String, String),
    pub(super) status_date: Option<NaiveDate>,
    pub(super) content: [u8; 16],
}

/// What becomes of one of several rows with one number.
pub(super) enum DuplicateNumber {
    /// The row repeats another of its table.
    ExactCopy { of: (usize, usize) },
    /// The order was copied to an archive, but not deleted from the active table: a move that was cut short.
    IncompleteMove { to: (usize, usize) },
    /// Another row has the number.
    Conflict { by: (usize, usize) },
}

impl RowsOfNumber {
    /// Decides which of the rows counts, and what becomes of the others. The rows are in the order in which they are read:
    /// active, paid, net, returns.
    ///
    /// A row of `active` whose number is in an archive, too, with the same shop and part, is a move that was cut short, unless
    /// the archive's row has the older status date. Otherwise the first row counts. A row that is rejected for another reason keeps
    /// its claim to the number, so that a typing error does not bring back the copy that a move had left behind.
    pub(super) fn decide(&self) -> Vec<((usize, usize), DuplicateNumber)> {
        let place = |row: &NumberedRow| (row.table, row.row);
        let Some(first) = self.rows.first() else { return Vec::new() };
        let (shop, part) = &first.shop_and_part;
        let is_known = !shop.is_empty() && !part.is_empty();
        let moved_to = self.rows.iter().find(|row| {
            is_known
                && first.archive == ArchiveStatus::Active
                && row.archive != ArchiveStatus::Active
                && row.shop_and_part == first.shop_and_part
                && !matches!((row.status_date, first.status_date), (Some(archived), Some(active)) if archived < active)
        });
        let counts = moved_to.unwrap_or(first);
        let others = self.rows.iter().filter(|row| place(row) != place(counts));
        others
            .map(|row| {
                let is_same = |other: &&NumberedRow| other.archive == row.archive && other.content == row.content;
                let first_of_same = self.rows.iter().find(is_same).filter(|same| place(same) != place(row));
                let decision = if let Some(same) = first_of_same {
                    DuplicateNumber::ExactCopy { of: place(same) }
                } else if moved_to.is_some() && place(row) == place(first) {
                    DuplicateNumber::IncompleteMove { to: place(counts) }
                } else {
                    DuplicateNumber::Conflict { by: place(counts) }
                };
                (place(row), decision)
            })
            .collect()
    }
}

/// Returns the shop and the part by which two rows are taken for one order.
pub(super) fn shop_and_part(layout: &Layout, row: &SourceRow) -> (String, String) {
    let text = |field: &str| match convert::read_number_text(layout.value(row, field)) {
        Reading::Same(text) | Reading::Corrected(text, _) => text,
        Reading::Blank | Reading::Unreadable(_) => String::new(),
    };
    (text("SHOP_NAME").to_uppercase(), inventory::model::part_number_key(&text("PART")))
}
