//! Errors before and during a response.

use rotracker_tests::{
    App, TestDatabase,
    database::{execute, fill},
    emulator::free_port,
    gateway::{Call, Gateway},
};
use serde_json::{Value, json};

use super::Function;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_have_their_status_in_the_prelude() {
    let app = App::start().await;
    execute(&mut app.database.connect().await, "ALTER TABLE active DROP COLUMN NOTES").await;
    let ros = Function::start("ros", &app.database, &[]).await;
    for gateway in Gateway::ALL {
        for (target, status, error, message) in [
            ("/api/ros", 500, "Internal server error", "An unexpected error occurred."),
            ("/api/ros/no-id", 400, "Validation error", "id "),
            ("/api/nothing", 404, "Not found", "There is nothing at this path."),
        ] {
            let response = ros.lambda.call(gateway, &Call::get(target)).await;
            assert_eq!(response.header("content-type"), Some("application/json"));
            assert!(response.header("x-request-id").is_some());
            let body = response.expect(status);
            assert_eq!(body["error"], error);
            assert!(body["message"].as_str().unwrap().starts_with(message), "{body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_database_requests_are_503() {
    let database = TestDatabase::empty().await;
    let nobody = free_port().to_string();
    let ros = Function::start("ros", &database, &[("DB_PORT", nobody.clone())]).await;
    for gateway in Gateway::ALL {
        let health = ros.lambda.call(gateway, &Call::get("/health")).await.expect(503);
        assert_eq!((&health["database"], &health["error"]), (&json!("disconnected"), &json!("Service unavailable")));
        let list = ros.lambda.call(gateway, &Call::get("/api/ros")).await;
        assert_eq!(list.header("retry-after"), Some("1"));
        let message = list.expect(503)["message"].to_string();
        assert!(!message.contains(&nobody) && !message.contains("127.0.0.1"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_500_and_the_instance_survives() {
    let odd = Function::odd().await;
    for gateway in Gateway::ALL {
        let panicked = odd.lambda.call(gateway, &Call::get("/api/odd/panic")).await.expect(500);
        let expected = json!({ "error": "Internal server error", "message": "An unexpected error occurred." });
        assert_eq!(panicked, expected);
        assert_eq!(odd.lambda.call(gateway, &Call::get("/api/odd/fine")).await.body, b"fine");
    }
}

/// The text that the runtime appends to a response that fails part-way. It calls this a trailer, but sends it in the
/// body.
const APPENDED: &str =
    "Lambda-Runtime-Function-Error-Type: Runtime.StreamError\r\nLambda-Runtime-Function-Error-Body: ";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_list_is_invalid_json_without_details() {
    let database = TestDatabase::migrated().await;
    fill(&database, 50_000).await;
    let ros = Function::start("ros", &database, &[]).await;
    for gateway in Gateway::ALL {
        for accepted in ["identity", "gzip"] {
            let call = Call::get("/api/ros").header("accept-encoding", accepted);
            let mut posted = ros.lambda.open(gateway, &call).await;
            assert_eq!(posted.prelude().await["statusCode"], 200);
            let mut body = posted.next().await.unwrap();
            database.kill_sessions().await;
            while let Some(piece) = posted.next().await {
                body.extend(piece);
            }
            assert!(serde_json::from_slice::<Value>(&body).is_err());
            if accepted == "identity" {
                let text = String::from_utf8(body).unwrap();
                let (orders, appended) = text.rsplit_once(APPENDED).unwrap_or((&text, ""));
                assert!(orders.starts_with("[{") && !orders.ends_with(']'));
                // "the database failed" in base64.
                assert!(["", "dGhlIGRhdGFiYXNlIGZhaWxlZA=="].contains(&appended.trim_end()), "{appended}");
            } else {
                let mut unpacked = Vec::new();
                let read =
                    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(body.as_slice()), &mut unpacked);
                assert!(read.is_err() && serde_json::from_slice::<Value>(&unpacked).is_err());
            }
            ros.lambda.call(gateway, &Call::get("/api/ros?limit=1")).await.expect(200);
        }
    }
    let outcomes: Vec<Value> = ros.requests().into_iter().map(|line| line["outcome"].clone()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "broken off").count(), 6, "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_file_has_fewer_rows_than_its_header_says() {
    let database = TestDatabase::migrated().await;
    fill(&database, 50_000).await;
    let ros = Function::start("ros", &database, &[]).await;
    for gateway in Gateway::ALL {
        let call = Call::get("/api/ros/export").header("accept-encoding", "identity");
        let mut posted = ros.lambda.open(gateway, &call).await;
        assert_eq!(posted.prelude().await["headers"]["x-total-count"], "50000");
        let mut body = posted.next().await.unwrap();
        database.kill_sessions().await;
        while let Some(piece) = posted.next().await {
            body.extend(piece);
        }
        let text = String::from_utf8(body).unwrap();
        let (file, _) = text.rsplit_once(APPENDED).unwrap_or((&text, ""));
        let rows = file.lines().count() - 1;
        assert!((1..50_000).contains(&rows), "{rows} rows");
    }
}
