//! What the tests share: a real database server, a database of its own for every test, and the functions' routers on
//! it. The support code reads as verbs: `app.create("RO1").await`.

pub mod app;
pub mod database;
pub mod proxy;

pub use app::{Answer, App};
pub use database::TestDatabase;
