//! Inventory in the database. Functions take a connection and decide nothing; handlers open and commit transactions.
//!
//! `inventoryindex` has the quantities that count. A change locks its row there first, so that changes of one part wait for
//! each other in one place, and sets the quantity in the part's table to the same number.

mod check;
mod low_stock;
mod parts;
mod reindex;
mod search;
mod statistics;
mod stock;
mod tables;
mod transactions;

pub use check::check;
pub use low_stock::low_stock;
pub use parts::{StoredPart, index_ids, indexed, lock_parts, update_part};
pub use reindex::{
    IndexedRow, NewIndexedPart, insert_indexed, list_renumbered, list_rows_with_index, list_rows_without_transactions,
    list_vanished, lock_batch, next_batch, release_entries_of_other_parts, remove_indexed, update_indexed,
};
pub use search::{search_exact, search_index_containing, search_tables_containing};
pub use statistics::{count_tables, stats};
pub use stock::{IndexedStock, lock_stock, set_quantity};
pub use tables::{NewPart, insert_parts, list_index, list_items};
pub use transactions::{count_transactions, insert_transaction, insert_transactions, list_transactions};

use crate::model::Table;

/// The key of a bound part number, [`PartNumber::in_any_case`](crate::model::PartNumber::in_any_case), for the columns
/// `PartNumberKey`.
const BOUND_KEY: &str = "UPPER(? COLLATE utf8mb4_bin)";

/// The statement for each of the eleven tables. Table names cannot be bound.
struct PerTable([String; 11]);

impl PerTable {
    fn new(statement: impl Fn(Table) -> String) -> Self {
        Self(Table::ALL.map(statement))
    }

    fn get(&'static self, table: Table) -> &'static str {
        &self.0[table as usize]
    }
}

/// Returns the expression for a column of the part of the index's row `i`. The part is in one of the eleven tables, and only that
/// one is read.
fn column_of_part(column: &str) -> String {
    let cases = Table::ALL.map(|table| {
        let name = table.name();
        format!("WHEN '{name}' THEN (SELECT {column} FROM `{name}` WHERE id = i.RowId)")
    });
    format!("CASE i.TableName {} END", cases.join(" "))
}

/// The time at which the index's row `i` was last changed. Other programs may have left zero dates, which are no instants.
const LAST_SEEN: &str = "IF(i.LastSeen > '1000-01-01', i.LastSeen, NULL)";

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    #[test]
    fn each_table_has_its_own_statement() {
        static NAMES: LazyLock<PerTable> = LazyLock::new(|| PerTable::new(|table| table.name().to_owned()));
        for table in Table::ALL {
            assert_eq!(NAMES.get(table), table.name());
        }
    }
}
