//! Repair orders in the database. Functions take a connection and decide nothing; handlers open and commit transactions.
//!
//! Ids and numbers are unique over the four tables because triggers enter every row, whichever program writes it, into
//! `ro_registry`. A change locks the registry's row first, so that changes and moves of one order wait for each other in one
//! place, wherever the order is.

mod check;
mod dashboard;
mod follow_ups;
mod history;
mod list;
mod orders;

use app_core::http::ApiError;

pub use check::check;
pub use dashboard::dashboard;
pub use follow_ups::{list_due, shop_contacts};
pub use history::{count_history, insert_history, list_history};
pub use list::{OrderWithTotal, SelectedOrders, list, list_counted, list_page, select};
pub use orders::{delete, find, ids_of_numbers, insert, insert_many, lock, move_order, ping, update};

use crate::model::ArchiveStatus;

/// Creates the 404 for an order that is in none of the four tables.
pub fn no_such_order() -> ApiError {
    ApiError::NotFound("Repair order not found".to_owned())
}

/// The statement for each of the four tables. Table names cannot be bound.
struct PerTable([String; 4]);

impl PerTable {
    fn new(statement: impl Fn(ArchiveStatus) -> String) -> Self {
        Self(ArchiveStatus::ALL.map(statement))
    }

    fn get(&'static self, archive: ArchiveStatus) -> &'static str {
        &self.0[archive as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    #[test]
    fn each_table_has_its_own_statement() {
        static NAMES: LazyLock<PerTable> = LazyLock::new(|| PerTable::new(|archive| archive.table().to_owned()));
        for archive in ArchiveStatus::ALL {
            assert_eq!(NAMES.get(archive), archive.table());
        }
    }
}
