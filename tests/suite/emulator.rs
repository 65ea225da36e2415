//! The real binaries under an emulated runtime API, for behaviour that tests of the router cannot see.

use std::time::Duration;

use rotracker_cli::local_client::local_client;
use rotracker_tests::{
    App, TestDatabase,
    anthropic::{FakeAnthropic, Part, Script, events, sse},
    app::new_order,
    assistant::{CANARY_KEY, chat},
    database::{execute, fill},
    dynamodb,
    emulator::{Emulator, binary, database_variables, example},
};
use serde_json::{Value, json};

/// The emulator waits forever for a function that exited, so the client needs a timeout.
fn client() -> reqwest::Client {
    local_client().timeout(Duration::from_secs(20)).build().unwrap()
}

const STREAMED: &str = "lambda-runtime-function-response-mode";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_are_streamed_compressed_and_logged() {
    let database = TestDatabase::migrated().await;
    let emulator = Emulator::start().await;
    let ros = emulator.ros(&database, &[("LAMBDA_TASK_ROOT", "/var/task".to_owned())]).await;
    let url = format!("{}/lambda-url/ros/api/ros", emulator.url);
    let created = client().post(&url).json(&new_order(json!({ "roNumber": "RO 1/2" }))).send().await.unwrap();
    assert_eq!(created.status(), 201);
    created.bytes().await.unwrap();
    let list = client().get(&url).send().await.unwrap();
    assert_eq!(list.headers()[STREAMED], "streaming");
    let id = list.headers()["x-request-id"].to_str().unwrap().to_owned();
    // reqwest decompresses the body and removes the header, so compare with an uncompressed response.
    assert!(!list.headers().contains_key("content-encoding"));
    let plain = client().get(&url).header("accept-encoding", "identity").send().await.unwrap();
    assert_eq!(list.bytes().await.unwrap(), plain.bytes().await.unwrap());
    let by_number = client().get(format!("{url}/by-number/RO%201%2F2")).send().await.unwrap();
    assert_eq!(by_number.json::<Value>().await.unwrap()["roNumber"], "RO 1/2");
    let unknown = client().get(format!("{url}/nothing/here")).send().await.unwrap();
    assert_eq!(
        (unknown.status().as_u16(), unknown.json::<Value>().await.unwrap()["error"].clone()),
        (404, json!("Not found"))
    );

    let log: Vec<Value> = ros.log().iter().map(|line| serde_json::from_str(line).expect("JSON on Lambda")).collect();
    let requests: Vec<&Value> = log.iter().filter(|line| line["message"] == "request").collect();
    assert_eq!(requests.len(), 5, "{log:?}");
    let line = requests[1];
    assert_eq!((&line["http.method"], &line["http.route"]), (&json!("GET"), &json!("/api/ros")));
    assert_eq!((&line["http.status"], &line["request.id"]), (&json!(200), &json!(id)));
    assert!(line["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(requests[3]["http.route"], "/api/ros/by-number/{ro_number}", "the route, not the number");
    assert_eq!((&requests[4]["http.route"], &requests[4]["http.status"]), (&json!("(none)"), &json!(404)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_sam_local_responses_are_buffered_and_plain() {
    let database = TestDatabase::migrated().await;
    let emulator = Emulator::start().await;
    let _ros = emulator.ros(&database, &[("AWS_SAM_LOCAL", "true".to_owned())]).await;
    let url = format!("{}/lambda-url/ros/api/ros/stats/dashboard", emulator.url);
    let response = client().get(&url).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key(STREAMED));
    // reqwest does not decompress an encoding that it did not request, so one would show here.
    assert!(!response.headers().contains_key("content-encoding"));
    assert_eq!(response.json::<Value>().await.unwrap()["totalActive"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_50_000_orders_stays_below_100_mb() {
    let database = TestDatabase::migrated().await;
    let emulator = Emulator::start().await;
    fill(&database, 50_000).await;
    let ros = emulator.ros(&database, &[]).await;
    let url = format!("{}/lambda-url/ros/api/ros", emulator.url);
    let response = client().get(&url).header("accept-encoding", "identity").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.bytes().await.unwrap();
    let orders: Vec<Value> = serde_json::from_slice(&body).unwrap();
    assert_eq!(orders.len(), 50_000);
    assert!(body.len() > 30_000_000);
    let peak = ros.peak_memory().unwrap();
    assert!(peak < 100_000_000, "{peak} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_survives_panics_and_broken_responses() {
    let emulator = Emulator::start().await;
    let odd = emulator.instance("ros", &example("odd_function").await, &[]);
    let url = format!("{}/lambda-url/ros/api/odd", emulator.url);
    for accepted in ["identity", "gzip"] {
        let ask = async |path: &str| {
            let response = client().get(format!("{url}/{path}")).header("accept-encoding", accepted).send().await;
            response.unwrap_or_else(|error| panic!("{error}\n{}", odd.log().join("\n")))
        };
        let panicked = ask("panic").await;
        assert_eq!(panicked.status(), 500);
        // Read responses to the end, here and below: under this emulator, an aborted response stops the instance.
        assert_eq!(panicked.json::<Value>().await.unwrap()["error"], "Internal server error");
        assert_eq!(ask("fine").await.text().await.unwrap(), "fine");
        // Either the connection breaks or the body is not a valid list; a shorter valid list would be wrong.
        let broken = ask("broken").await;
        assert_eq!(broken.status(), 200);
        if let Ok(body) = broken.bytes().await {
            assert!(body.len() > 1_000);
            assert!(serde_json::from_slice::<Value>(&body).is_err());
        }
        assert_eq!(ask("fine").await.text().await.unwrap(), "fine");
    }
    // Clients that disconnect during a response, often enough to stop every instance if one stopped one.
    for _ in 0..20 {
        let response = client().get(format!("{url}/endless")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        drop(response);
    }
    assert_eq!(client().get(format!("{url}/fine")).send().await.unwrap().text().await.unwrap(), "fine");
    let log = odd.log().join("\n");
    assert_eq!(log.matches("on purpose").count(), 2, "{log}");
    assert_eq!(log.matches("broken off").count(), 2, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_inventory_instances_share_40_pieces() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A 1/2", 40).await;
    let emulator = Emulator::start().await;
    let instances = [(); 3].map(|()| emulator.inventory(&app.database));
    let _instances = futures_util::future::join_all(instances).await;
    let url = format!("{}/lambda-url/inventory/api/inventory", emulator.url);
    let (client, body) = (client(), part.change(&json!({})));
    let decrements = (0..60).map(|_| async {
        let response = client.post(format!("{url}/decrement")).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    });
    let responses = futures_util::future::join_all(decrements).await;
    let mut previous: Vec<i64> = responses
        .iter()
        .filter(|(status, _)| *status == 200)
        .map(|(_, response)| response["previousQty"].as_i64().unwrap())
        .collect();
    previous.sort_unstable();
    assert_eq!(previous, (1..=40).collect::<Vec<i64>>());
    assert_eq!(responses.iter().filter(|(status, _)| *status == 409).count(), 20);

    let found = client.get(format!("{url}/search?partNumber=a%201%2F2")).send().await.unwrap();
    assert_eq!(found.json::<Value>().await.unwrap()["results"][0]["qty"], 0);
    let table = client.get(format!("{url}/table/stock_room")).send().await.unwrap();
    assert_eq!(table.headers()[STREAMED], "streaming");
    assert_eq!(table.json::<Value>().await.unwrap()["count"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_pages_are_not_held_in_memory() {
    let database = TestDatabase::migrated().await;
    let emulator = Emulator::start().await;
    let logs = emulator.ai_logs(&database, &[]).await;
    let many = "INSERT INTO ai_conversation_logs (conversation_id, user, user_message, ai_response) \
                SELECT 'c', 'u', REPEAT('x', 1000000), REPEAT('y', 1000000) FROM \
                (SELECT 1 d UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5) a, \
                (SELECT 1 d UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6) b";
    execute(&mut database.connect().await, many).await;
    for path in ["", "/conversation/c"] {
        let url = format!("{}/lambda-url/ai-logs/api/ai-logs{path}", emulator.url);
        let response = client().get(&url).header("accept-encoding", "identity").send().await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()[STREAMED]), (200, &"streaming".parse().unwrap()));
        let body = response.bytes().await.unwrap();
        assert!(body.len() > 60_000_000);
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["logs"].as_array().unwrap().len(), 30);
    }
    let peak = logs.peak_memory().unwrap();
    assert!(peak < 50_000_000, "{peak} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ai_instances_share_one_rate_limit() {
    let database = TestDatabase::migrated().await;
    let (anthropic, dynamodb, emulator) =
        (FakeAnthropic::start([]).await, dynamodb::emulator().await, Emulator::start().await);
    let variables = [("RUST_LOG", "trace".to_owned())];
    let instances = [(); 2].map(|()| emulator.ai(&database, &anthropic, &dynamodb, &variables));
    let instances = futures_util::future::join_all(instances).await;
    let url = format!("{}/lambda-url/ai/api/ai", emulator.url);
    let health = client().get(format!("{url}/health")).send().await.unwrap();
    assert_eq!(health.json::<Value>().await.unwrap()["apiKeyConfigured"], true);

    // More concurrent requests than the limit allows, which is logged.
    let body = chat(&json!({ "stream": true, "userId": "a@example.com", "conversationId": "c-1" }));
    let (client, body) = (client(), &body);
    let chats = (0..8).map(|_| async {
        let response = client.post(format!("{url}/chat")).json(body).send().await.unwrap();
        (response.status().as_u16(), response.headers().clone(), response.text().await.unwrap())
    });
    let responses = futures_util::future::join_all(chats).await;
    let count = |wanted: u16| responses.iter().filter(|(status, ..)| *status == wanted).count();
    assert_eq!((count(200), count(429)), (3, 5), "{responses:?}");
    for (status, headers, body) in &responses {
        if *status == 200 {
            assert!(body.starts_with("data: {") && body.ends_with("data: [DONE]\n\n"), "{body}");
            assert_eq!(headers[STREAMED], "streaming");
            assert!(!headers.contains_key("content-encoding"), "an encoder would hold events back");
        } else {
            assert!(headers.contains_key("retry-after") && headers.contains_key("ratelimit"), "{headers:?}");
        }
    }
    let logged: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM ai_conversation_logs WHERE success AND ai_response = 'Hello.'")
            .fetch_one(&mut database.connect().await)
            .await
            .unwrap();
    assert_eq!(logged, 3);

    // Error messages of Anthropic that contain the key must not be logged, even at the most verbose level.
    for script in [Script::error(401, CANARY_KEY), Script::error(400, CANARY_KEY), Script::breaks_at_once()] {
        anthropic.respond_with(script);
        let user = chat(&json!({ "userId": format!("user-{}", anthropic.requests().len()) }));
        let response = client.post(format!("{url}/chat")).json(&user).send().await.unwrap();
        let shown = format!("{:?} {}", response.headers().clone(), response.text().await.unwrap());
        assert!(!shown.contains(CANARY_KEY), "{shown}");
    }
    // Each instance opened a connection during Init, before the first request.
    let received = anthropic.received();
    assert!(received[..2].iter().all(|request| request.method == "HEAD"), "{received:?}");
    for instance in &instances {
        let log = instance.log().join("\n");
        assert!(log.contains("http.status") && !log.contains(CANARY_KEY));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_100_000_events_keeps_memory_flat() {
    let database = TestDatabase::migrated().await;
    let (anthropic, dynamodb, emulator) =
        (FakeAnthropic::start([]).await, dynamodb::emulator().await, Emulator::start().await);
    let ai = emulator.ai(&database, &anthropic, &dynamodb, &[]).await;
    let url = format!("{}/lambda-url/ai/api/ai/chat", emulator.url);
    let patient = local_client().timeout(Duration::from_mins(3)).build().unwrap();
    let mut peaks = Vec::new();
    for count in [1_000, 100_000] {
        let events = events(&vec!["word "; count]);
        // Many events per part, as a network delivers them.
        let parts =
            events.chunks(100).map(|events| Part::Bytes(events.iter().map(sse).collect::<String>().into_bytes()));
        anthropic.respond_with(Script::parts(parts.collect()));
        let response = patient.post(&url).json(&chat(&json!({ "stream": true }))).send().await.unwrap();
        let text = response.text().await.unwrap();
        assert_eq!(text.matches("data: ").count(), events.len() + 1);
        peaks.push(ai.peak_memory().unwrap());
    }
    // 10 MB were streamed between the two measurements.
    assert!(peaks[1] < peaks[0] + 4_000_000, "{peaks:?}");
}

#[tokio::test]
async fn all_missing_variables_are_named_at_start() {
    let database = TestDatabase::empty().await;
    let emulator = Emulator::start().await;
    let mut variables = database_variables(&database);
    variables.retain(|(name, _)| *name != "DB_USER");
    variables.extend([
        ("DB_HOST", String::new()),
        ("DB_PORT", "many".to_owned()),
        ("FRONTEND_URL", "nonsense".to_owned()),
    ]);
    let ros = emulator.instance("ros", &binary("ros").await, &variables);
    assert_eq!(ros.end().await, Some(1));
    let log = ros.log().join("\n");
    for named in ["DB_HOST is missing", "DB_USER is missing", "DB_PORT must be a port number", "FRONTEND_URL must hold"]
    {
        assert!(log.contains(named), "{log}");
    }
}
