//! The domain: repair orders, requests that change them, their history, and the rules that need no database.

mod dashboard;
mod fields;
mod history;
mod order;
mod status;
mod status_update;

pub use dashboard::{Dashboard, StatusFigures};
pub use fields::{NewRepairOrder, OrderFields, RepairOrderChanges};
pub use history::{
    ChangeContext, HistoryAction, HistoryEntry, LockedOrder, NewHistoryEntry, OrderDigest, StatusChange,
    history_of_change,
};
pub use order::{
    ArchiveStatus, ColumnValue, ListRange, OrderDetail, OrderKey, RepairOrder, RepairOrderDetail, RepairOrderView,
    RoNumber, days_overdue,
};
pub use status::{StatusClass, follow_up_days};
pub use status_update::StatusUpdate;
