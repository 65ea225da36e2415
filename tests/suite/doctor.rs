//! `rotracker doctor`: each check finds its fault, on real servers.

use std::collections::BTreeMap;

use app_core::{clock::Clock, db::DatabaseConfig};
use migrate::{
    Databases,
    doctor::{Account, Finding, Status, examine},
};
use rotracker_cli::doctor;
use rotracker_tests::{
    TestDatabase,
    anthropic::{FakeAnthropic, Script},
    database::{connect, databases, execute, migrate, server},
    emulator::{binary, database_variables, free_port},
    issuer::{AUDIENCE, Issuer},
    tls_server::{TlsServer, authority},
};
use serde_json::Value;
use tokio::process::Command;
use uuid::Uuid;

fn clock() -> Clock {
    Clock::system(chrono_tz::Tz::UTC)
}

async fn examine_as(account: Account, databases: &Databases) -> Vec<Finding> {
    examine(databases, account, None, &clock()).await
}

/// The finding of the check that `check` is a part of. There is exactly one.
#[track_caller]
fn finding<'f>(findings: &'f [Finding], check: &str) -> (Status, &'f str) {
    let found: Vec<&Finding> = findings.iter().filter(|finding| finding.check.contains(check)).collect();
    assert_eq!(found.len(), 1, "{check}: {findings:#?}");
    (found[0].status, &found[0].message)
}

#[track_caller]
fn assert_finding(findings: &[Finding], check: &str, status: Status, said: &str) {
    let (found, message) = finding(findings, check);
    assert!(found == status && message.contains(said), "{check}: {found:?}, {message}");
}

async fn migrated() -> (TestDatabase, TestDatabase) {
    let (main, inventory) = (TestDatabase::empty().await, TestDatabase::empty().await);
    migrate(&main, &inventory, false).await.unwrap();
    (main, inventory)
}

/// A new account with `privileges` on both databases, and the databases with it. The account is dropped by `root`.
async fn account(main: &TestDatabase, inventory: &TestDatabase, privileges: &str) -> (String, Databases) {
    let user = format!("doctor_{}", &Uuid::new_v4().simple().to_string()[..12]);
    let mut root = connect().await;
    execute(&mut root, &format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'")).await;
    for database in [main, inventory] {
        execute(&mut root, &format!("GRANT {privileges} ON `{}`.* TO '{user}'@'%'", database.name)).await;
    }
    let server = DatabaseConfig { user: user.clone(), password: "pw".into(), ..server().clone() };
    (user, Databases { server, ..databases(main, inventory) })
}

async fn drop_account(user: &str) {
    execute(&mut connect().await, &format!("DROP USER '{user}'@'%'")).await;
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_one_finding_with_advice() {
    let (main, inventory) = (TestDatabase::empty().await, TestDatabase::empty().await);
    let mut databases = databases(&main, &inventory);
    databases.server.host = "no-such-host.invalid".to_owned();
    let findings = examine_as(Account::Service, &databases).await;
    assert_eq!(findings.len(), 1);
    assert_finding(&findings, "database server", Status::Error, "Check DB_HOST");
    (databases.server.host, databases.server.port) = ("127.0.0.1".to_owned(), free_port());
    let findings = examine_as(Account::Service, &databases).await;
    assert_eq!(findings.len(), 1);
    assert_finding(&findings, "database server", Status::Error, "Check DB_PORT");
}

#[tokio::test]
async fn a_refused_login_is_found_without_the_password() {
    let (main, inventory) = (TestDatabase::empty().await, TestDatabase::empty().await);
    let mut databases = databases(&main, &inventory);
    databases.server.user = "nobody".to_owned();
    databases.server.password = "canary-password".into();
    let findings = examine_as(Account::Service, &databases).await;
    assert_finding(&findings, "database server", Status::Ok, "127.0.0.1");
    assert_finding(&findings, "database login", Status::Error, "Check DB_USER and DB_PASSWORD");
    assert!(!format!("{findings:?}").contains("canary"), "{findings:?}");
}

#[tokio::test]
async fn the_accounts_of_the_file_are_as_they_should_be() {
    let (main, inventory) = migrated().await;
    let (user, service) = account(&main, &inventory, "SELECT, INSERT, UPDATE, DELETE").await;
    let findings = examine_as(Account::Service, &service).await;
    for name in [&main.name, &inventory.name] {
        assert_finding(&findings, &format!("privileges on {name}"), Status::Ok, "and no others");
        assert_finding(&findings, &format!("database {name}"), Status::Ok, "all migrations are applied");
        assert_finding(&findings, &format!("triggers of {name}"), Status::Ok, "they fire");
    }
    let errors: Vec<_> = findings.iter().filter(|finding| finding.status == Status::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    drop_account(&user).await;
    let privileges = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, TRIGGER";
    let (user, migrator) = account(&main, &inventory, privileges).await;
    let findings = examine_as(Account::Migrator, &migrator).await;
    assert_finding(&findings, &format!("privileges on {}", main.name), Status::Ok, "and no others");
    // The test migrated as another account.
    assert_finding(&findings, "owner of the triggers", Status::Warning, "Do not drop that account");
    drop_account(&user).await;
}

#[tokio::test]
async fn missing_and_superfluous_privileges_are_named() {
    let (main, inventory) = migrated().await;
    let check = format!("privileges on {}", inventory.name);
    let (user, service) = account(&main, &inventory, "SELECT, UPDATE").await;
    assert_finding(&examine_as(Account::Service, &service).await, &check, Status::Error, "lacks DELETE, INSERT.");
    let findings = examine_as(Account::Migrator, &service).await;
    assert_finding(&findings, &check, Status::Error, "lacks ALTER, CREATE, DELETE, DROP, INDEX, INSERT, TRIGGER.");
    drop_account(&user).await;
    let (user, service) = account(&main, &inventory, "SELECT, INSERT, UPDATE, DELETE, DROP").await;
    assert_finding(&examine_as(Account::Service, &service).await, &check, Status::Warning, "also has DROP,");
    let everywhere = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON *.* TO '{user}'@'%'");
    execute(&mut connect().await, &everywhere).await;
    let findings = examine_as(Account::Service, &service).await;
    assert_finding(&findings, "privileges elsewhere", Status::Warning, "privileges on *.*, which it does not need");
    drop_account(&user).await;
    // The suite's account may do everything.
    let findings = examine_as(Account::Service, &databases(&main, &inventory)).await;
    assert_finding(&findings, &check, Status::Warning, "which it does not need");
}

#[tokio::test]
async fn databases_that_are_missing_behind_ahead_or_foreign_are_named() {
    let (main, inventory) = migrated().await;
    let check = format!("database {}", main.name);
    let mut connection = main.connect().await;
    execute(&mut connection, "UPDATE _sqlx_migrations SET success = FALSE WHERE version = 8").await;
    let installation = databases(&main, &inventory);
    let findings = examine_as(Account::Service, &installation).await;
    assert_finding(&findings, &check, Status::Error, "0008 archive figures are not applied");
    assert_finding(&examine_as(Account::Migrator, &installation).await, &check, Status::Warning, "0008");

    let ahead = "UPDATE _sqlx_migrations SET success = TRUE; \
                 INSERT INTO _sqlx_migrations VALUES (10, 'later', NOW(), TRUE, 'x', 1)";
    execute(&mut connection, ahead).await;
    let findings = examine_as(Account::Service, &installation).await;
    assert_finding(&findings, &check, Status::Warning, "ahead of this version of the program by 0010");

    execute(&mut connection, "UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 1").await;
    let findings = examine_as(Account::Service, &installation).await;
    assert_finding(&findings, &check, Status::Error, "applied to it with a different text");

    let foreign = TestDatabase::empty().await;
    execute(&mut foreign.connect().await, "CREATE TABLE active (id INT)").await;
    let findings = examine_as(Account::Service, &databases(&foreign, &inventory)).await;
    let check = format!("database {}", foreign.name);
    assert_finding(&findings, &check, Status::Error, "tables that this program did not create");

    let missing = Databases { main: "rotest_no_such_database".to_owned(), ..installation };
    let findings = examine_as(Account::Service, &missing).await;
    assert_finding(&findings, "database rotest_no_such_database", Status::Error, "sees no database of this name");
    assert_finding(&findings, &format!("database {}", inventory.name), Status::Ok, "all migrations");
}

#[tokio::test]
async fn a_stage_that_is_not_deployed_yet_may_have_empty_databases() {
    let (main, inventory) = (TestDatabase::empty().await, TestDatabase::empty().await);
    let installation = databases(&main, &inventory);
    let check = format!("database {}", main.name);
    let findings = examine_as(Account::NewService, &installation).await;
    assert_finding(&findings, &check, Status::Warning, "The deployment applies them");
    let findings = examine_as(Account::Service, &installation).await;
    assert_finding(&findings, &check, Status::Error, "are not applied");
    migrate(&main, &inventory, false).await.unwrap();
    execute(&mut main.connect().await, "UPDATE _sqlx_migrations SET success = FALSE WHERE version = 8").await;
    let findings = examine_as(Account::NewService, &installation).await;
    assert_finding(&findings, &check, Status::Error, "0008 archive figures are not applied");
}

#[tokio::test]
async fn missing_parts_are_named() {
    let (main, inventory) = migrated().await;
    let (user, service) = account(&main, &inventory, "SELECT, INSERT, UPDATE, DELETE").await;
    let all = databases(&main, &inventory);
    let check = format!("database {}", main.name);
    for (trigger, time, event) in [
        ("register_inserted_net", "BEFORE INSERT", "an INSERT into net"),
        ("register_updated_net", "BEFORE UPDATE", "an UPDATE of net"),
        ("register_deleted_net", "AFTER DELETE", "a DELETE from net"),
    ] {
        let mut connection = main.connect().await;
        let definition: String = sqlx::query_scalar(
            "SELECT CAST(CONCAT('CREATE TRIGGER ', TRIGGER_NAME, ' ', ACTION_TIMING, ' ', EVENT_MANIPULATION, ' ON net FOR EACH ROW ', \
             ACTION_STATEMENT) AS CHAR) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() AND TRIGGER_NAME = ?",
        )
        .bind(trigger)
        .fetch_one(&mut connection)
        .await
        .unwrap();
        execute(&mut connection, &format!("DROP TRIGGER {trigger}")).await;
        let findings = examine_as(Account::Migrator, &all).await;
        assert_finding(&findings, &check, Status::Error, &format!("lacks the trigger {trigger}. "));
        // An account that sees no triggers notices that nothing happens.
        let idle = format!("CREATE TRIGGER {trigger} {time} ON net FOR EACH ROW SET @idle = 1");
        execute(&mut connection, &idle).await;
        let findings = examine_as(Account::Service, &service).await;
        assert_finding(&findings, &check, Status::Ok, "all migrations are applied");
        let fired = format!("no trigger fires after {event}.");
        assert_finding(&findings, &format!("triggers of {}", main.name), Status::Error, &fired);
        execute(&mut connection, &format!("DROP TRIGGER {trigger}")).await;
        execute(&mut connection, &definition).await;
    }
    let idle = "DROP TRIGGER suffix_deleted_stock_room; \
                CREATE TRIGGER suffix_deleted_stock_room AFTER DELETE ON stock_room FOR EACH ROW SET @idle = 1";
    execute(&mut inventory.connect().await, idle).await;
    let findings = examine_as(Account::Service, &service).await;
    let check_inventory = format!("triggers of {}", inventory.name);
    assert_finding(&findings, &check_inventory, Status::Error, "a DELETE from stock_room");
    let mut connection = main.connect().await;
    execute(&mut connection, "ALTER TABLE active DROP COLUMN NOTES; DROP TABLE shops").await;
    let findings = examine_as(Account::Service, &service).await;
    assert_finding(&findings, &check, Status::Error, "it lacks the column active.NOTES, the table shops. ");
    drop_account(&user).await;
}

#[tokio::test]
async fn triggers_whose_owner_is_gone_or_lacks_a_privilege_are_found_and_no_row_is_changed() {
    let (main, inventory) = (TestDatabase::empty().await, TestDatabase::empty().await);
    execute(&mut connect().await, "SET GLOBAL log_bin_trust_function_creators = 1").await;
    let privileges = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, TRIGGER";
    let (owner, migrator) = account(&main, &inventory, privileges).await;
    rotracker_cli::migrate::migrate_all(&migrator, rotracker_cli::migrate::Options { dry_run: false }).await.unwrap();
    let (user, service) = account(&main, &inventory, "SELECT, INSERT, UPDATE, DELETE").await;
    let check = format!("triggers of {}", main.name);
    assert_finding(&examine_as(Account::Service, &service).await, &check, Status::Ok, "they fire");
    execute(&mut connect().await, &format!("REVOKE INSERT ON `{}`.* FROM '{owner}'@'%'", main.name)).await;
    let findings = examine_as(Account::Service, &service).await;
    assert_finding(&findings, &check, Status::Error, "lacks a privilege: it serves requests, or owns the triggers");
    assert!(finding(&findings, &check).1.contains(&owner), "{findings:?}");
    drop_account(&owner).await;
    for (account, databases) in [(Account::Service, &service), (Account::Migrator, &databases(&main, &inventory))] {
        let findings = examine_as(account, databases).await;
        assert_finding(&findings, &check, Status::Error, "The account that owns the triggers is gone");
    }
    let rows: i64 = sqlx::query_scalar("SELECT (SELECT COUNT(*) FROM active) + (SELECT COUNT(*) FROM ro_registry)")
        .fetch_one(&mut main.connect().await)
        .await
        .unwrap();
    assert_eq!(rows, 0);
    drop_account(&user).await;
}

#[tokio::test]
async fn too_many_connections_and_a_wrong_clock_are_found() {
    let (main, inventory) = migrated().await;
    let wrong = Clock::standing_at("2024-11-15T12:00:00Z".parse().unwrap(), chrono_tz::Tz::UTC);
    let findings = examine(&databases(&main, &inventory), Account::Service, Some(1_000_000), &wrong).await;
    assert_finding(&findings, "database connections", Status::Error, "open up to 1000000");
    assert_finding(&findings, "database clock", Status::Warning, "differs");
    let findings = examine(&databases(&main, &inventory), Account::Service, Some(1), &clock()).await;
    assert_finding(&findings, "database connections", Status::Ok, "open up to 1 ");
    assert_finding(&findings, "database clock", Status::Ok, "agrees");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encryption_is_as_good_as_the_check_of_the_certificate() {
    let tls = TlsServer::start().await;
    let good = tls.authority.as_str();
    let bad = authority("another authority").pem();
    let identity = ("DB_SSL_MODE", "VERIFY_IDENTITY");
    for (host, variables, status, said) in [
        ("localhost", vec![("DB_SSL_CA_CONTENT", good), identity], Status::Ok, "the certificate is for localhost"),
        ("localhost", vec![("DB_SSL_CA_CONTENT", good)], Status::Warning, "DB_SSL_MODE=VERIFY_IDENTITY also checks"),
        ("localhost", vec![("DB_SSL_MODE", "REQUIRED")], Status::Warning, "the certificate is not checked"),
        ("localhost", vec![("DB_SSL_MODE", "DISABLED")], Status::Warning, "not encrypted"),
        ("localhost", vec![("DB_SSL_CA_CONTENT", bad.as_str())], Status::Error, "is the authority of this server"),
        ("127.0.0.1", vec![("DB_SSL_CA_CONTENT", good), identity], Status::Error, "name in its certificate"),
    ] {
        let server = tls.config(host, &variables).unwrap();
        let databases = Databases { server, main: "mysql".to_owned(), inventory: "mysql".to_owned() };
        let findings = examine_as(Account::Service, &databases).await;
        assert_finding(&findings, "database TLS", status, said);
    }
    let server = tls.config("localhost", &[("DB_SSL_CA_CONTENT", good)]).unwrap();
    let databases = Databases { server, main: "mysql".to_owned(), inventory: "mysql".to_owned() };
    for (now, status, said) in [
        ("2024-11-15T12:00:00Z", Status::Ok, "valid until 4096-01-01"),
        ("4095-12-15T12:00:00Z", Status::Warning, "expires on 4096-01-01"),
        ("4096-01-02T12:00:00Z", Status::Error, "expired on 4096-01-01"),
    ] {
        let clock = Clock::standing_at(now.parse().unwrap(), chrono_tz::Tz::UTC);
        let findings = examine(&databases, Account::Service, None, &clock).await;
        assert_finding(&findings, "database certificate", status, said);
    }
}

/// The environment of an installation in which nothing is wrong.
struct Installation {
    main: TestDatabase,
    inventory: TestDatabase,
    user: String,
    issuer: Issuer,
    anthropic: FakeAnthropic,
    dynamodb: rotracker_cli::dynamodb::DynamoDb,
}

impl Installation {
    async fn start() -> Self {
        let (main, inventory) = migrated().await;
        let (user, _) = account(&main, &inventory, "SELECT, INSERT, UPDATE, DELETE").await;
        let dynamodb = rotracker_cli::dynamodb::DynamoDb::start(&rotracker_cli::dynamodb::Storage::Memory, None).await;
        let installation = Self {
            main,
            inventory,
            user,
            issuer: Issuer::start().await,
            anthropic: FakeAnthropic::start([]).await,
            dynamodb: dynamodb.unwrap(),
        };
        rotracker_cli::dynamodb::create_rate_limit_table_of(&installation.variables()).await.unwrap();
        installation
    }

    fn variables(&self) -> BTreeMap<String, String> {
        let database = database_variables(&self.main).into_iter();
        let ours = [
            ("DB_NAME_INVENTORY", self.inventory.name.clone()),
            ("DB_USER", self.user.clone()),
            ("DB_PASSWORD", "pw".to_owned()),
            ("FRONTEND_URL", "https://repairs.example".to_owned()),
            ("BUSINESS_TIME_ZONE", "America/New_York".to_owned()),
            ("AUTH_ISSUER", self.issuer.url.clone()),
            ("AUTH_AUDIENCE", AUDIENCE.to_owned()),
            ("AUTH_ADMIN_ROLE", "Administrator".to_owned()),
            ("ANTHROPIC_BASE_URL", self.anthropic.url.clone()),
            ("ANTHROPIC_API_KEY", "sk-test".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.endpoint.clone()),
        ];
        database.chain(ours).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The findings with these variables in addition; an empty one is not set.
    async fn examine(&self, variables: &[(&str, &str)]) -> Vec<Finding> {
        let mut environment = self.variables();
        for (name, value) in variables {
            environment.insert((*name).to_owned(), (*value).to_owned());
        }
        let options = doctor::Options { json: false, migrator: false, samconfig: None, config_env: String::new() };
        doctor::examine(environment, &options, &clock()).await.unwrap()
    }
}

#[tokio::test]
async fn nothing_is_wrong_with_a_complete_installation() {
    let installation = Installation::start().await;
    let findings = installation.examine(&[]).await;
    let bad: Vec<&Finding> = findings.iter().filter(|finding| finding.status != Status::Ok).collect();
    // The suite's server has no TLS.
    assert!(bad.iter().all(|finding| finding.check == "database TLS"), "{bad:#?}");
    for check in ["configuration", "FRONTEND_URL", "BUSINESS_TIME_ZONE", "issuer", "Anthropic", "AI_MODELS"] {
        finding(&findings, check);
    }
    drop_account(&installation.user).await;
}

#[tokio::test]
async fn each_fault_of_the_environment_is_found() {
    let installation = Installation::start().await;
    for (variables, check, status, said) in [
        (
            &[("DB_USER", "")][..],
            "configuration",
            Status::Error,
            "DB_USER is missing (ros, inventory, ai-logs cannot start)",
        ),
        (&[("AI_MODELS", "[")], "configuration", Status::Error, "AI_MODELS must be a JSON list"),
        (&[("BUSINESS_TIME_ZONE", "Mars/Base")], "configuration", Status::Error, "BUSINESS_TIME_ZONE must be"),
        (&[("FRONTEND_URL", "repairs")], "configuration", Status::Error, "FRONTEND_URL must hold origins"),
        (
            &[("FRONTEND_URL", "https://a.example/app")],
            "FRONTEND_URL",
            Status::Warning,
            "of https://a.example/app only",
        ),
        (&[("AUTH_AUDIENCE", "")], "configuration", Status::Error, "AUTH_AUDIENCE is missing"),
        (&[("AUTH_ISSUER", "")], "authentication", Status::Error, "answered 503. Set AUTH_ISSUER"),
        (&[("AUTH_ISSUER", ""), ("LEGACY_DASHBOARD", "true")], "authentication", Status::Error, "Set PROXY_SECRET"),
        (
            &[("AUTH_ISSUER", ""), ("AUTH_MODE", "none")],
            "authentication",
            Status::Warning,
            "everybody may do everything",
        ),
        (&[("AUTH_ISSUER", "http://127.0.0.1:1")], "issuer", Status::Error, "the issuer did not answer"),
        (&[("AUTH_ADMIN_ROLE", "")], "AUTH_ADMIN_ROLE", Status::Warning, "nobody is an administrator"),
        (&[("ANTHROPIC_API_KEY", "")], "Anthropic", Status::Error, "ANTHROPIC_API_KEY is not set"),
        (
            &[("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")],
            "Anthropic",
            Status::Error,
            "Check ANTHROPIC_BASE_URL, and whether this machine reaches that host",
        ),
        (
            &[("AWS_ENDPOINT_URL_DYNAMODB", ""), ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")],
            "configuration",
            Status::Warning,
            "AWS_REGION is missing. Lambda sets it",
        ),
        (&[("AI_RATE_TABLE", "another")], "table another", Status::Error, "it does not exist"),
        (&[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")], "table ro-tracker", Status::Error, "Check AWS_REGION"),
    ] {
        assert_finding(&installation.examine(variables).await, check, status, said);
    }
    // The document of another issuer.
    let host = installation.issuer.url.replace("127.0.0.1", "localhost");
    let findings = installation.examine(&[("AUTH_ISSUER", &host)]).await;
    assert_finding(&findings, "issuer", Status::Error, "that of another issuer");

    let rejected = Script::error(401, "invalid x-api-key");
    installation.anthropic.respond_with(rejected);
    let findings = installation.examine(&[]).await;
    assert_finding(&findings, "Anthropic", Status::Error, "invalid x-api-key");
    for script in [Script::message("a model"), Script::error(404, "model: two")] {
        installation.anthropic.respond_with(script);
    }
    let models = ("AI_MODELS", r#"[{"id":"one"},{"id":"b","upstream":"two"},{"id":"three"}]"#);
    let findings = installation.examine(&[models]).await;
    assert_finding(&findings, "Anthropic", Status::Ok, "accepts the key");
    assert_finding(&findings, "AI_MODELS", Status::Error, "Anthropic has no two.");
    let asked: Vec<String> = installation.anthropic.received().into_iter().rev().take(3).map(|it| it.path).collect();
    assert_eq!(asked, ["/v1/models/three", "/v1/models/two", "/v1/models/one"]);
    drop_account(&installation.user).await;
}

#[tokio::test]
async fn tables_of_another_shape_are_found() {
    use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
    let installation = Installation::start().await;
    let config = ai::limiter::StoreConfig::read(&mut installation.variables().into_iter().collect());
    let client = ai::limiter::store::client(&config);
    for (table, key, kind) in
        [("other_name", "id", ScalarAttributeType::S), ("other_type", "pk", ScalarAttributeType::N)]
    {
        client
            .create_table()
            .table_name(table)
            .billing_mode(BillingMode::PayPerRequest)
            .key_schema(KeySchemaElement::builder().attribute_name(key).key_type(KeyType::Hash).build().unwrap())
            .attribute_definitions(
                AttributeDefinition::builder().attribute_name(key).attribute_type(kind).build().unwrap(),
            )
            .send()
            .await
            .unwrap();
        let findings = installation.examine(&[("AI_RATE_TABLE", table)]).await;
        assert_finding(&findings, &format!("live of {table}"), Status::Warning, "it is off");
        let of_table: Vec<&Finding> =
            findings.iter().filter(|finding| finding.check == format!("table {table}")).collect();
        assert!(of_table[0].message.contains("its key must be"), "{of_table:?}");
    }
    drop_account(&installation.user).await;
}

#[tokio::test]
async fn the_command_prints_lines_or_json_and_fails_on_errors() {
    let installation = Installation::start().await;
    let program = binary("rotracker").await;
    let doctor = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = Command::new(&program);
        command.arg("doctor").args(arguments);
        command.envs(installation.variables()).envs(variables.iter().copied()).env_remove("AI_RATE_TABLE");
        async move {
            let output = command.output().await.unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        }
    };
    let (status, lines) = doctor(&[], &[]).await;
    assert_eq!(status, Some(0), "{lines}");
    assert!(lines.contains("ok      database login: the server accepts doctor_"), "{lines}");
    let (status, json) = doctor(&["--json"], &[("DB_NAME_INVENTORY", "")]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((status, &json["findings"][0]["status"]), (Some(1), &Value::from("error")));
    let (status, lines) = doctor(&["--migrator"], &[]).await;
    assert_eq!(status, Some(1));
    assert!(lines.contains("the account that migrates lacks ALTER") && !lines.contains("issuer"), "{lines}");
    // The values of a stage take the place of the environment's.
    let folder = tempfile::tempdir().unwrap();
    let samconfig = folder.path().join("samconfig.toml");
    let parameters = "[prod.deploy.parameters.parameter_overrides]\nStage = \"prod\"\nDbName = \"of_the_stage\"\n\
                      AlarmEmail = \"ops@example.com\"";
    std::fs::write(&samconfig, parameters).unwrap();
    let template = "Parameters:\n  Stage:\n  DbName:\n  AlarmEmail:\nResources:\n";
    std::fs::write(folder.path().join("template.yaml"), template).unwrap();
    let samconfig = format!("--samconfig={}", samconfig.display());
    let (status, lines) = doctor(&[&samconfig, "--config-env=prod"], &[]).await;
    assert_eq!(status, Some(1));
    for line in [
        "error   samconfig: AlarmEmail is still ops@example.com",
        "error   database of_the_stage: doctor_",
        "warning DynamoDB: it is not examined",
    ] {
        assert!(lines.contains(line), "{line}: {lines}");
    }
    drop_account(&installation.user).await;
}

#[tokio::test]
async fn a_stage_is_examined_with_the_authority_that_its_functions_trust() {
    let installation = Installation::start().await;
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("infra/database-ca");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("ca.pem"), "to be replaced").unwrap();
    std::fs::write(folder.path().join("template.yaml"), "Parameters:\n  DbSslMode:\nResources:\n").unwrap();
    let samconfig = folder.path().join("samconfig.toml");
    let options = doctor::Options {
        json: false,
        migrator: false,
        samconfig: Some(samconfig.clone()),
        config_env: "dev".to_owned(),
    };
    let mut variables = installation.variables();
    // That of this machine does not count.
    variables.insert("DB_SSL_CA_CONTENT".to_owned(), authority("another").pem());
    for (mode, check, status, said) in [
        ("PREFERRED", "database TLS", Status::Warning, "DB_SSL_MODE=VERIFY_IDENTITY with"),
        ("VERIFY_IDENTITY", "configuration", Status::Error, "infra/database-ca/ca.pem, which has no PEM certificate"),
    ] {
        let parameters = format!("[dev.deploy.parameters.parameter_overrides]\nDbSslMode = \"{mode}\"");
        std::fs::write(&samconfig, parameters).unwrap();
        let findings = doctor::examine(variables.clone(), &options, &clock()).await.unwrap();
        assert_finding(&findings, check, status, said);
    }
    drop_account(&installation.user).await;
}
