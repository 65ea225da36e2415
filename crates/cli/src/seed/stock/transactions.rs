//! Generates the stock transactions of sample parts in the last year.

use std::{cmp::Reverse, ops::Range};

use app_core::{clock::days_before, http::Actor};
use chrono::{Datelike, NaiveDate, NaiveTime, TimeDelta, Weekday};
use inventory::model::{IndexId, NewStockTransaction, QuantityChange, StockAction, Table};

use super::{
    generate::Part,
    vocabulary::{CAME_IN, COUNTED_FEWER, COUNTED_MORE, Kind, ROTABLE_CAME_IN, TAKEN},
};
use crate::seed::{PROGRAM, generator::Generator, orders::NEWEST_NUMBER};

/// From 08:00 to 17:00 UTC, in seconds of the day.
const WORKING_HOURS: Range<i64> = 8 * 3_600..17 * 3_600;

/// The approximate number of sample orders for each workday of the last year.
const ORDERS_A_DAY: usize = 6;

/// The number of orders that are open at a time. Pieces are taken for any of them.
const OPEN_ORDERS: usize = 150;

/// Returns the workdays of the last year, newest first. Today is not among them, because no transaction may be in the
/// future.
pub(super) fn workdays_before(today: NaiveDate) -> Vec<NaiveDate> {
    (1..=364)
        .map(|days| days_before(today, days))
        .filter(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun))
        .collect()
}

/// Generates the transactions of `part` on `workdays`, oldest first, starting from its quantity, and sets its quantity
/// to the last one.
pub(super) fn last_year(
    generator: &mut Generator,
    workdays: &[NaiveDate],
    index_id: IndexId,
    part: &mut Part,
) -> Vec<NewStockTransaction> {
    let demand = Demand::generate(generator, part);
    let mut times: Vec<(Reverse<usize>, i64)> = (0..demand.transactions)
        .map(|_| (Reverse(generator.number(0..workdays.len())), generator.number(WORKING_HOURS)))
        .collect();
    times.sort_unstable();
    let transaction = |(Reverse(workdays_back), second): (Reverse<usize>, i64)| {
        let previous_qty = part.quantity;
        let change = demand.next_change(generator, previous_qty);
        part.quantity = match change {
            QuantityChange::Take(pieces) => previous_qty - pieces,
            QuantityChange::Add(pieces) => previous_qty + pieces,
            QuantityChange::Set(pieces) => pieces,
        };
        let is_for_order = change.action() == StockAction::Decrement && generator.chance(82);
        NewStockTransaction {
            timestamp: workdays[workdays_back].and_time(NaiveTime::MIN).and_utc() + TimeDelta::seconds(second),
            action: change.action(),
            index_id,
            part_number: part.number.clone(),
            previous_qty: Some(previous_qty),
            new_qty: Some(part.quantity),
            ro_number: is_for_order.then(|| order_number(generator, workdays_back)),
            notes: notes(generator, part.kind, change, previous_qty),
            actor: Actor::program(PROGRAM),
        }
    };
    times.into_iter().map(transaction).collect()
}

/// Returns the number of an order that was open `workdays_back` workdays ago.
fn order_number(generator: &mut Generator, workdays_back: usize) -> String {
    format!("RO{}", NEWEST_NUMBER - workdays_back * ORDERS_A_DAY - generator.number(0..OPEN_ORDERS))
}

fn notes(generator: &mut Generator, kind: Kind, change: QuantityChange, previous: i64) -> Option<String> {
    let notes = match change {
        QuantityChange::Take(_) if generator.chance(60) => return None,
        QuantityChange::Take(_) => TAKEN,
        QuantityChange::Add(_) if kind == Kind::Rotable => ROTABLE_CAME_IN,
        QuantityChange::Add(_) => CAME_IN,
        QuantityChange::Set(counted) if counted < previous => COUNTED_FEWER,
        QuantityChange::Set(_) => COUNTED_MORE,
    };
    let note = generator.any(notes);
    Some(generator.text(note))
}

/// The demand for a part.
struct Demand {
    /// The number of transactions in the year.
    transactions: usize,
    /// The most pieces that one job takes.
    most_taken: i64,
    /// The number of pieces in a delivery.
    delivery: i64,
    /// Below this quantity, more pieces are ordered.
    reorder_point: i64,
    /// The highest quantity.
    most: i64,
}

impl Demand {
    /// Generates a demand. Most parts have none. Some parts in the stock room and the bins have a high one and a low
    /// quantity.
    fn generate(generator: &mut Generator, part: &mut Part) -> Self {
        let (most_taken, reorder_point, most) = match part.kind {
            Kind::Hardware => (generator.any(&[2, 2, 3, 3, 4, 10, 20]), 5, 400),
            Kind::Spare => (generator.any(&[1, 2, 2, 3]), 5, 30),
            Kind::Rotable => (1, 6, 6),
        };
        let is_in_main_stock = matches!(part.table, Table::StockRoom | Table::BinsInventory);
        let transactions = if part.table == Table::BerRai {
            0
        } else if is_in_main_stock && generator.chance(9) {
            part.quantity = generator.number(1..=5 * most_taken);
            generator.number(8..=22)
        } else if generator.chance(11) {
            generator.number(1..=3)
        } else {
            0
        };
        let delivery = if part.kind == Kind::Rotable { 1 } else { 3 * most_taken };
        Self { transactions, most_taken, delivery, reorder_point, most }
    }

    /// Returns a possible next change of `quantity`.
    fn next_change(&self, generator: &mut Generator, quantity: i64) -> QuantityChange {
        if generator.chance(7) {
            return QuantityChange::Set(self.counted(generator, quantity));
        }
        if quantity == 0 || quantity < self.reorder_point && generator.chance(15) {
            return QuantityChange::Add(self.delivery);
        }
        // Pieces in short supply are taken one by one.
        QuantityChange::Take(if quantity < self.reorder_point {
            1
        } else {
            generator.number(1..=self.most_taken.min(quantity))
        })
    }

    /// Returns a counted quantity, which differs from `quantity` and is usually less.
    fn counted(&self, generator: &mut Generator, quantity: i64) -> i64 {
        if quantity > 0 && (quantity >= self.most || generator.chance(70)) {
            quantity - generator.number(1..=quantity.min(3))
        } else {
            quantity + 1
        }
    }
}
