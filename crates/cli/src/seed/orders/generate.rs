//! Generates sample orders.

use chrono::{Days, NaiveDate};
use ros::model::ArchiveStatus;
use rust_decimal::Decimal;

use super::{
    OrderCounts,
    vocabulary::{
        ACTIVE_STATUSES, NET_STATUSES, NET_TERMS, NOTES, PAID_STATUSES, PARTS, RETURN_STATUSES, SHOP_REFERENCES, SHOPS,
        Status, TERMS, WORK,
    },
};
use crate::seed::generator::Generator;

/// The number of the oldest order.
const FIRST_NUMBER: usize = 34_863;

/// The number of the newest order with the default counts.
pub(in crate::seed) const NEWEST_NUMBER: usize = 38_462;

/// A constant seed, so that every run generates the same orders.
const SEED: u64 = 38_462;

/// A row of an order table.
#[derive(Debug, PartialEq)]
pub(super) struct Order {
    pub(super) archive: ArchiveStatus,
    pub(super) number: String,
    pub(super) made: NaiveDate,
    pub(super) shop: &'static str,
    pub(super) part: String,
    pub(super) serial: Option<String>,
    pub(super) description: &'static str,
    pub(super) work: &'static str,
    pub(super) dropped_off: Option<NaiveDate>,
    pub(super) estimated_cost: Option<Decimal>,
    pub(super) final_cost: Option<Decimal>,
    pub(super) terms: &'static str,
    pub(super) shop_reference: Option<String>,
    pub(super) estimated_delivery: Option<NaiveDate>,
    pub(super) status: &'static str,
    pub(super) status_date: NaiveDate,
    pub(super) our_status: &'static str,
    pub(super) shop_status: &'static str,
    pub(super) tracking: Option<String>,
    pub(super) notes: Option<String>,
    pub(super) updated: NaiveDate,
    pub(super) next_update: Option<NaiveDate>,
}

/// Generates the orders of all tables, numbered from the oldest to the newest.
pub(super) fn orders(today: NaiveDate, counts: OrderCounts) -> Vec<Order> {
    let mut generator = Generator::new(SEED);
    let tables = [
        (ArchiveStatus::Active, counts.active, 0..=120),
        (ArchiveStatus::Paid, counts.paid, 20..=1_095),
        (ArchiveStatus::Net, counts.net, 15..=730),
        (ArchiveStatus::Returned, counts.returned, 25..=1_000),
    ];
    let mut ages = Vec::new();
    for (archive, count, age) in tables {
        ages.extend((0..count).map(|_| (generator.number(age.clone()), archive)));
    }
    // A stable sort keeps orders of the same age in their generated order.
    ages.sort_by_key(|(age, _)| std::cmp::Reverse(*age));
    let numbered = ages.into_iter().zip(FIRST_NUMBER..);
    numbered
        .map(|((age, archive), number)| OrderGenerator { generator: &mut generator, today, age }.order(archive, number))
        .collect()
}

/// Generates an order that was made `age` days ago.
struct OrderGenerator<'a> {
    generator: &'a mut Generator,
    today: NaiveDate,
    age: u64,
}

impl OrderGenerator<'_> {
    fn order(&mut self, archive: ArchiveStatus, number: usize) -> Order {
        let part = self.generator.any(PARTS);
        let statuses = match archive {
            ArchiveStatus::Active => ACTIVE_STATUSES,
            ArchiveStatus::Paid => PAID_STATUSES,
            ArchiveStatus::Net => NET_STATUSES,
            ArchiveStatus::Returned => RETURN_STATUSES,
        };
        let Status { name: status, shop_status, .. } = self.generator.weighted(statuses, |status| status.weight);
        let (terms, _) = self
            .generator
            .weighted(if archive == ArchiveStatus::Net { NET_TERMS } else { TERMS }, |(_, weight)| *weight);

        let is_active = archive == ArchiveStatus::Active;
        let is_quoted = !matches!(status, "WAITING QUOTE" | "SHIPPING TO SHOP") && !status.starts_with("CANCEL");
        let estimate = Decimal::new(self.generator.number(part.price.0 * 100..=part.price.1 * 100), 2);
        let final_cost = match archive {
            ArchiveStatus::Active => None,
            ArchiveStatus::Paid | ArchiveStatus::Net => Some(self.near(estimate)),
            // Some shops charge for evaluating a part that they return unrepaired.
            ArchiveStatus::Returned => {
                self.generator.chance(40).then(|| Decimal::new(self.generator.number(90..=450) * 100, 2))
            }
        };

        let dropped_off_age = self.age.saturating_sub(self.generator.number(0..=6));
        let next_update = if archive == ArchiveStatus::Active { self.next_update() } else { None };
        let days_late = next_update.and_then(|date| u64::try_from((self.today - date).num_days()).ok()).unwrap_or(0);
        let status_age = match archive {
            // An order cannot have been updated after its next update was due.
            ArchiveStatus::Active => self.generator.number(days_late..=self.age.min(days_late + 30)),
            // Archived orders have not changed since they were completed.
            _ => self.age.saturating_sub(self.generator.number(15..=75)),
        };

        Order {
            archive,
            number: format!("RO{number}"),
            made: self.days_ago(self.age),
            shop: self.generator.any(SHOPS),
            part: self.generator.text(part.number),
            serial: self.generator.chance(88).then(|| self.generator.serial()),
            description: part.description,
            work: self.generator.any(WORK),
            dropped_off: (status != "SHIPPING TO SHOP").then(|| self.days_ago(dropped_off_age)),
            estimated_cost: is_quoted.then_some(estimate),
            final_cost,
            terms,
            shop_reference: self
                .generator
                .chance(70)
                .then(|| self.generator.text(SHOP_REFERENCES[number % SHOP_REFERENCES.len()])),
            estimated_delivery: is_quoted.then(|| self.days_ago(dropped_off_age) + self.days(14..=60)),
            status,
            status_date: self.days_ago(status_age),
            our_status: match (archive, days_late > 0) {
                (ArchiveStatus::Active, true) => "Overdue",
                (ArchiveStatus::Active, false) => "On Track",
                (ArchiveStatus::Paid, _) => "Closed",
                (ArchiveStatus::Net, _) => "Awaiting Payment",
                (ArchiveStatus::Returned, _) => "Returned",
            },
            shop_status,
            tracking: (!is_active || status.contains("SHIP")).then(|| self.tracking()),
            notes: self.notes(status_age),
            updated: self.days_ago(status_age),
            next_update,
        }
    }

    /// Returns a date that is overdue, today or in the future, or `None` if no update is planned.
    fn next_update(&mut self) -> Option<NaiveDate> {
        Some(match (self.generator.number(0..100), self.age) {
            (0..7, _) => return None,
            (7..14, _) => self.today,
            (14..32, 1..) => self.today - self.days(1..=self.age.min(30)),
            (32..50, 31..) => self.today - self.days(31..=self.age.min(90)),
            _ => self.today + self.days(1..=45),
        })
    }

    fn notes(&mut self, age: u64) -> Option<String> {
        let lines = self.generator.any(&[0, 0, 1, 1, 1, 2, 2, 3, 4]);
        let mut ages: Vec<u64> = (0..lines).map(|_| self.generator.number(age..=age.max(self.age))).collect();
        ages.sort_unstable_by_key(|age| std::cmp::Reverse(*age));
        let lines: Vec<String> = ages
            .into_iter()
            .map(|age| format!("{} {}", self.days_ago(age).format("%m/%d/%Y"), self.generator.any(NOTES)))
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn tracking(&mut self) -> String {
        let pattern = self.generator.any(&["1Z999AA1##########", "7###########", "JD0###############"]);
        self.generator.text(pattern)
    }

    /// Returns an amount from 85 % to 120 % of `amount`.
    fn near(&mut self, amount: Decimal) -> Decimal {
        (amount * Decimal::new(self.generator.number(85..=120), 2)).round_dp(2)
    }

    fn days(&mut self, range: std::ops::RangeInclusive<u64>) -> Days {
        Days::new(self.generator.number(range))
    }

    fn days_ago(&self, days: u64) -> NaiveDate {
        app_core::clock::days_before(self.today, days)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn some_day() -> NaiveDate {
        NaiveDate::from_ymd_opt(2025, 3, 1).unwrap()
    }

    #[test]
    fn the_same_day_gives_the_same_orders() {
        assert_eq!(orders(some_day(), OrderCounts::default()), orders(some_day(), OrderCounts::default()));
    }

    #[test]
    fn numbers_ascend_with_the_date_over_all_tables() {
        let orders = orders(some_day(), OrderCounts::default());
        assert_eq!(orders.len(), 3_600);
        assert_eq!(orders[3_599].number, format!("RO{NEWEST_NUMBER}"));
        assert!(orders.windows(2).all(|pair| pair[0].number < pair[1].number && pair[0].made <= pair[1].made));
    }

    #[test]
    fn every_dashboard_figure_has_orders() {
        let today = some_day();
        let orders = orders(today, OrderCounts::default());
        let active: Vec<&Order> = orders.iter().filter(|order| order.archive == ArchiveStatus::Active).collect();
        let next: HashSet<i64> =
            active.iter().filter_map(|order| Some((order.next_update? - today).num_days().signum())).collect();
        assert_eq!(next, HashSet::from([-1, 0, 1]));
        assert!(active.iter().any(|order| order.next_update.is_none()));
        assert!(active.iter().any(|order| order.next_update.is_some_and(|date| (today - date).num_days() > 30)));
        let has_status = |part: &str| orders.iter().any(|order| order.status.contains(part));
        for status in ["WAITING QUOTE", "APPROVED", "BEING REPAIRED", "SHIPPING", "RAI", "BER", "CANCEL", "SCRAP"] {
            assert!(has_status(status), "{status}");
        }
    }

    #[test]
    fn dates_are_between_creation_and_today() {
        let today = some_day();
        for order in orders(today, OrderCounts::default()) {
            assert!(order.next_update.is_none_or(|date| order.updated <= date), "{order:?}");
            let past = [Some(order.made), order.dropped_off, Some(order.status_date), Some(order.updated)];
            for date in past.into_iter().flatten() {
                assert!(order.made <= date && date <= today, "{order:?}");
            }
        }
    }
}
