//! The accounts of `migrations/accounts.sql`: one migrates, and the other serves requests.

use app_core::db::{self, DatabaseConfig, Pool};
use migrate::{Databases, Run, migrate_all};
use rotracker_cli::{
    prune_ai_logs,
    reindex::{self, reindex},
    seed,
};
use rotracker_tests::{
    App, TestDatabase,
    app::path_of,
    database::{connect, execute, server, try_execute},
    emulator::{binary, database_variables},
};
use serde_json::json;
use tokio::process::Command;
use uuid::Uuid;

const ACCOUNTS: &str = include_str!("../../migrations/accounts.sql");

/// Names for the two databases and accounts of a test.
struct Accounts {
    main: TestDatabase,
    inventory: TestDatabase,
    migrator: String,
    service: String,
}

impl Accounts {
    /// Applies the file as an administrator does.
    async fn create() -> Self {
        let id = Uuid::new_v4().simple().to_string();
        let database = |name: &str| TestDatabase { name: format!("rotest_{id}_{name}") };
        let accounts = Self {
            main: database("main"),
            inventory: database("inventory"),
            migrator: format!("migrator_{}", &id[..12]),
            service: format!("service_{}", &id[..12]),
        };
        let sql = accounts.sql();
        let mut root = connect().await;
        execute(&mut root, &sql).await;
        // It can be repeated.
        execute(&mut root, &sql).await;
        // Providers set this on servers with a binary log.
        execute(&mut root, "SET GLOBAL log_bin_trust_function_creators = 1").await;
        accounts
    }

    fn sql(&self) -> String {
        ACCOUNTS
            .replace("<main>", &self.main.name)
            .replace("<inventory>", &self.inventory.name)
            .replace("<migrator>", &self.migrator)
            .replace("<migrator password>", "of the migrator")
            .replace("<service>", &self.service)
            .replace("<service password>", "of the service")
    }

    fn databases(&self, user: &str, password: &str) -> Databases {
        let server =
            DatabaseConfig { user: user.to_owned(), password: password.into(), max_connections: 4, ..server().clone() };
        Databases { server, main: self.main.name.clone(), inventory: self.inventory.name.clone() }
    }

    fn of_migrator(&self) -> Databases {
        self.databases(&self.migrator, "of the migrator")
    }

    fn of_service(&self) -> Databases {
        self.databases(&self.service, "of the service")
    }
}

async fn migrated() -> Accounts {
    let accounts = Accounts::create().await;
    let migrated = migrate_all(&accounts.of_migrator(), false, &Run::new(|_| ())).await.unwrap();
    assert_eq!(migrated.iter().map(|database| database.applied).collect::<Vec<_>>(), [9, 7]);
    accounts
}

#[tokio::test]
async fn the_service_account_serves_requests_of_every_kind() {
    let accounts = migrated().await;
    let service = accounts.of_service();
    let Accounts { main, inventory, migrator, .. } = accounts;

    let app = App::on(main, Pool::new(&service.server, &service.main));
    let created = app.create_with(json!({ "roNumber": "RO1" })).await;
    let order = path_of(&created);
    let once = json!({ "roNumber": "RO2", "shopName": "s", "partDescription": "p", "currentStatus": "APPROVED" });
    app.post_once("a key", "/api/ros", &once).await.expect(201);
    app.patch(&order, &json!({ "notes": "Called" })).await.expect(200);
    app.patch("/api/ros/by-number/RO1/status", &json!({ "status": "APPROVED" })).await.expect(200);
    app.post("/api/ros/by-number/RO1/archive", &json!({ "archiveStatus": "PAID" })).await.expect(200);
    for read in ["", "/export", "/follow-ups", "/stats/dashboard", "/by-number/RO1", "/by-number/RO1/history"] {
        let response = app.get(&format!("/api/ros{read}")).await;
        assert!(response.status.is_success(), "{read}: {response:?}");
    }
    app.delete(&order).await.expect(200);
    app.get("/health").await.expect(200);

    let App { database, pool, .. } = app;
    let app = App::ai_logs_on(database, pool);
    let log = json!({ "conversationId": "c", "user": "u", "userMessage": "q", "aiResponse": "a", "success": true });
    app.post("/api/ai-logs", &log).await.expect(201);
    for read in ["", "/stats", "/usage", "/conversation/c"] {
        app.get(&format!("/api/ai-logs{read}")).await.expect(200);
    }
    app.delete("/api/ai-logs/1").await.expect(200);
    let main = app.database;

    let app = App::inventory_on(inventory, Pool::new(&service.server, &service.inventory));
    let part = app.put("stock_room", "MS20470AD4-6", 12).await;
    for (change, fields) in [
        ("increment", json!({ "quantity": 5, "notes": "n" })),
        ("decrement", json!({ "notes": "n" })),
        ("adjust", json!({ "newQty": 3, "notes": "n" })),
    ] {
        app.post(&format!("/api/inventory/{change}"), &part.change(&fields)).await.expect(200);
    }
    for read in [
        "search?partNumber=ms",
        "low-stock",
        "stats",
        "tables",
        "transactions",
        "bins",
        "stock-room",
        "export?tableName=terra",
    ] {
        let response = app.get(&format!("/api/inventory/{read}")).await;
        assert!(response.status.is_success(), "{read}: {response:?}");
    }

    // Without the account that owns the triggers no order is changed.
    execute(&mut connect().await, &format!("DROP USER '{migrator}'@'%'")).await;
    let app = App::on(main, Pool::new(&service.server, &service.main));
    app.post("/api/ros", &once).await.expect(503);
}

#[tokio::test]
async fn the_service_account_runs_the_commands() {
    let accounts = migrated().await;
    let service = accounts.of_service();
    let workbook = concat!(env!("CARGO_MANIFEST_DIR"), "/data/workbooks/live-database.xlsx");
    let reports = tempfile::tempdir().unwrap();
    let program = binary("rotracker").await;
    let rotracker = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(&reports).envs(database_variables(&accounts.main));
        command.envs([("DB_NAME_INVENTORY", &service.inventory), ("DB_USER", &service.server.user)]);
        command.env("DB_PASSWORD", "of the service");
        command
    };
    // Some rows of that workbook are rejected.
    let imported = rotracker(&["import", workbook]).output().await.unwrap();
    assert!(matches!(imported.status.code(), Some(0 | 3)), "{imported:?}");
    let checked = rotracker(&["check"]).output().await.unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let exported = rotracker(&["export", "exported"]).output().await.unwrap();
    assert!(exported.status.success(), "{exported:?}");
    let pool = Pool::new(&service.server, &service.inventory);
    reindex(&pool, reindex::Options { dry_run: false, rebuild: true, accept_renumbered: false }).await.unwrap();
    let pool = Pool::new(&service.server, &service.main);
    prune_ai_logs::prune(&pool, "2024-11-15T12:00:00Z".parse().unwrap(), false).await.unwrap();

    let accounts = migrated().await;
    seed::fill_empty(&accounts.of_service(), "2024-11-15".parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn the_service_account_can_change_no_table() {
    let accounts = migrated().await;
    let service = accounts.of_service();
    let mut connection = db::connect(&service.server, Some(&service.main)).await.unwrap();
    for statement in [
        "DROP TABLE active",
        "ALTER TABLE active DROP COLUMN NOTES",
        "CREATE TABLE mine (id INT)",
        "CREATE INDEX mine ON active (NOTES(10))",
        "TRUNCATE active",
        "DROP TRIGGER register_inserted_active",
        "CREATE TRIGGER mine BEFORE INSERT ON active FOR EACH ROW SET @a = 1",
        "DROP DATABASE mysql",
        "CREATE USER mine",
        "SELECT * FROM mysql.user",
    ] {
        let error = try_execute(&mut connection, statement).await.unwrap_err().to_string();
        assert!(error.contains("denied"), "{statement}: {error}");
    }
    let mut migrator = db::connect(&accounts.of_migrator().server, None).await.unwrap();
    for statement in ["CREATE DATABASE mine", "CREATE USER mine", "SELECT * FROM mysql.user"] {
        let error = try_execute(&mut migrator, statement).await.unwrap_err().to_string();
        assert!(error.contains("denied"), "{statement}: {error}");
    }
}

#[tokio::test]
async fn a_forgotten_placeholder_changes_nothing() {
    let error = try_execute(&mut connect().await, ACCOUNTS).await.unwrap_err().to_string();
    assert!(error.contains("syntax"), "{error}");
    let users = "SELECT COUNT(*) FROM mysql.user WHERE User LIKE '<%'";
    let users: i64 = sqlx::query_scalar(users).fetch_one(&mut connect().await).await.unwrap();
    assert_eq!(users, 0);
}
