//! The figures of the dashboard's first page.

use std::collections::HashMap;

use app_core::values::{Day, Money};
use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ArchiveStatus, StatusClass, days_overdue};

/// The figures of the dashboard's first page. Unless a field says otherwise, it counts active orders. Statuses are
/// compared without case, and without arrows, dashes and blanks around them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    pub total_active: i64,
    /// Orders whose next update date has passed.
    pub overdue: i64,
    /// Orders whose status begins with `WAITING QUOTE`, `WAITING FOR QUOTE` or `AWAITING QUOTE`.
    pub waiting_quote: i64,
    /// Orders whose status begins with `APPROVED`.
    pub approved: i64,
    /// Orders whose status begins with `BEING REPAIRED`, `IN WORK`, `IN PROGRESS` or `WORKING`.
    pub being_repaired: i64,
    /// Orders whose status begins with `SHIPPING`, `SHIPPED`, `IN TRANSIT` or `CURRENTLY BEING SHIPPED`, or contains `SHIPPING` and
    /// has no other meaning.
    pub shipping: i64,
    /// Orders whose next update date is today.
    pub due_today: i64,
    /// Orders whose next update date passed more than 30 days ago.
    pub overdue30_plus: i64,
    /// Orders whose next update date is today or later.
    pub on_track: i64,
    /// The sum of the other two values.
    pub total_value: Money,
    /// The sum of the estimated costs of active orders.
    pub total_estimated_value: Money,
    /// The sum of the final costs of paid, net and returned orders.
    pub total_final_value: Money,
    /// Paid orders.
    pub approved_paid: i64,
    /// Orders on net terms.
    pub approved_net: i64,
    /// Returned orders whose status begins with `RAI`.
    pub rai: i64,
    /// Returned orders whose status begins with `BER`.
    pub ber: i64,
    /// Returned orders whose status begins with `CANCEL`.
    pub cancel: i64,
    /// Returned orders whose status begins with `SCRAP`.
    pub scrapped: i64,
}

/// A row that is added to the figures: one active order, or archived orders with the same status.
#[derive(Clone, Copy, Debug)]
pub struct DashboardRow<'row> {
    pub archive: ArchiveStatus,
    /// The status as people typed it. It is not known for paid orders and those on net terms, whose statuses are not counted.
    pub status: Option<&'row str>,
    /// The next update date of an active order.
    pub next_update: Option<Day>,
    pub orders: i64,
    /// The sum of the estimated costs of active orders, and of the final costs of others.
    pub cost: Decimal,
}

/// Adds up the figures.
#[derive(Debug)]
pub struct DashboardSums {
    today: NaiveDate,
    /// The class of each status so far. Many orders have the same, and to look its class up is faster than to work it out again.
    classes: HashMap<String, Option<StatusClass>>,
    sums: Dashboard,
}

impl DashboardSums {
    /// Begins with no orders on the day `today`.
    pub fn new(today: NaiveDate) -> Self {
        Self { today, classes: HashMap::new(), sums: Dashboard::default() }
    }

    pub fn add(&mut self, counted: &DashboardRow<'_>) {
        let class = counted.status.and_then(|status| self.class_of(status));
        let DashboardRow { archive, status: _, next_update, orders, cost } = *counted;
        let Self { today, classes: _, sums } = self;
        sums.total_value += cost;
        match archive {
            ArchiveStatus::Active => {
                sums.total_estimated_value += cost;
                sums.total_active += orders;
                let days_overdue = days_overdue(next_update, *today);
                if days_overdue > 0 {
                    sums.overdue += orders;
                }
                if days_overdue > 30 {
                    sums.overdue30_plus += orders;
                }
                if next_update == Some(Day(*today)) {
                    sums.due_today += orders;
                }
                if next_update >= Some(Day(*today)) {
                    sums.on_track += orders;
                }
                match class {
                    Some(StatusClass::WaitingQuote) => sums.waiting_quote += orders,
                    Some(StatusClass::Approved) => sums.approved += orders,
                    Some(StatusClass::BeingRepaired) => sums.being_repaired += orders,
                    Some(StatusClass::Shipping) => sums.shipping += orders,
                    _ => {}
                }
            }
            ArchiveStatus::Paid => sums.approved_paid += orders,
            ArchiveStatus::Net => sums.approved_net += orders,
            ArchiveStatus::Returned => match class {
                Some(StatusClass::Rai) => sums.rai += orders,
                Some(StatusClass::Ber) => sums.ber += orders,
                Some(StatusClass::Cancelled) => sums.cancel += orders,
                Some(StatusClass::Scrapped) => sums.scrapped += orders,
                _ => {}
            },
        }
        if archive != ArchiveStatus::Active {
            sums.total_final_value += cost;
        }
    }

    /// Returns the figures of all orders that were added.
    pub fn finish(self) -> Dashboard {
        self.sums
    }

    fn class_of(&mut self, status: &str) -> Option<StatusClass> {
        if let Some(class) = self.classes.get(status) {
            return *class;
        }
        let class = StatusClass::of(status);
        self.classes.insert(status.to_owned(), class);
        class
    }
}
