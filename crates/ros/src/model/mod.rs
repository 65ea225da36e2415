//! The domain: repair orders, requests that change them, their history, and the rules that need no database.

mod dashboard;
mod fields;
mod filter;
mod follow_up;
mod history;
mod order;
mod status;
mod status_update;

pub use dashboard::{Dashboard, DashboardRow, DashboardSums};
pub use fields::{NewRepairOrder, OrderFields, RepairOrderChanges};
pub use filter::{ArchiveSelection, OrderFilter, OrderPlace, OrderSort, SearchText, SortDirection, SortField};
pub use follow_up::{DueOrder, FollowUpGroup, FollowUpSummary, ShopContact, ShopContacts, follow_up_groups};
pub use history::{
    ChangeContext, HistoryAction, HistoryEntry, HistoryPlace, LockedOrder, NewHistoryEntry, OrderDigest, StatusChange,
    history_of_change,
};
pub use order::{
    ArchiveStatus, ColumnValue, OrderDetail, OrderKey, RepairOrder, RepairOrderDetail, RepairOrderView, RoNumber,
    days_overdue,
};
pub use status::{StatusClass, StatusText, follow_up_days, next_update};
pub use status_update::StatusUpdate;

/// Returns the one of `all` that has the name.
///
/// # Errors
/// The problem, as the rest of a sentence that begins with the name of the field or parameter.
fn find_named<T: Copy, const N: usize>(
    all: [T; N],
    name_of: impl Fn(T) -> &'static str,
    name: &str,
) -> Result<T, String> {
    all.into_iter()
        .find(|one| name_of(*one) == name)
        .ok_or_else(|| format!("must be one of {}", all.map(name_of).join(", ")))
}
