//! One database for everything: the live tables were moved aside, and ours stand beside them.

use std::path::PathBuf;

use rotracker_cli::{
    import::{Import, OnConflict},
    migrate::{self, Databases, Options},
};
use rotracker_tests::{
    App, TestDatabase,
    app::clock,
    database::{execute, server},
    importer::{LIVE_DATABASE, classes, source_address},
};
use secrecy::ExposeSecret;

fn import(databases: &Databases) -> Import {
    Import {
        databases: databases.clone(),
        sources: vec![source_address(&databases.main)],
        program: PathBuf::new(),
        mapping: None,
        password: server().password.expose_secret().into(),
        clock: clock(),
        zone: chrono_tz::Tz::America__New_York,
        dry_run: false,
        on_conflict: OnConflict::Keep,
        source_name: None,
        report: None,
    }
}

#[tokio::test]
async fn tables_that_were_moved_aside_are_imported_beside_ours() {
    let database = TestDatabase::empty().await;
    execute(&mut database.connect().await, LIVE_DATABASE).await;
    let databases =
        Databases { server: server().clone(), main: database.name.clone(), inventory: database.name.clone() };
    let refusal = format!("{:#}", migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap_err());
    let aside = refusal.lines().find(|line| line.starts_with("RENAME TABLE")).unwrap();
    execute(&mut database.connect().await, aside).await;
    migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap();

    let report = import(&databases).run().await.unwrap();
    assert_eq!(classes(&report), [("imported", 7), ("corrected", 15), ("rejected", 7), ("skipped", 4)]);
    assert_eq!(report.tables[0].table, "active", "the table is known by the name that it had");
    let again = import(&databases).run().await.unwrap();
    assert_eq!(classes(&again), [("unchanged", 22), ("rejected", 7), ("skipped", 4)]);
    let pool = database.large_pool();
    let app = App::on(database, pool);
    assert_eq!(app.get("/api/ros/by-number/38462").await.expect(200)["estimatedCost"], "4250.00");
}

#[tokio::test]
async fn an_installation_is_not_imported_into_itself() {
    let database = TestDatabase::empty().await;
    let databases =
        Databases { server: server().clone(), main: database.name.clone(), inventory: database.name.clone() };
    migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap();
    let error = format!("{:#}", import(&databases).run().await.unwrap_err());
    assert!(error.contains("has no tables to import"), "{error}");
}
