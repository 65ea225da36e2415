//! The figures of the dashboard's first page.

use app_core::values::{Day, Money};
use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::days_overdue;

/// The figures of the dashboard's first page. Unless a field says otherwise, it counts active orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    pub total_active: i64,
    /// Orders whose next update date has passed.
    pub overdue: i64,
    /// Orders with the status `WAITING QUOTE`.
    pub waiting_quote: i64,
    /// Orders with the status `APPROVED`.
    pub approved: i64,
    /// Orders with the status `BEING REPAIRED`.
    pub being_repaired: i64,
    /// Orders whose status contains `SHIPPING`.
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
    /// Returned orders whose status begins with `RAI`, in any case.
    pub rai: i64,
    /// Returned orders whose status begins with `BER`, in any case.
    pub ber: i64,
    /// Returned orders whose status begins with `CANCEL`, in any case.
    pub cancel: i64,
    /// Returned orders whose status begins with `SCRAP`, in any case.
    pub scrapped: i64,
}

/// The figures that the database counts and sums.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct OrderFigures {
    pub waiting_quote: i64,
    pub approved: i64,
    pub being_repaired: i64,
    pub shipping: i64,
    pub estimated_value: Decimal,
    pub paid_count: i64,
    pub paid_value: Decimal,
    pub net_count: i64,
    pub net_value: Decimal,
    pub rai: i64,
    pub ber: i64,
    pub cancelled: i64,
    pub scrapped: i64,
    pub returned_value: Decimal,
}

impl Dashboard {
    /// Completes `figures` with those that depend on the date `today`. `next_updates` has the number of active orders for
    /// each next update date.
    pub fn new(figures: OrderFigures, next_updates: &[(Option<Day>, i64)], today: NaiveDate) -> Self {
        let count = |is_counted: &dyn Fn(Option<Day>) -> bool| {
            next_updates.iter().filter(|(next, _)| is_counted(*next)).map(|(_, orders)| orders).sum::<i64>()
        };
        let final_value = figures.paid_value + figures.net_value + figures.returned_value;
        Self {
            total_active: count(&|_| true),
            overdue: count(&|next| days_overdue(next, today) > 0),
            waiting_quote: figures.waiting_quote,
            approved: figures.approved,
            being_repaired: figures.being_repaired,
            shipping: figures.shipping,
            due_today: count(&|next| next == Some(Day(today))),
            overdue30_plus: count(&|next| days_overdue(next, today) > 30),
            on_track: count(&|next| next >= Some(Day(today))),
            total_value: Money::from_database(figures.estimated_value + final_value),
            total_estimated_value: Money::from_database(figures.estimated_value),
            total_final_value: Money::from_database(final_value),
            approved_paid: figures.paid_count,
            approved_net: figures.net_count,
            rai: figures.rai,
            ber: figures.ber,
            cancel: figures.cancelled,
            scrapped: figures.scrapped,
        }
    }
}
