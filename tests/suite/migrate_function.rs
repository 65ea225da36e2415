//! The `migrate` function: the real binary, invoked as CloudFormation and operators do.

use std::time::Duration;

use app_core::clock::Clock;
use migrate::function::cloudformation;
use rotracker_tests::{
    TestDatabase,
    cloudformation::CloudFormation,
    database::execute,
    emulator::{Instance, binary, database_variables},
    runtime_api::{Outcome, RuntimeApi},
};
use serde_json::{Value, json};

/// An instance of the function, and what it needs.
struct Function {
    lambda: RuntimeApi,
    cloudformation: CloudFormation,
    instance: Instance,
}

impl Function {
    /// Starts an instance that knows only `variables`.
    async fn with(variables: &[(&'static str, String)]) -> Self {
        let lambda = RuntimeApi::start().await;
        let instance = Instance::start(&lambda.address, &binary("migrate").await, variables);
        Self { lambda, cloudformation: CloudFormation::start().await, instance }
    }

    async fn start(main: &TestDatabase, inventory: &TestDatabase) -> Self {
        Self::with(&variables(main, inventory)).await
    }

    /// Sends a request of CloudFormation and returns the document that the function puts.
    async fn request(&self, request_type: &str) -> Value {
        let outcome = self.lambda.invoke(&self.cloudformation.event(request_type)).await;
        let response = self.cloudformation.response();
        assert_eq!(result(outcome).await, Ok(response.clone()));
        response
    }
}

fn variables(main: &TestDatabase, inventory: &TestDatabase) -> Vec<(&'static str, String)> {
    [database_variables(main), vec![("DB_NAME_INVENTORY", inventory.name.clone())]].concat()
}

/// The result of an invocation: the document, or the message of the error.
async fn result(outcome: Outcome) -> Result<Value, String> {
    match outcome {
        Outcome::Response(posted) => Ok(posted.read_document().await),
        Outcome::Error(error) => Err(error["errorMessage"].as_str().unwrap_or_default().to_owned()),
    }
}

async fn empty_databases() -> (TestDatabase, TestDatabase) {
    (TestDatabase::empty().await, TestDatabase::empty().await)
}

async fn migrated_databases() -> (TestDatabase, TestDatabase) {
    let (main, inventory) = empty_databases().await;
    rotracker_tests::database::migrate(&main, &inventory, false).await.unwrap();
    (main, inventory)
}

async fn tables(database: &TestDatabase) -> Vec<String> {
    let tables = "SELECT CAST(TABLE_NAME AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()";
    sqlx::query_scalar(tables).fetch_all(&mut database.connect().await).await.unwrap()
}

#[tokio::test]
async fn create_and_update_migrate_and_delete_leaves_the_data() {
    let (main, inventory) = empty_databases().await;
    let function = Function::start(&main, &inventory).await;
    let created = function.request("Create").await;
    let summary = format!("Applied 9 migrations to {} and 7 migrations to {}.", main.name, inventory.name);
    assert_eq!(created["Status"], "SUCCESS");
    assert_eq!(created["Data"], json!({ "Applied": 16, "Summary": summary }));
    execute(&mut main.connect().await, "INSERT INTO active (RO) VALUES ('kept')").await;

    execute(&mut main.connect().await, "DROP TABLE shops; DELETE FROM _sqlx_migrations WHERE version = 6").await;
    let updated = function.request("Update").await;
    assert_eq!(updated["Data"]["Summary"], format!("Applied 1 migration to {}.", main.name));
    let again = function.request("Update").await;
    assert_eq!(again["Data"], json!({ "Applied": 0, "Summary": "No migration had to be applied." }));

    let deleted = function.request("Delete").await;
    assert_eq!((&deleted["Status"], &deleted["Data"]["Applied"]), (&json!("SUCCESS"), &json!(0)));
    let orders: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM active").fetch_one(&mut main.connect().await).await.unwrap();
    assert_eq!(orders, 1);
}

#[tokio::test]
async fn faults_of_the_configuration_are_named_in_the_response() {
    let function = Function::with(&[("DB_PORT", "many".to_owned())]).await;
    let failed = function.request("Create").await;
    let reason = failed["Reason"].as_str().unwrap();
    for fault in ["DB_HOST is missing", "DB_PASSWORD is missing", "DB_PORT must be", "DB_NAME_INVENTORY is missing"] {
        assert!(reason.contains(fault), "{reason}");
    }
    assert_eq!(failed["Status"], "FAILED");
    // A stack whose creation failed is deleted, also while its configuration is wrong.
    assert_eq!(function.request("Delete").await["Status"], "SUCCESS");
    let unknown = function.request("Rename").await;
    assert_eq!(
        (&unknown["Status"], &unknown["Reason"]),
        (&json!("FAILED"), &json!("\"Rename\" is no type of request; nothing was done"))
    );
}

#[tokio::test]
async fn a_failure_is_reported_with_its_reason_and_without_the_password() {
    let (main, inventory) = empty_databases().await;
    let mut root = main.connect().await;
    let user = format!("u{}", &main.name[main.name.len() - 12..]);
    execute(&mut root, &format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'canary-password'; GRANT SELECT ON `{}`.* TO '{user}'@'%'; GRANT SELECT ON `{}`.* TO '{user}'@'%'", main.name, inventory.name)).await;
    let account = [("DB_USER", user.clone()), ("DB_PASSWORD", "canary-password".to_owned())];
    let function = Function::with(&[variables(&main, &inventory), account.to_vec()].concat()).await;
    let failed = function.request("Create").await;
    let reason = failed["Reason"].as_str().unwrap();
    assert_eq!(failed["Status"], "FAILED");
    assert!(reason.contains(&main.name) && reason.contains("denied"), "{reason}");
    execute(&mut root, &format!("DROP USER '{user}'@'%'")).await;

    // A server that repeats the password in its error.
    let password = [
        ("DB_PASSWORD", main.name.clone()),
        ("DB_USER", "nobody".to_owned()),
        ("DB_HOST", format!("{}.invalid", main.name)),
    ];
    let function = Function::with(&[variables(&main, &inventory), password.to_vec()].concat()).await;
    let reason = function.request("Create").await["Reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("***.invalid") && !reason.contains(&main.name), "{reason}");
}

#[tokio::test]
async fn a_database_that_is_ahead_is_a_success_that_is_named() {
    let (main, inventory) = migrated_databases().await;
    let ahead = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (10, 'of the next version', TRUE, 'x', 1), (11, 'cut off', FALSE, 'x', 1)";
    execute(&mut main.connect().await, ahead).await;
    let function = Function::start(&main, &inventory).await;
    let updated = function.request("Update").await;
    let summary = updated["Data"]["Summary"].as_str().unwrap();
    assert_eq!(updated["Status"], "SUCCESS");
    assert!(
        summary.contains(&format!("{} is ahead of this version of the program by 0010, 0011", main.name)),
        "{summary}"
    );
    assert!(!summary.contains(&inventory.name), "{summary}");
    let versions: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM _sqlx_migrations").fetch_one(&mut main.connect().await).await.unwrap();
    assert_eq!(versions, 11);
}

#[tokio::test]
async fn a_statement_that_hangs_is_ended_before_the_function() {
    let (main, inventory) = migrated_databases().await;
    let mut observer = inventory.connect().await;
    execute(&mut main.connect().await, "UPDATE _sqlx_migrations SET success = FALSE WHERE version = 2").await;
    // The server does not notice that a client is gone whose statement waits for a lock on a row.
    let mut holder = main.connect().await;
    execute(&mut holder, "BEGIN; SELECT * FROM _sqlx_migrations FOR UPDATE; USE information_schema").await;
    let function = Function::start(&main, &inventory).await;
    let deadline = Clock::system(chrono_tz::Tz::UTC).now() + chrono::TimeDelta::seconds(25);
    let deadline = u64::try_from(deadline.timestamp_millis()).unwrap();
    let event = function.cloudformation.event("Update");
    result(function.lambda.invoke_until(deadline, &event).await).await.unwrap();
    let failed = function.cloudformation.response();
    let reason = failed["Reason"].as_str().unwrap();
    assert_eq!(failed["Status"], "FAILED");
    assert!(reason.contains("Their statement was ended on the server"), "{reason}");
    assert!(reason.contains("`rotracker migrate` on a machine that reaches the database"), "{reason}");
    // It would wait for half a minute.
    let ended = async {
        let sessions = "SELECT CAST(COUNT(*) AS SIGNED) FROM information_schema.PROCESSLIST WHERE DB = ?";
        loop {
            let count = sqlx::query_scalar(sessions).bind(&main.name).fetch_one(&mut observer).await;
            // MySQL cannot list a statement of another test that has a binary value.
            if count.is_ok_and(|count: i64| count == 0) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(12), ended).await.expect("the statement is ended");
    execute(&mut holder, "COMMIT").await;
    assert_eq!(function.request("Update").await["Data"]["Applied"], 1);
}

#[tokio::test]
async fn two_at_once_wait_for_each_other_and_for_the_command() {
    let (main, inventory) = empty_databases().await;
    let functions = (Function::start(&main, &inventory).await, Function::start(&main, &inventory).await);
    let (one, other, command) = tokio::join!(
        functions.0.request("Create"),
        functions.1.request("Update"),
        rotracker_tests::database::migrate(&main, &inventory, false),
    );
    command.unwrap();
    for response in [&one, &other] {
        assert_eq!(response["Status"], "SUCCESS", "{response}");
    }
    let whole = migrated_databases().await;
    assert_eq!(tables(&main).await.len(), tables(&whole.0).await.len());
    assert_eq!(tables(&inventory).await.len(), tables(&whole.1).await.len());
}

#[tokio::test]
async fn an_operator_may_invoke_it_and_other_events_change_nothing() {
    let (main, inventory) = empty_databases().await;
    let function = Function::start(&main, &inventory).await;
    let gateway = |file: &str| serde_json::from_str::<Value>(file).unwrap();
    for event in [
        json!({}),
        json!({ "migrate": "yes" }),
        json!({ "detail-type": "Scheduled Event" }),
        gateway(include_str!("../events/rest-api-v1.json")),
        gateway(include_str!("../events/http-api-v2.json")),
        gateway(include_str!("../events/function-url.json")),
    ] {
        let refused = result(function.lambda.invoke(&event).await).await.unwrap_err();
        assert!(refused.contains("nothing was done"), "{refused}");
    }
    assert_eq!(tables(&main).await.len() + tables(&inventory).await.len(), 0);
    let migrated = result(function.lambda.invoke(&json!({ "migrate": true })).await).await.unwrap();
    assert_eq!(migrated["applied"], 16);
    let examined = result(function.lambda.invoke(&json!({ "doctor": true })).await).await.unwrap();
    let findings = examined["findings"].as_array().unwrap();
    let of_main = format!("database {}", main.name);
    let finding = json!({ "status": "ok", "check": of_main, "message": "all migrations are applied" });
    assert!(findings.contains(&finding), "{examined}");
    assert!(function.cloudformation.responses().is_empty());
}

#[tokio::test]
async fn the_response_is_sent_again_and_its_loss_repeats_the_event() {
    let function = Function::with(&[]).await;
    function.cloudformation.refuse(2);
    assert_eq!(function.request("Delete").await["Status"], "SUCCESS");
    function.cloudformation.refuse(3);
    let event = function.cloudformation.event("Delete");
    // Lambda repeats an event whose invocation fails.
    let error = result(function.lambda.invoke(&event).await).await.unwrap_err();
    assert!(error.contains("503") && !error.contains("signature"), "{error}");
    assert!(error.contains("the response to CloudFormation could not be sent"), "{error}");
    assert!(function.cloudformation.responses().is_empty());
    assert!(function.instance.log().iter().any(|line| line.contains("CloudFormation does not get the response")));
}

#[tokio::test]
async fn a_panic_is_a_failure_with_a_response() {
    let cloudformation = CloudFormation::start().await;
    let request = cloudformation::Request::parse(&cloudformation.event("Create")).unwrap();
    cloudformation::respond(&request, async { panic!("on purpose") }).await.unwrap();
    let failed = cloudformation.response();
    assert_eq!(failed["Status"], "FAILED");
    assert!(failed["Reason"].as_str().unwrap().contains("panicked"), "{failed}");
}
