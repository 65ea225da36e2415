//! The check of a new version, which a deployment invokes before clients reach it.

use http::Method;
use rotracker_cli::dynamodb::DynamoDb;
use rotracker_tests::{
    App, TestDatabase,
    anthropic::{FakeAnthropic, Received},
    database::{execute, migrate},
    dynamodb,
    emulator::{assistant_variables, free_port},
    gateway::{Call, Gateway},
    issuer::Issuer,
    runtime_api::{Outcome, RuntimeApi},
};
use serde_json::{Value, json};

use super::{Function, start_instance};

/// Invokes the check and returns its report.
async fn report(lambda: &RuntimeApi) -> Value {
    match lambda.invoke(&json!({ "deploymentCheck": true })).await {
        Outcome::Response(posted) => posted.read_document().await,
        Outcome::Error(error) => panic!("{error}"),
    }
}

/// Returns the names of the checks that failed, with the reasons.
fn failed(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = report["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false);
    checks.map(|check| (text(&check["name"]), text(&check["reason"]))).collect()
}

/// A database with the tables of all functions.
async fn database() -> TestDatabase {
    let database = TestDatabase::empty().await;
    migrate(&database, &database, false).await.unwrap();
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_function_reports_that_it_works() {
    let (database, issuer) = (database().await, Issuer::start().await);
    let (anthropic, dynamodb) = (FakeAnthropic::start([]).await, dynamodb::emulator().await);
    for (function, checks) in [
        ("ros", json!(["health", "list", "authentication"])),
        ("inventory", json!(["low stock", "ledger", "authentication"])),
        ("ai-logs", json!(["list", "authentication"])),
        ("ai", json!(["API key", "rate limit", "conversation log", "health", "authentication"])),
    ] {
        for sam_local in ["false", "true"] {
            let variables = [
                assistant_variables(&anthropic.url, &dynamodb.endpoint).as_slice(),
                &issuer.variables(),
                // The issuer replaces the mode of the template.
                &[("AUTH_MODE", String::new()), ("AWS_SAM_LOCAL", sam_local.to_owned())],
            ]
            .concat();
            let started = Function::start(function, &database, &variables).await;
            let report = report(&started.lambda).await;
            let names: Vec<&Value> = report["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
            assert_eq!((&report["ok"], &report["function"]), (&json!(true), &json!(function)), "{report}");
            assert_eq!((json!(names), failed(&report)), (checks.clone(), Vec::new()));
            // The check has no token. A client still needs one, also one that sends the body of the check.
            let call = Call::post(&format!("/api/{function}"), &json!({ "deploymentCheck": true }));
            let Outcome::Response(posted) = started.lambda.invoke(&Gateway::RestApi.event(&call)).await else {
                panic!("an error")
            };
            if sam_local == "false" {
                posted.read().await.expect(401);
            } else {
                assert_eq!(posted.read_document().await["statusCode"], 401);
            }
        }
    }
    let is_message = |received: &Received| received.method == Method::POST;
    assert!(!anthropic.received().iter().any(is_message), "the check costs no tokens");
}

/// Starts `ai` without a conversation log, with `variables`.
async fn assistant(database: &TestDatabase, dynamodb: &DynamoDb, variables: &[(&'static str, String)]) -> Function {
    let ours = assistant_variables("http://127.0.0.1:9", &dynamodb.endpoint);
    Function::start("ai", database, &[ours.as_slice(), variables].concat()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_names_each_check_that_fails() {
    let (database, empty) = (database().await, TestDatabase::empty().await);
    let dynamodb = dynamodb::emulator().await;
    let nobody = ("DB_PORT", free_port().to_string());
    for (function, database, variables, names, reason) in [
        ("ros", &database, vec![nobody.clone()], vec!["health", "list"], "503: The database cannot be reached"),
        ("ros", &empty, vec![], vec!["list"], "GET /api/ros?limit=1 responds 503"),
        ("inventory", &empty, vec![], vec!["low stock", "ledger"], "responds 503"),
        ("ai-logs", &empty, vec![], vec!["list"], "responds 503"),
        ("ros", &database, vec![("AUTH_MODE", String::new())], vec!["authentication"], "AUTH_ISSUER is not set"),
        (
            "ros",
            &database,
            vec![
                ("AUTH_MODE", String::new()),
                ("AUTH_ISSUER", format!("http://127.0.0.1:{}", free_port())),
                ("AUTH_AUDIENCE", "api".to_owned()),
            ],
            vec!["authentication"],
            "cannot be fetched",
        ),
    ] {
        let started = Function::start(function, database, &variables).await;
        let report = report(&started.lambda).await;
        let failed = failed(&report);
        assert_eq!(report["ok"], false, "{report}");
        assert_eq!(failed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names, "{report}");
        assert!(failed[0].1.contains(reason), "{failed:?}");
        let log = started.instance.log();
        assert!(log.iter().any(|line| line.contains("the check of the deployment failed")), "{log:?}");
    }
    for (variables, names, reason) in [
        (vec![("ANTHROPIC_API_KEY", String::new())], vec!["API key"], "ANTHROPIC_API_KEY is not set"),
        (vec![("AI_RATE_TABLE", "nothing".to_owned())], vec!["rate limit"], "the store of the rate limit"),
        (
            // Chats would go on, but the limit would not hold.
            vec![("AI_RATE_TABLE", "nothing".to_owned()), ("RATE_LIMIT_ON_FAILURE", "allow".to_owned())],
            vec!["rate limit"],
            "the store of the rate limit",
        ),
        (vec![("DB_NAME_DEV", empty.name.clone())], vec!["conversation log"], "ai_conversation_logs"),
    ] {
        let ai = assistant(&database, &dynamodb, &variables).await;
        let report = report(&ai.lambda).await;
        let failed = failed(&report);
        assert_eq!(failed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names, "{report}");
        assert!(failed[0].1.contains(reason), "{failed:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_cannot_ask_for_the_check() {
    let app = App::start().await;
    let ros = Function::start("ros", &app.database, &[]).await;
    let body = json!({ "deploymentCheck": true });
    for gateway in Gateway::ALL {
        for (target, status) in [("/", 404), ("/events", 404), ("/health", 405), ("/api/ros", 400)] {
            for call in [
                Call::post(target, &body),
                // {"deploymentCheck":true}
                Call::post(target, &body).base64("eyJkZXBsb3ltZW50Q2hlY2siOnRydWV9"),
                Call::post(&format!("{target}?deploymentCheck=true"), &body).header("deploymentcheck", "true"),
            ] {
                let response = ros.lambda.call(gateway, &call).await;
                let answer = response.expect(status);
                assert!(answer["error"].is_string() && answer["checks"].is_null(), "{gateway:?} {call:?}: {answer}");
            }
        }
        // An event with one more member, as gateways send them, is none.
        let mut event = gateway.event(&Call::get("/health"));
        event["deploymentCheck"] = json!(true);
        let Outcome::Response(posted) = ros.lambda.invoke(&event).await else { panic!("an error") };
        assert_eq!(posted.read().await.expect(200)["database"], "connected");
    }
    for event in [json!({ "deploymentCheck": false }), json!({ "deploymentCheck": true, "requestContext": {} })] {
        assert!(matches!(ros.lambda.invoke(&event).await, Outcome::Error(_)), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_leaves_nothing_behind() {
    let app = App::start().await;
    let ros = Function::start("ros", &app.database, &[]).await;
    for _ in 0..2 {
        assert_eq!(report(&ros.lambda).await["ok"], true);
    }
    assert_eq!(app.rows().await.len(), 0);
    // A defect that comes later shows in the next check of the same instance.
    execute(&mut app.database.connect().await, "RENAME TABLE net TO moved").await;
    assert_eq!(report(&ros.lambda).await["ok"], true, "the list reads active orders only");
    execute(&mut app.database.connect().await, "RENAME TABLE active TO also_moved").await;
    assert_eq!(failed(&report(&ros.lambda).await)[0].0, "list");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_cannot_start_names_every_variable() {
    let database = TestDatabase::empty().await;
    for function in ["ros", "inventory", "ai-logs", "ai"] {
        let lambda = RuntimeApi::start().await;
        let variables = [
            ("DB_SSL_CA", "/opt/nothing.pem".to_owned()),
            ("DB_SSL_MODE", "VERIFY_IDENTITY".to_owned()),
            ("DB_PORT", "many".to_owned()),
            ("AUTH_MODE", "sometimes".to_owned()),
            ("FRONTEND_URL", "nonsense".to_owned()),
            ("BUSINESS_TIME_ZONE", "Florida".to_owned()),
            ("AI_MODELS", "[{".to_owned()),
            ("AI_LOG_CONVERSATIONS", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ];
        let instance = start_instance(&lambda, function, &database, &variables).await;
        assert_eq!(instance.end().await, Some(1), "{function}");
        let log = instance.log();
        let mut named = vec!["DB_SSL_CA names /opt/nothing.pem", "DB_PORT must", "AUTH_MODE must", "FRONTEND_URL must"];
        named.extend(match function {
            "ros" | "inventory" => vec!["BUSINESS_TIME_ZONE must"],
            "ai" => vec!["AI_MODELS must", "AWS_ACCESS_KEY_ID is missing"],
            _ => vec![],
        });
        let line = log.iter().find(|line| line.contains("the function ends")).unwrap();
        for name in named {
            assert!(line.contains(name), "{function} does not name {name}: {line}");
        }
        assert!(!line.contains("neither DB_SSL_CA"), "{line}");
    }
}
