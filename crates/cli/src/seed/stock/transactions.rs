//! Invents what happened to sample parts in the last year.

use std::{cmp::Reverse, ops::Range};

use app_core::{clock::days_before, http::Actor};
use chrono::{Datelike, NaiveDate, NaiveTime, TimeDelta, Weekday};
use inventory::model::{IndexId, NewStockTransaction, QuantityChange, StockAction, Table};

use super::{
    generate::Part,
    vocabulary::{CAME_IN, COUNTED_FEWER, COUNTED_MORE, Kind, ROTABLE_CAME_IN, TAKEN},
};
use crate::seed::{PROGRAM, generator::Generator, orders::NEWEST_NUMBER};

/// From eight to five, in seconds of a day in UTC.
const WORKING_TIME: Range<i64> = 8 * 3_600..17 * 3_600;

/// About as many orders as the main database's samples have for each workday of the last year.
const ORDERS_A_DAY: usize = 6;

/// How many orders are open at a time: pieces are taken for any of them.
const OPEN_ORDERS: usize = 150;

/// The days of the last year on which people worked, newest first. Today is none of them: now may be any time of it,
/// and nothing shall have happened later than now.
pub(super) fn workdays_before(today: NaiveDate) -> Vec<NaiveDate> {
    (1..=364)
        .map(|days| days_before(today, days))
        .filter(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun))
        .collect()
}

/// What happened to `part` on `workdays`, oldest first. It had its quantity before and gets the one that was left.
pub(super) fn last_year(
    generator: &mut Generator,
    workdays: &[NaiveDate],
    index_id: IndexId,
    part: &mut Part,
) -> Vec<NewStockTransaction> {
    let demand = Demand::generate(generator, part);
    let mut moments: Vec<(Reverse<usize>, i64)> = (0..demand.moves)
        .map(|_| (Reverse(generator.number(0..workdays.len())), generator.number(WORKING_TIME)))
        .collect();
    moments.sort_unstable();
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
            previous_qty,
            new_qty: part.quantity,
            ro_number: is_for_order.then(|| order_number(generator, workdays_back)),
            notes: notes(generator, part.kind, change, previous_qty),
            actor: Actor::program(PROGRAM),
        }
    };
    moments.into_iter().map(transaction).collect()
}

/// The number of an order that was open so many workdays ago.
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

/// How much a part is asked for.
struct Demand {
    /// How often in the year its quantity changed.
    moves: usize,
    /// The most pieces that one job takes.
    most_taken: i64,
    /// The pieces that come in at once.
    delivery: i64,
    /// Nobody orders more as long as there are so many pieces.
    enough: i64,
    /// The most pieces there can be.
    most: i64,
}

impl Demand {
    /// Most parts just lie there. Some of those at hand go fast, and of them few are kept.
    fn generate(generator: &mut Generator, part: &mut Part) -> Self {
        let (most_taken, enough, most) = match part.kind {
            Kind::Hardware => (generator.any(&[2, 2, 3, 3, 4, 10, 20]), 5, 400),
            Kind::Spare => (generator.any(&[1, 2, 2, 3]), 5, 30),
            Kind::Rotable => (1, 6, 6),
        };
        let is_at_hand = matches!(part.table, Table::StockRoom | Table::BinsInventory);
        let moves = if part.table == Table::BerRai {
            0
        } else if is_at_hand && generator.chance(9) {
            part.quantity = generator.number(1..=5 * most_taken);
            generator.number(8..=22)
        } else if generator.chance(11) {
            generator.number(1..=3)
        } else {
            0
        };
        let delivery = if part.kind == Kind::Rotable { 1 } else { 3 * most_taken };
        Self { moves, most_taken, delivery, enough, most }
    }

    /// What may happen to so many pieces.
    fn next_change(&self, generator: &mut Generator, quantity: i64) -> QuantityChange {
        if generator.chance(7) {
            return QuantityChange::Set(self.counted(generator, quantity));
        }
        if quantity == 0 || quantity < self.enough && generator.chance(15) {
            return QuantityChange::Add(self.delivery);
        }
        // What is short is doled out piece by piece.
        QuantityChange::Take(if quantity < self.enough {
            1
        } else {
            generator.number(1..=self.most_taken.min(quantity))
        })
    }

    /// Somewhat other than `quantity`, mostly less.
    fn counted(&self, generator: &mut Generator, quantity: i64) -> i64 {
        if quantity > 0 && (quantity >= self.most || generator.chance(70)) {
            quantity - generator.number(1..=quantity.min(3))
        } else {
            quantity + 1
        }
    }
}
