//! `rotracker migrate`

use rotracker_cli::migrate::{self, Databases, Options};
use rotracker_tests::{
    TestDatabase,
    database::{connect, execute, server},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// Names for a main and an inventory database that do not exist yet.
fn new_databases() -> (TestDatabase, TestDatabase, Databases) {
    let names = [(); 2].map(|()| TestDatabase { name: format!("rotest_{}", Uuid::new_v4().simple()) });
    let [main, inventory] = names;
    let databases = Databases { server: server().clone(), main: main.name.clone(), inventory: inventory.name.clone() };
    (main, inventory, databases)
}

async fn count(connection: &mut MySqlConnection, case: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {case}"))).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn databases_are_created_and_migrating_again_changes_nothing() {
    let (main, _inventory, databases) = new_databases();
    migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap();
    let mut connection = main.connect().await;
    let applied: Vec<(i64, String)> =
        sqlx::query_as("SELECT version, CAST(installed_on AS CHAR) FROM _sqlx_migrations")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(applied.len(), 9);
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
async fn unknown_migrations_are_refused() {
    let (main, _inventory, databases) = new_databases();
    migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap();
    let mut connection = main.connect().await;
    execute(&mut connection, "UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 3").await;
    for dry_run in [true, false] {
        let error = migrate::migrate_all(&databases, Options { dry_run }).await.unwrap_err();
        assert!(format!("{error:#}").contains("Migration 0003 was applied to it with a different text"), "{error:#}");
    }
    execute(&mut connection, "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 3").await;
    let error = migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap_err();
    assert!(format!("{error:#}").contains("Migration 9999 was applied to it"), "{error:#}");
}

/// Migrates two existing databases. An error is returned as one text with its causes.
async fn migrate(main: &TestDatabase, inventory: &TestDatabase) -> Result<(), String> {
    let databases = Databases { server: server().clone(), main: main.name.clone(), inventory: inventory.name.clone() };
    migrate::migrate_all(&databases, Options { dry_run: false }).await.map_err(|error| format!("{error:#}"))
}

/// The columns, indexes and triggers of the database.
async fn schema(connection: &mut MySqlConnection) -> Vec<(String, String)> {
    let tables = "SELECT CAST(CONCAT(TABLE_NAME, '.', COLUMN_NAME) AS CHAR), CAST(CONCAT_WS(' ', COLUMN_TYPE, IS_NULLABLE, \
                  COLLATION_NAME, COLUMN_DEFAULT, EXTRA, GENERATION_EXPRESSION) AS CHAR) FROM information_schema.COLUMNS \
                  WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME <> '_sqlx_migrations' ORDER BY 1";
    let triggers = "SELECT CAST(TRIGGER_NAME AS CHAR), CAST(ACTION_STATEMENT AS CHAR) FROM information_schema.TRIGGERS \
                    WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY 1";
    let indexes = "SELECT CAST(CONCAT_WS('.', TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX) AS CHAR), \
                   CAST(CONCAT(COLUMN_NAME, ' ', NON_UNIQUE) AS CHAR) FROM information_schema.STATISTICS \
                   WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME <> '_sqlx_migrations' ORDER BY 1";
    let mut schema: Vec<(String, String)> = sqlx::query_as(tables).fetch_all(&mut *connection).await.unwrap();
    schema.extend(sqlx::query_as::<_, (String, String)>(indexes).fetch_all(&mut *connection).await.unwrap());
    schema.extend(sqlx::query_as::<_, (String, String)>(triggers).fetch_all(connection).await.unwrap());
    schema
}

#[tokio::test]
async fn the_lists_of_parts_are_those_of_new_databases() {
    for (database, list) in [(TestDatabase::migrated().await, "main"), (TestDatabase::inventory().await, "inventory")] {
        let parts = ::migrate::parts(&mut database.connect().await).await.unwrap().join("\n") + "\n";
        let file = format!("{}/../crates/migrate/src/parts/{list}.txt", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE_PARTS").is_some() {
            std::fs::write(&file, &parts).unwrap();
        }
        let listed = std::fs::read_to_string(&file).unwrap();
        assert_eq!(listed, parts, "if that is meant: UPDATE_PARTS=1 cargo test --workspace the_lists_of_parts");
    }
}

/// After a bare statement MySQL keeps the semicolon, and `mysqldump` writes a file that cannot be loaded.
#[tokio::test]
async fn the_body_of_each_trigger_is_a_block() {
    let (main, inventory) = (TestDatabase::migrated().await, TestDatabase::inventory().await);
    for database in [main, inventory] {
        let bare = "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS
                    WHERE TRIGGER_SCHEMA = DATABASE() AND ACTION_STATEMENT NOT LIKE 'BEGIN%END'";
        let bare: Vec<String> = sqlx::query_scalar(bare).fetch_all(&mut database.connect().await).await.unwrap();
        assert_eq!(bare, [""; 0]);
    }
}

#[tokio::test]
async fn a_database_without_its_triggers_is_not_up_to_date() {
    let (main, inventory) = (TestDatabase::empty().await, TestDatabase::empty().await);
    migrate(&main, &inventory).await.unwrap();
    let mut connection = main.connect().await;
    let whole = schema(&mut connection).await;
    for archive in ["active", "paid", "net", "returns"] {
        for event in ["inserted", "updated", "deleted"] {
            execute(&mut connection, &format!("DROP TRIGGER register_{event}_{archive}")).await;
        }
    }
    let mut failure = String::new();
    for dry_run in [true, false] {
        failure = rotracker_tests::database::migrate(&main, &inventory, dry_run).await.unwrap_err();
        assert!(
            failure.contains(&main.name) && failure.contains("the trigger register_deleted_active, the"),
            "{failure}"
        );
    }
    // The statement in the message leads back.
    let statement = failure.split("after this statement: ").nth(1).unwrap().split(". ").next().unwrap();
    execute(&mut connection, statement).await;
    migrate(&main, &inventory).await.unwrap();
    assert_eq!(schema(&mut connection).await, whole);
    execute(&mut connection, "ALTER TABLE active DROP COLUMN NOTES; ALTER TABLE ro_registry DROP INDEX number_key")
        .await;
    let failure = migrate(&main, &inventory).await.unwrap_err();
    let named = "it lacks the column active.NOTES, the unique key ro_registry.number_key. ";
    assert!(failure.contains(named) && failure.contains("by hand"), "{failure}");
}

#[tokio::test]
async fn a_dry_run_says_if_the_account_may_not_create_a_database() {
    let (main, inventory, mut databases) = new_databases();
    std::mem::forget((main, inventory));
    let mut root = connect().await;
    let user = format!("u{}", &databases.main[databases.main.len() - 12..]);
    execute(&mut root, &format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'")).await;
    (databases.server.user, databases.server.password) = (user.clone(), "pw".to_owned().into());
    let mut failures = Vec::new();
    for dry_run in [true, false] {
        let failure = migrate::migrate_all(&databases, Options { dry_run }).await.unwrap_err();
        failures.push(format!("{failure:#}"));
    }
    execute(&mut root, &format!("DROP USER '{user}'@'%'")).await;
    for failure in failures {
        assert!(failure.contains(&databases.main) && failure.contains("Check DB_NAME_DEV"), "{failure}");
    }
}

#[tokio::test]
async fn a_migration_that_was_cut_off_runs_again() {
    let (main, inventory) = (TestDatabase::empty().await, TestDatabase::empty().await);
    migrate(&main, &inventory).await.unwrap();
    execute(&mut main.connect().await, "INSERT INTO active (RO) VALUES ('kept')").await;
    for (database, migrations) in [(&main, 9), (&inventory, 7)] {
        let mut connection = database.connect().await;
        let before = schema(&mut connection).await;
        let versions: Vec<i64> =
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations").fetch_all(&mut connection).await.unwrap();
        assert_eq!(versions.len(), migrations);
        for version in versions {
            // All statements ran, but the program stopped before recording the success.
            let cut = format!("UPDATE _sqlx_migrations SET success = FALSE WHERE version = {version}");
            execute(&mut connection, &cut).await;
            migrate(&main, &inventory).await.unwrap();
            assert_eq!(schema(&mut connection).await, before, "after {version}");
        }
    }
    assert_eq!(count(&mut main.connect().await, "active").await, 1);
}

#[tokio::test]
async fn a_migration_that_failed_half_way_runs_again() {
    let (main, inventory) = (TestDatabase::empty().await, TestDatabase::empty().await);
    let mut root = main.connect().await;
    let user = format!("u{}", &main.name[main.name.len() - 12..]);
    let privileges = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX";
    execute(
        &mut root,
        &format!(
            "CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'; GRANT {privileges} ON `{}`.* TO '{user}'@'%'; \
             GRANT {privileges} ON `{}`.* TO '{user}'@'%'",
            main.name, inventory.name
        ),
    )
    .await;
    let mut server = server().clone();
    (server.user, server.password) = (user.clone(), "pw".to_owned().into());
    let databases = Databases { server, main: main.name.clone(), inventory: inventory.name.clone() };
    let failed = migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap_err();
    execute(&mut root, &format!("DROP USER '{user}'@'%'")).await;
    let message = format!("{failed:#}");
    assert!(message.contains("Migration 0002 failed") && message.contains("TRIGGER on this database"), "{message}");
    assert_eq!(count(&mut root, "ro_registry").await, 0, "its first statement was executed");
    migrate(&main, &inventory).await.unwrap();
    let whole = TestDatabase::migrated().await;
    assert_eq!(schema(&mut root).await, schema(&mut whole.connect().await).await);
}

#[tokio::test]
async fn tables_of_other_programs_are_named_and_kept() {
    for (is_main, tables) in
        [(true, &["active", "Paid"][..]), (true, &["idempotency_keys"]), (false, &["stock_room", "transactions"])]
    {
        let (main, inventory) = (TestDatabase::empty().await, TestDatabase::empty().await);
        let other = if is_main { &inventory } else { &main };
        let mut connection = if is_main { &main } else { &inventory }.connect().await;
        for table in tables {
            execute(&mut connection, &format!("CREATE TABLE {table} (id INT PRIMARY KEY)")).await;
        }
        execute(&mut connection, "CREATE TABLE unrelated (id INT PRIMARY KEY)").await;
        let before = schema(&mut connection).await;
        for dry_run in [true, false] {
            let databases =
                Databases { server: server().clone(), main: main.name.clone(), inventory: inventory.name.clone() };
            let error = migrate::migrate_all(&databases, Options { dry_run }).await.unwrap_err();
            let message = format!("{error:#}");
            assert!(message.contains(&tables.join(", ")) && message.contains("Nothing has been changed"), "{message}");
            assert!(!message.contains("unrelated"), "{message}");
        }
        let begun = "information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '_sqlx_migrations'";
        assert_eq!((schema(&mut connection).await, count(&mut connection, begun).await), (before, 0));
        assert_eq!(schema(&mut other.connect().await).await, [], "the other database is not migrated either");
        for table in tables {
            execute(&mut connection, &format!("RENAME TABLE {table} TO {table}_of_others")).await;
        }
        migrate(&main, &inventory).await.unwrap();
    }
}

/// A database as it was made from worksheets, with tables that have our names.
const LIVE_DATABASE: &str = include_str!("../data/live-database.sql");

/// The statements that a refusal prints: the one that moves the tables aside, and the one that brings them back.
fn printed_statements(refusal: &str) -> [&str; 2] {
    let statements: Vec<&str> = refusal.lines().filter(|line| line.starts_with("RENAME TABLE ")).collect();
    statements.try_into().unwrap_or_else(|_| panic!("{refusal}"))
}

#[tokio::test]
async fn a_live_database_is_refused_until_its_tables_are_moved_aside() {
    let (live, other) = (TestDatabase::empty().await, TestDatabase::empty().await);
    let mut connection = live.connect().await;
    execute(&mut connection, LIVE_DATABASE).await;
    let before = schema(&mut connection).await;
    for (main, inventory) in [(&live, &other), (&other, &live), (&live, &live)] {
        for dry_run in [true, false] {
            let databases =
                Databases { server: server().clone(), main: main.name.clone(), inventory: inventory.name.clone() };
            let refusal = format!("{:#}", migrate::migrate_all(&databases, Options { dry_run }).await.unwrap_err());
            let named = "active, delta_apa, inventoryindex, net, paid, returns, shops, terra.";
            assert!(refusal.contains(named) && refusal.contains("Nothing has been changed"), "{refusal}");
            assert!(refusal.contains(&live.name) && !refusal.contains(&other.name), "{refusal}");
            assert!(refusal.contains("rotracker import"), "{refusal}");
            let [aside, back] = printed_statements(&refusal);
            assert!(
                aside.starts_with("RENAME TABLE `active` TO `live_active`, `delta_apa` TO `live_delta_apa`, "),
                "{aside}"
            );
            assert!(back.ends_with(", `live_terra` TO `terra`;"), "{back}");
            assert_eq!(schema(&mut connection).await, before);
            assert_eq!(schema(&mut other.connect().await).await, []);
        }
    }
    let refusal = migrate(&live, &live).await.unwrap_err();
    let [aside, back] = printed_statements(&refusal);
    execute(&mut connection, aside).await;
    execute(&mut connection, back).await;
    assert_eq!(schema(&mut connection).await, before, "brought back");
    execute(&mut connection, aside).await;
    migrate(&live, &live).await.unwrap();
    for (table, rows) in
        [("active", 0), ("live_active", 6), ("live_shops", 0), ("stock_room_actual", 5), ("stock_room", 0)]
    {
        assert_eq!(count(&mut connection, table).await, rows, "{table}");
    }
}

#[tokio::test]
async fn tables_are_not_moved_over_others() {
    let database = TestDatabase::empty().await;
    let mut connection = database.connect().await;
    execute(&mut connection, "CREATE TABLE paid (id INT); CREATE TABLE live_paid (id INT)").await;
    let refusal = migrate(&database, &database).await.unwrap_err();
    assert!(refusal.contains("also has a table live_paid") && !refusal.contains("RENAME"), "{refusal}");
}

#[tokio::test]
async fn an_account_of_a_single_database_migrates_it() {
    let database = TestDatabase::empty().await;
    let mut root = database.connect().await;
    let user = format!("u{}", &database.name[database.name.len() - 12..]);
    // A provider's server may write a binary log, and then sets this for accounts without SUPER.
    let account = format!(
        "SET GLOBAL log_bin_trust_function_creators = 1; CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'; \
         GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, TRIGGER ON `{}`.* TO '{user}'@'%'",
        database.name
    );
    execute(&mut root, &account).await;
    let mut server = server().clone();
    (server.user, server.password) = (user.clone(), "pw".to_owned().into());
    let databases = Databases { server, main: database.name.clone(), inventory: database.name.clone() };
    let mut results = Vec::new();
    for dry_run in [true, false, false] {
        results.push(migrate::migrate_all(&databases, Options { dry_run }).await.map_err(|error| format!("{error:#}")));
    }
    execute(&mut root, &format!("DROP USER '{user}'@'%'")).await;
    assert_eq!(results, [Ok(()), Ok(()), Ok(())]);
    assert_eq!(count(&mut root, "_sqlx_migrations WHERE success").await, 16);
}

#[tokio::test]
async fn both_databases_may_be_one() {
    let database = TestDatabase::empty().await;
    migrate(&database, &database).await.unwrap();
    let mut connection = database.connect().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT CAST(TABLE_NAME AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(tables.contains(&"active".to_owned()) && tables.contains(&"stock_room".to_owned()), "{tables:?}");
    migrate(&database, &database).await.unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named() {
    let (_main, _inventory, mut databases) = new_databases();
    // These databases were never created, so there is nothing to drop.
    std::mem::forget((_main, _inventory));
    databases.server.host = "127.0.0.1".to_owned();
    databases.server.port = rotracker_tests::emulator::free_port();
    let error = migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap_err();
    let message = format!("{error:#}");
    assert!(message.contains(&format!("127.0.0.1:{}", databases.server.port)), "{message}");
}
