//! The orders about which someone should ask again, by shop.

use std::{collections::HashMap, future::ready, pin::pin, sync::Arc};

use app_core::{
    http::{ApiError, Summary},
    values::Day,
};
use async_stream::try_stream;
use chrono::NaiveDate;
use futures_util::{Stream, TryStreamExt};
use serde::Serialize;
use sqlx::{FromRow, Row, mysql::MySqlRow};
use utoipa::ToSchema;

use super::{RepairOrder, RepairOrderView, follow_up_days};

/// An active order whose next update date has come, or that has none.
#[derive(Clone, Debug, PartialEq)]
pub struct DueOrder {
    pub order: RepairOrder,
    /// The key of the shop's name; `None` if it has no name.
    pub shop_key: Option<String>,
}

impl DueOrder {
    /// Returns whether someone should ask about the order. If it has no date, its status decides.
    fn needs_follow_up(&self) -> bool {
        let status = self.order.current_status.as_deref().unwrap_or_default();
        self.order.next_date_to_update.is_some() || follow_up_days(status, self.order.terms.as_deref()).is_some()
    }
}

impl FromRow<'_, MySqlRow> for DueOrder {
    fn from_row(row: &MySqlRow) -> Result<Self, sqlx::Error> {
        Ok(Self { order: RepairOrder::from_row(row)?, shop_key: row.try_get("shop_key")? })
    }
}

/// How a shop is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct ShopContact {
    pub contact: Option<String>,
    pub phone: Option<String>,
    pub email: Option<String>,
}

/// The shops' contacts by the keys of their names. A name that two shops have is not among them.
pub type ShopContacts = HashMap<String, ShopContact>;

/// A shop in the list of follow-ups.
#[derive(Debug, Serialize, ToSchema)]
struct FollowUpShop {
    /// The name, as the first order has it; null if the orders name no shop.
    name: Option<String>,
    /// The person to ask for.
    contact: Option<String>,
    phone: Option<String>,
    email: Option<String>,
}

/// The orders about which to ask one shop.
#[derive(Debug, Serialize, ToSchema)]
pub struct FollowUpGroup {
    /// The shop; null for the group of orders without a next update date. Its contact, phone and e-mail are null if they are
    /// unknown, or if two shops have the name.
    shop: Option<FollowUpShop>,
    /// The orders, most overdue first. Those without a next update date are sorted by the date of their status, oldest first.
    orders: Vec<RepairOrderView>,
}

/// The members of the response beside the groups.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FollowUpSummary {
    /// The last day of the list.
    pub until: Day,
    /// The number of orders in all groups.
    pub total: usize,
}

impl Summary<FollowUpGroup> for FollowUpSummary {
    fn count(&mut self, group: &FollowUpGroup) {
        self.total += group.orders.len();
    }
}

/// Puts `orders` into groups: neighbours with one shop, and those without a next update date, which come first. Leaves out those
/// about which nobody has to ask. Only one group is in memory at a time.
pub fn follow_up_groups(
    orders: impl Stream<Item = Result<DueOrder, ApiError>> + Send,
    contacts: Arc<ShopContacts>,
    today: NaiveDate,
) -> impl Stream<Item = Result<FollowUpGroup, ApiError>> + Send {
    try_stream! {
        let mut orders = pin!(orders.try_filter(|due| ready(due.needs_follow_up())));
        let mut current: Option<(GroupKey, FollowUpGroup)> = None;
        while let Some(DueOrder { order, shop_key }) = orders.try_next().await? {
            let key: GroupKey = order.next_date_to_update.map(|_| shop_key);
            match &mut current {
                Some((current_key, group)) if *current_key == key => group.orders.push(order.into_view(today)),
                _ => {
                    let shop = key.as_ref().map(|shop_key| FollowUpShop::of(&order, shop_key.as_deref(), &contacts));
                    let group = FollowUpGroup { shop, orders: vec![order.into_view(today)] };
                    if let Some((_, finished)) = current.replace((key, group)) {
                        yield finished;
                    }
                }
            }
        }
        if let Some((_, last)) = current {
            yield last;
        }
    }
}

/// The key of the shop; `None` for orders without a next update date.
type GroupKey = Option<Option<String>>;

impl FollowUpShop {
    fn of(order: &RepairOrder, shop_key: Option<&str>, contacts: &ShopContacts) -> Self {
        let ShopContact { contact, phone, email } =
            shop_key.and_then(|key| contacts.get(key)).cloned().unwrap_or_default();
        Self { name: order.shop_name.clone().filter(|_| shop_key.is_some()), contact, phone, email }
    }
}
