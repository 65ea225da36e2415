//! `rotracker import`

mod again;
mod exports;
mod files;
mod interrupted;
mod live_database;
pub(crate) mod mended;
mod moved_aside;
mod related_rows;
mod report;
mod sources;
mod untidy;
mod workbooks;
