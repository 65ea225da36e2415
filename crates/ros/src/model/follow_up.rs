//! The orders about which someone should ask again, by shop.

use std::{collections::HashMap, future::ready, pin::pin, sync::Arc};

use app_core::{
    http::{ApiError, GroupedItem, Summary},
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

    /// Returns the key of the shop. Orders without a next update date have none, and are a group of their own.
    fn group_key(&self) -> Option<Option<&str>> {
        self.order.next_date_to_update.map(|_| self.shop_key.as_deref())
    }

    fn group(&self, contacts: &ShopContacts) -> FollowUpGroup {
        let shop = self.group_key().map(|key| {
            let contact = key.and_then(|key| contacts.get(key)).cloned();
            let ShopContact { contact, phone, email } = contact.unwrap_or_default();
            FollowUpShop { name: key.and(self.order.shop_name.clone()), contact, phone, email }
        });
        FollowUpGroup { shop }
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

/// The orders about which to ask one shop, without the orders.
#[derive(Debug, Serialize, ToSchema)]
pub struct FollowUpGroup {
    /// The shop; null for the group of orders without a next update date. Its contact, phone and e-mail are null if they are
    /// unknown, or if two shops have the name.
    shop: Option<FollowUpShop>,
}

/// An order in a list of follow-ups, with its place in its group.
type FollowUp = GroupedItem<FollowUpGroup, RepairOrderView>;

/// The members of the response beside the groups.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FollowUpSummary {
    /// The last day of the list.
    pub until: Day,
    /// The number of orders in all groups.
    pub total: usize,
}

impl<T> Summary<GroupedItem<FollowUpGroup, T>> for FollowUpSummary {
    fn count(&mut self, _: &GroupedItem<FollowUpGroup, T>) {
        self.total += 1;
    }
}

/// Puts `orders` into groups: neighbours with one shop, and those without a next update date, which come first. Leaves out those
/// about which nobody has to ask.
pub fn follow_up_groups(
    orders: impl Stream<Item = Result<DueOrder, ApiError>> + Send,
    contacts: Arc<ShopContacts>,
    today: NaiveDate,
) -> impl Stream<Item = Result<FollowUp, ApiError>> + Send {
    try_stream! {
        let mut orders = pin!(orders.try_filter(|due| ready(due.needs_follow_up())));
        let mut next = orders.try_next().await?;
        let mut is_first = true;
        while let Some(due) = next {
            next = orders.try_next().await?;
            let is_last = next.as_ref().is_none_or(|next| next.group_key() != due.group_key());
            let first_of = is_first.then(|| due.group(&contacts));
            yield GroupedItem { first_of, item: due.order.into_view(today), is_last };
            is_first = is_last;
        }
    }
}
