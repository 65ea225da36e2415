//! `rotracker migrate`

use rotracker_cli::migrate::{self, Databases, Options};
use rotracker_tests::{
    TestDatabase,
    database::{connect, execute, server},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A main and an inventory database that do not exist yet.
fn new_databases() -> (TestDatabase, TestDatabase, Databases) {
    let names = [(); 2].map(|()| TestDatabase { name: format!("rotest_{}", Uuid::new_v4().simple()) });
    let [main, inventory] = names;
    let databases = Databases { server: server().clone(), main: main.name.clone(), inventory: inventory.name.clone() };
    (main, inventory, databases)
}

async fn count(connection: &mut MySqlConnection, what: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {what}"))).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn both_databases_are_created_and_a_second_run_changes_nothing() {
    let (main, _inventory, databases) = new_databases();
    migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap();
    let mut connection = main.connect().await;
    let applied: Vec<(i64, String)> =
        sqlx::query_as("SELECT version, CAST(installed_on AS CHAR) FROM _sqlx_migrations")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert!(applied.len() > 20);
    execute(&mut connection, "INSERT INTO active (RO) VALUES ('kept')").await;
    migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap();
    let again: Vec<(i64, String)> = sqlx::query_as("SELECT version, CAST(installed_on AS CHAR) FROM _sqlx_migrations")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(applied, again);
    assert_eq!(count(&mut connection, "active").await, 1);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let (main, inventory, databases) = new_databases();
    migrate::migrate_all(&databases, Options { dry_run: true }).await.unwrap();
    let mut connection = connect().await;
    let there = format!("information_schema.SCHEMATA WHERE SCHEMA_NAME IN ('{}', '{}')", main.name, inventory.name);
    assert_eq!(count(&mut connection, &there).await, 0);
    for name in [&main.name, &inventory.name] {
        execute(&mut connection, &format!("CREATE DATABASE {name}")).await;
    }
    migrate::migrate_all(&databases, Options { dry_run: true }).await.unwrap();
    let there = format!("information_schema.TABLES WHERE TABLE_SCHEMA IN ('{}', '{}')", main.name, inventory.name);
    assert_eq!(count(&mut connection, &there).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_may_migrate_at_once() {
    let database = TestDatabase::empty().await;
    let inventory = TestDatabase::empty().await;
    let databases =
        Databases { server: server().clone(), main: database.name.clone(), inventory: inventory.name.clone() };
    let runs = (0..4).map(|_| {
        let databases = databases.clone();
        tokio::spawn(async move { migrate::migrate_all(&databases, Options { dry_run: false }).await })
    });
    for run in futures_util::future::join_all(runs).await {
        run.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_database_with_other_migrations_is_refused_with_the_version() {
    let (main, _inventory, databases) = new_databases();
    migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap();
    let mut connection = main.connect().await;
    execute(&mut connection, "UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 9").await;
    for dry_run in [true, false] {
        let error = migrate::migrate_all(&databases, Options { dry_run }).await.unwrap_err();
        assert!(format!("{error:#}").contains("Migration 0009 was applied to it in another wording"), "{error:#}");
    }
    execute(&mut connection, "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 9").await;
    let error = migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap_err();
    assert!(format!("{error:#}").contains("Migration 9999 was applied to it"), "{error:#}");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named() {
    let (_main, _inventory, mut databases) = new_databases();
    // Never created, so there is nothing to drop.
    std::mem::forget((_main, _inventory));
    databases.server.host = "127.0.0.1".to_owned();
    databases.server.port = rotracker_tests::emulator::free_port();
    let error = migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap_err();
    let message = format!("{error:#}");
    assert!(message.contains(&format!("127.0.0.1:{}", databases.server.port)), "{message}");
}
