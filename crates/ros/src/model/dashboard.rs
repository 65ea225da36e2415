//! The figures of the dashboard's first page.

use app_core::values::{Day, Money};
use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::{ArchiveStatus, StatusClass, days_overdue};

/// The figures of the dashboard's first page. Unless a field says otherwise, it counts active orders. Statuses are
/// compared without case, and without arrows, dashes and blanks around them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
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

/// The orders with one archive status that have one status. The database knows no classes, so they are grouped by the text.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct StatusFigures {
    pub archive: String,
    /// `None` or empty for orders without a status, and for archive statuses whose statuses are not counted.
    pub status: Option<String>,
    pub orders: i64,
    /// The sum of the estimated costs of active orders, and of the final costs of others.
    pub value: Decimal,
}

impl Dashboard {
    /// Sums up `figures` for the date `today`. `next_updates` has the number of active orders for each next update date.
    pub fn new(figures: &[StatusFigures], next_updates: &[(Option<Day>, i64)], today: NaiveDate) -> Self {
        let due = |is_counted: &dyn Fn(Option<Day>) -> bool| {
            next_updates.iter().filter(|(next, _)| is_counted(*next)).map(|(_, orders)| orders).sum::<i64>()
        };
        let of = |archive: ArchiveStatus| figures.iter().filter(move |figures| figures.archive == archive.name());
        let orders = |archive| of(archive).map(|figures| figures.orders).sum::<i64>();
        let value = |archive| of(archive).map(|figures| figures.value).sum::<Decimal>();
        let class = |archive, class| {
            let of_class =
                of(archive).filter(|figures| figures.status.as_deref().and_then(StatusClass::of) == Some(class));
            of_class.map(|figures| figures.orders).sum::<i64>()
        };
        use ArchiveStatus::{Active, Net, Paid, Returned};
        let final_value = value(Paid) + value(Net) + value(Returned);
        Self {
            total_active: due(&|_| true),
            overdue: due(&|next| days_overdue(next, today) > 0),
            waiting_quote: class(Active, StatusClass::WaitingQuote),
            approved: class(Active, StatusClass::Approved),
            being_repaired: class(Active, StatusClass::BeingRepaired),
            shipping: class(Active, StatusClass::Shipping),
            due_today: due(&|next| next == Some(Day(today))),
            overdue30_plus: due(&|next| days_overdue(next, today) > 30),
            on_track: due(&|next| next >= Some(Day(today))),
            total_value: Money::from_database(value(Active) + final_value),
            total_estimated_value: Money::from_database(value(Active)),
            total_final_value: Money::from_database(final_value),
            approved_paid: orders(Paid),
            approved_net: orders(Net),
            rai: class(Returned, StatusClass::Rai),
            ber: class(Returned, StatusClass::Ber),
            cancel: class(Returned, StatusClass::Cancelled),
            scrapped: class(Returned, StatusClass::Scrapped),
        }
    }
}
