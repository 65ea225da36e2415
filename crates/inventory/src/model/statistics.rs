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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TableStock {
    /// The name of the table.
    pub table: String,
    /// The number of rows.
    pub parts: i64,
    /// The pieces in them, without rows whose quantity is unknown.
    pub quantity: i64,
}

/// The rows of the index that name one table, as the database sums them up.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct IndexedTable {
    /// The position in [`Table::ALL`], from 1; 0 for all tables that are none of them together, and `None` for one of those.
    pub table_number: Option<i64>,
    /// The name of a table that is none of the eleven.
    pub other_table: Option<String>,
    pub parts: i64,
    /// The pieces in them, without rows whose quantity is unknown.
    pub quantity: i64,
}

/// The figures that are not by table.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Totals {
    /// The rows of the index with fewer pieces than [`DEFAULT_THRESHOLD`](super::DEFAULT_THRESHOLD).
    pub low_parts: i64,
    /// The rows of the index without a piece.
    pub out_of_stock: i64,
    pub recent_transactions: i64,
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
    /// Lists all eleven tables, and after them others that the index names, so that the totals are the sums of the list. `indexed` may
    /// lack tables without a part.
    pub fn new(indexed: Vec<IndexedTable>, totals: &Totals) -> Self {
        let mut table_breakdown: Vec<TableStock> =
            Table::ALL.map(|table| TableStock { table: table.name().to_owned(), parts: 0, quantity: 0 }).into();
        let mut others = Vec::new();
        for IndexedTable { table_number, other_table, parts, quantity } in indexed {
            let position = table_number.and_then(|number| usize::try_from(number - 1).ok());
            if let Some(stock) = position.and_then(|position| table_breakdown.get_mut(position)) {
                (stock.parts, stock.quantity) = (parts, quantity);
            } else if let Some(table) = other_table {
                others.push(TableStock { table, parts, quantity });
            }
        }
        others.sort_by(|one, other| one.table.cmp(&other.table));
        table_breakdown.append(&mut others);
        let total_parts = table_breakdown.iter().map(|table| table.parts).sum();
        Self {
            total_parts,
            total_items: total_parts,
            total_quantity: table_breakdown.iter().map(|table| table.quantity).sum(),
            low_stock_items: totals.low_parts,
            low_stock_count: totals.low_parts,
            out_of_stock_items: totals.out_of_stock,
            recent_transactions: totals.recent_transactions,
            table_breakdown,
        }
    }
}
