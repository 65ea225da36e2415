//! Counts of the tables and figures of the index.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::{DEFAULT_THRESHOLD, Table};

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

/// The rows of the index that name one table and have one quantity.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct EqualParts {
    /// The position in [`Table::ALL`], from 1. 0 if it is none of them.
    pub table_number: i64,
    /// The name of a table that is none of the eleven.
    pub other_table: Option<String>,
    /// `None` if unknown.
    pub quantity: Option<i64>,
    /// The number of rows.
    pub parts: i64,
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
    /// Sums up `parts`. All eleven tables are listed, and after them others that the index names, so that the totals are the sums of
    /// the list.
    pub fn new(parts: Vec<EqualParts>, recent_transactions: i64) -> Self {
        let stock = |table: &str| TableStock { table: table.to_owned(), parts: 0, quantity: 0 };
        let mut table_breakdown: Vec<TableStock> = Table::ALL.map(|table| stock(table.name())).into();
        let mut others: BTreeMap<String, TableStock> = BTreeMap::new();
        let (mut low_stock_items, mut out_of_stock_items) = (0, 0);
        for EqualParts { table_number, other_table, quantity, parts } in parts {
            let position = usize::try_from(table_number - 1).ok();
            let other_table = other_table.unwrap_or_default();
            let stock = match position.and_then(|position| table_breakdown.get_mut(position)) {
                Some(stock) => stock,
                None => others.entry(other_table).or_insert_with_key(|name| stock(name)),
            };
            stock.parts += parts;
            stock.quantity += parts * quantity.unwrap_or_default();
            low_stock_items += if quantity.is_some_and(|quantity| quantity < DEFAULT_THRESHOLD) { parts } else { 0 };
            out_of_stock_items += if quantity.is_some_and(|quantity| quantity <= 0) { parts } else { 0 };
        }
        table_breakdown.extend(others.into_values());
        let total_parts = table_breakdown.iter().map(|table| table.parts).sum();
        Self {
            total_parts,
            total_items: total_parts,
            total_quantity: table_breakdown.iter().map(|table| table.quantity).sum(),
            low_stock_items,
            low_stock_count: low_stock_items,
            out_of_stock_items,
            recent_transactions,
            table_breakdown,
        }
    }
}
