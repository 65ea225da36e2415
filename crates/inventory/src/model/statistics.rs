//! Counts of the tables and figures of the index.

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::Table;

/// The number of rows in one of the eleven tables.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableCount {
    /// The name of the table in the database.
    pub name: &'static str,
    /// The name that people read.
    pub display_name: &'static str,
    /// The number of rows.
    pub count: i64,
}

/// The eleven tables with their numbers of rows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InventoryTables)]
pub struct Tables {
    tables: Vec<TableCount>,
    total_tables: usize,
    total_items: i64,
}

impl Tables {
    /// Creates the list from the number of rows of each table.
    pub fn new(counts: impl IntoIterator<Item = (Table, i64)>) -> Self {
        let tables: Vec<TableCount> = counts
            .into_iter()
            .map(|(table, count)| TableCount { name: table.name(), display_name: table.display_name(), count })
            .collect();
        let total_items = tables.iter().map(|table| table.count).sum();
        Self { total_tables: tables.len(), total_items, tables }
    }

    pub fn total_items(&self) -> i64 {
        self.total_items
    }
}

/// The rows of the index that name one table.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
pub struct TableStock {
    /// The name of the table.
    #[sqlx(rename = "TableName")]
    pub table: String,
    /// The number of rows.
    pub parts: i64,
    /// The pieces in them, without rows whose quantity is unknown.
    pub quantity: i64,
    /// The rows with fewer pieces than [`DEFAULT_THRESHOLD`](super::DEFAULT_THRESHOLD).
    #[serde(skip)]
    pub low: i64,
    /// The rows without a piece.
    #[serde(skip)]
    pub out: i64,
}

/// The figures of the index.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InventoryStats)]
pub struct Stats {
    total_parts: i64,
    /// The same as `totalParts`.
    total_items: i64,
    total_quantity: i64,
    low_stock_items: i64,
    /// The same as `lowStockItems`.
    low_stock_count: i64,
    out_of_stock_items: i64,
    /// The stock transactions of the last 30 days.
    recent_transactions: i64,
    table_breakdown: Vec<TableStock>,
}

impl Stats {
    /// Sums up `stock`, which may lack tables without a part. All eleven tables are listed, and after them others that the index
    /// names, so that the totals are the sums of the list.
    pub fn new(mut stock: Vec<TableStock>, recent_transactions: i64) -> Self {
        let sum = |of: fn(&TableStock) -> i64| stock.iter().map(of).sum();
        let (total_parts, total_quantity) = (sum(|table| table.parts), sum(|table| table.quantity));
        let (low_stock_items, out_of_stock_items) = (sum(|table| table.low), sum(|table| table.out));
        let mut table_breakdown = Vec::with_capacity(Table::ALL.len());
        for table in Table::ALL {
            let position = stock.iter().position(|stock| Table::from_index_name(&stock.table) == Some(table));
            let found = position.map(|position| stock.swap_remove(position));
            let (parts, quantity) = found.map_or((0, 0), |found| (found.parts, found.quantity));
            table_breakdown.push(TableStock { table: table.name().to_owned(), parts, quantity, low: 0, out: 0 });
        }
        stock.sort_by(|one, other| one.table.cmp(&other.table));
        table_breakdown.append(&mut stock);
        Self {
            total_parts,
            total_items: total_parts,
            total_quantity,
            low_stock_items,
            low_stock_count: low_stock_items,
            out_of_stock_items,
            recent_transactions,
            table_breakdown,
        }
    }
}
