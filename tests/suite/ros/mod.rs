//! Tests of the `ros` function: one file per route, as in `crates/ros/src/routes`.

mod archive;
mod conditional;
mod create;
mod dashboard;
mod delete;
mod export;
mod filters;
mod follow_ups;
mod get;
mod health;
mod history;
mod list;
mod numbers;
mod registry;
mod status;
mod update;
