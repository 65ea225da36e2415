//! Migrates the databases, and examines them. It knows the files of SQL, and no domain.
//!
//! The `migrate` function runs it during a deployment, and `rotracker` from a machine that reaches the database.

mod databases;
pub mod doctor;
pub mod function;
mod migrations;
mod parts;

pub use databases::{Databases, error_line};
pub use migrations::{
    MOVED_ASIDE, MigratedDatabase, Run, migrate_all, migrate_inventory, migrate_main, our_tables, summary,
};
pub use parts::parts;
