//! The quantities that were changed.

use std::collections::{BTreeMap, btree_map::Entry};

use anyhow::Result;
use app_core::http::{Cell, Record};
use chrono::{DateTime, Utc};
use inventory::model::{StockTransaction, Table};
use sqlx::MySqlConnection;

use super::store::{self, IndexRow, OldRow};

/// A part whose quantity was changed, as it is now.
#[derive(Debug)]
pub(super) struct PartChange {
    pub(super) part_number: String,
    /// Its row in the index; `None` if that is gone.
    pub(super) row: Option<IndexRow>,
    /// The row of the old database that it was imported from.
    pub(super) old_row: Option<OldRow>,
}

/// A change of a quantity, with the table and the row that have the part.
#[derive(Debug)]
pub(super) struct StockChangeRow {
    pub(super) transaction: StockTransaction,
    table_name: Option<String>,
    row_id: Option<i64>,
}

impl Default for StockChangeRow {
    fn default() -> Self {
        let transaction = StockTransaction {
            transaction_id: 0,
            timestamp: None,
            action: String::new(),
            index_id: None,
            part_number: String::new(),
            previous_qty: None,
            delta_qty: None,
            new_qty: None,
            ro_number: None,
            notes: None,
            user: None,
            program: None,
            request_id: None,
        };
        Self { transaction, table_name: None, row_id: None }
    }
}

/// Lists the changes of quantities since, and the parts that they changed.
pub(super) async fn changes(
    connection: &mut MySqlConnection,
    since: DateTime<Utc>,
) -> Result<(Vec<StockChangeRow>, Vec<PartChange>)> {
    let transactions = store::stock_transactions(connection, since).await?;
    let mut parts = BTreeMap::new();
    for transaction in &transactions {
        let Some(index_id) = transaction.index_id else { continue };
        if let Entry::Vacant(entry) = parts.entry(index_id.0) {
            let row = store::index_row(connection, index_id.0).await?;
            let place = row.as_ref().and_then(|row| Some((Table::from_index_name(&row.table_name)?, row.row_id)));
            let old_row = match place {
                Some((table, row_id)) => store::old_row(connection, table.name(), row_id).await?,
                None => None,
            };
            entry.insert(PartChange { part_number: transaction.part_number.clone(), row, old_row });
        }
    }
    let rows = transactions.into_iter().map(|transaction| {
        let row = transaction.index_id.and_then(|id| parts.get(&id.0)?.row.as_ref());
        StockChangeRow {
            table_name: row.map(|row| row.table_name.clone()),
            row_id: row.map(|row| row.row_id),
            transaction,
        }
    });
    Ok((rows.collect(), parts.into_values().collect()))
}

impl Record for StockChangeRow {
    fn cells(&self) -> Vec<(&'static str, Cell<'_>)> {
        let Self { transaction, table_name, row_id } = self;
        vec![
            ("timestamp", Cell::Instant(transaction.timestamp)),
            ("action", Cell::Text(Some(&transaction.action))),
            ("partNumber", Cell::Identifier(Some(&transaction.part_number))),
            ("tableName", Cell::Text(table_name.as_deref())),
            ("rowId", Cell::Integer(*row_id)),
            ("previousQty", Cell::Integer(transaction.previous_qty)),
            ("deltaQty", Cell::Integer(transaction.delta_qty)),
            ("newQty", Cell::Integer(transaction.new_qty)),
            ("roNumber", Cell::Identifier(transaction.ro_number.as_deref())),
            ("notes", Cell::Text(transaction.notes.as_deref())),
            ("user", Cell::Text(transaction.user.as_deref())),
            ("program", Cell::Text(transaction.program.as_deref())),
            ("transactionId", Cell::Integer(Some(transaction.transaction_id))),
        ]
    }
}
