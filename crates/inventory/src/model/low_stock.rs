//! Low stock: the parts to buy.

use app_core::{http::Summary, values::Timestamp};
use serde::Serialize;
use sqlx::{FromRow, Row, mysql::MySqlRow};
use utoipa::ToSchema;

use super::IndexId;

/// Parts with fewer pieces than this are low, unless a request names another threshold. The low stock flag of a changed part has
/// a threshold of its own.
pub const DEFAULT_THRESHOLD: i64 = 5;

// The rule is in the statement of `store::low_stock`, which sorts by it.
/// How soon a part must be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// No piece is left.
    Critical,
    /// One piece is left, or the pieces last less than 30 days.
    High,
    /// The pieces last less than 60 days.
    Medium,
    /// The pieces last 60 days or more, or none were used.
    Low,
}

impl Urgency {
    /// All urgencies, the most urgent first. The statement numbers them from 0 in this order.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];
}

/// A part of which there are too few pieces.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LowStockItem {
    /// The row of the index.
    pub index_id: IndexId,
    /// The manufacturer's part number.
    pub part_number: String,
    /// The table that has the part.
    pub table_name: String,
    /// The id of the row in that table.
    pub row_id: i64,
    /// The serial number, from its table.
    pub serial_number: Option<String>,
    /// A description of the part, from its table.
    pub description: Option<String>,
    /// The pieces on the shelf.
    pub current_qty: i64,
    /// The pieces of that part number taken in the last 90 days.
    #[serde(rename = "usage90Days")]
    pub usage_90_days: i64,
    /// How many times pieces of that part number were taken in the last 90 days.
    #[serde(rename = "transactionCount90Days")]
    pub transaction_count_90_days: i64,
    /// The time at which pieces of that part number were last taken; null if never.
    pub last_used_date: Option<Timestamp>,
    /// The number of the repair order for which they were taken then; null if that is not known.
    #[serde(rename = "lastRONumber")]
    pub last_ro_number: Option<String>,
    /// The pieces taken a month, with two decimals.
    pub monthly_usage_rate: f64,
    /// The pieces to buy.
    pub recommended_reorder: i64,
    /// How soon to buy them.
    pub urgency: Urgency,
    /// The days until there is none at that rate; null if none was taken.
    pub days_until_stockout: Option<i64>,
    /// The shelf.
    pub location: Option<String>,
    /// The condition, such as `SV`, `AR` or `OH`.
    pub condition: Option<String>,
    /// The time at which the quantity was last changed, or the part was added to the index; null if unknown.
    pub last_seen: Option<Timestamp>,
}

/// Returns the pieces a month, rounded to two decimals, for `usage` pieces in 90 days.
#[expect(clippy::cast_precision_loss, reason = "shown to two decimals")]
fn monthly_rate(usage: i64) -> f64 {
    (usage as f64 / 3.0 * 100.0).round() / 100.0
}

/// Returns the pieces to buy: three months' usage and five more, and at least ten. Three times the exact monthly rate is the
/// usage of 90 days.
fn recommended_reorder(usage: i64) -> i64 {
    usage.saturating_add(5).max(10)
}

/// The number of low items by urgency.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LowStockSummary {
    threshold: i64,
    total_low_stock_items: u64,
    critical_items: u64,
    high_urgency_items: u64,
    medium_urgency_items: u64,
    low_urgency_items: u64,
}

impl LowStockSummary {
    pub fn new(threshold: i64) -> Self {
        Self {
            threshold,
            total_low_stock_items: 0,
            critical_items: 0,
            high_urgency_items: 0,
            medium_urgency_items: 0,
            low_urgency_items: 0,
        }
    }
}

impl Summary<LowStockItem> for LowStockSummary {
    fn count(&mut self, item: &LowStockItem) {
        self.total_low_stock_items += 1;
        *match item.urgency {
            Urgency::Critical => &mut self.critical_items,
            Urgency::High => &mut self.high_urgency_items,
            Urgency::Medium => &mut self.medium_urgency_items,
            Urgency::Low => &mut self.low_urgency_items,
        } += 1;
    }
}

impl FromRow<'_, MySqlRow> for LowStockItem {
    fn from_row(row: &MySqlRow) -> Result<Self, sqlx::Error> {
        let usage = row.try_get("usage_90_days")?;
        let urgency: i64 = row.try_get("urgency")?;
        let urgency = usize::try_from(urgency).ok().and_then(|index| Urgency::ALL.get(index)).copied();
        Ok(Self {
            index_id: row.try_get("IndexId")?,
            part_number: row.try_get("PartNumber")?,
            table_name: row.try_get("TableName")?,
            row_id: row.try_get("RowId")?,
            serial_number: row.try_get("serial_number")?,
            description: row.try_get("description")?,
            current_qty: row.try_get("quantity")?,
            usage_90_days: usage,
            transaction_count_90_days: row.try_get("transactions_90_days")?,
            last_used_date: row.try_get("last_used")?,
            last_ro_number: row.try_get("last_ro_number")?,
            monthly_usage_rate: monthly_rate(usage),
            recommended_reorder: recommended_reorder(usage),
            urgency: urgency.ok_or_else(|| sqlx::Error::Decode("there is no such urgency".into()))?,
            days_until_stockout: row.try_get("days")?,
            location: row.try_get("Location")?,
            condition: row.try_get("Condition")?,
            last_seen: row.try_get("last_seen")?,
        })
    }
}
