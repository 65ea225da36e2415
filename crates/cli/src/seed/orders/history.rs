//! Generates the history of sample orders.

use app_core::{
    http::{Actor, ApiError},
    values::{Day, Money},
};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use ros::model::{
    ArchiveStatus, ChangeContext, HistoryAction, LockedOrder, NewHistoryEntry, OrderDigest, RepairOrder,
    history_of_change,
};

use super::generate::Order;
use crate::seed::PROGRAM;

/// The statuses that most orders have, in this order, before their current one.
const EARLIER_STATUSES: [&str; 3] = ["WAITING QUOTE", "APPROVED", "BEING REPAIRED"];

/// The users who made the changes.
const USERS: [&str; 4] = ["ana@example.com", "kim@example.com", "luis@example.com", "priya@example.com"];

/// Returns the history entries of `order`, oldest first. Together they set every field of the order.
pub(super) fn entries(id: i64, order: &Order) -> Result<Vec<NewHistoryEntry>, ApiError> {
    let mut entries = Vec::new();
    let mut known: Option<LockedOrder> = None;
    for (step, (date, state)) in states(id, order).into_iter().enumerate() {
        let action = match &known {
            None => HistoryAction::Created,
            Some(known) if known.order.archive_status != state.archive_status => HistoryAction::Moved,
            Some(_) => HistoryAction::Status,
        };
        let user = usize::try_from(id).unwrap_or_default() + step;
        let actor = Actor::program(PROGRAM).on_behalf_of(USERS[user % USERS.len()]);
        let context = ChangeContext { action, actor, cost: None };
        let new = history_of_change(known.as_ref(), Some(&state), &context, instant(date, step))?;
        let revision = new.last().map_or(0, |entry| entry.revision);
        let digest = Some(OrderDigest::of(&state)?);
        let revision = revision.max(known.map_or(0, |known| known.revision));
        known = Some(LockedOrder { order: state, revision, digest, other_columns: Vec::new() });
        entries.extend(new);
    }
    Ok(entries)
}

/// Returns a time just after midnight on `date`, because `date` may be today and no change may be in the future.
fn instant(date: NaiveDate, step: usize) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc() + TimeDelta::seconds(i64::try_from(step).unwrap_or_default())
}

/// Returns the states of the order with their dates, oldest first.
fn states(id: i64, order: &Order) -> Vec<(NaiveDate, RepairOrder)> {
    let last = finished(id, order);
    let earlier = EARLIER_STATUSES.iter().position(|status| *status == order.status).unwrap_or(EARLIER_STATUSES.len());
    let days = u64::try_from((order.status_date - order.made).num_days()).unwrap_or_default();
    // An order without a quote was never approved.
    let earlier = if order.estimated_cost.is_some() { earlier } else { earlier.min(1) };
    let mut states: Vec<(NaiveDate, RepairOrder)> = (0..earlier.max(1))
        .map(|step| {
            let date = order.made + Days::new(days * step as u64 / (earlier as u64 + 1));
            let state = RepairOrder {
                archive_status: ArchiveStatus::Active,
                current_status: Some(if earlier == 0 { order.status } else { EARLIER_STATUSES[step] }.to_owned()),
                current_status_date: Some(Day(date)),
                estimated_cost: last.estimated_cost.filter(|_| step > 0),
                final_cost: None,
                tracking_number: None,
                notes: None,
                gen_thrust_status: Some("On Track".to_owned()),
                last_date_updated: Some(Day(date)),
                next_date_to_update: None,
                ..last.clone()
            };
            (date, state)
        })
        .collect();
    states.push((order.status_date, last));
    states
}

/// Returns the order as it is stored in its table.
pub(super) fn finished(id: i64, order: &Order) -> RepairOrder {
    let text = |text: &str| Some(text.to_owned());
    RepairOrder {
        id,
        ro_number: order.number.clone(),
        date_made: Some(Day(order.made)),
        shop_name: text(order.shop),
        part_number: Some(order.part.clone()),
        serial_number: order.serial.clone(),
        part_description: text(order.description),
        required_work: text(order.work),
        date_dropped_off: order.dropped_off.map(Day),
        estimated_cost: order.estimated_cost.map(Money::from_database),
        final_cost: order.final_cost.map(Money::from_database),
        terms: text(order.terms),
        shop_reference_number: order.shop_reference.clone(),
        estimated_delivery_date: order.estimated_delivery.map(Day),
        current_status: text(order.status),
        current_status_date: Some(Day(order.status_date)),
        gen_thrust_status: text(order.our_status),
        shop_status: text(order.shop_status),
        tracking_number: order.tracking.clone(),
        notes: order.notes.clone(),
        last_date_updated: Some(Day(order.updated)),
        next_date_to_update: order.next_update.map(Day),
        archive_status: order.archive,
    }
}
