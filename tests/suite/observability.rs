//! Metrics and request logs of the real binaries, as CloudWatch reads them.

use std::{collections::BTreeSet, time::Duration};

use app_core::metrics::METRICS;
use rotracker_cli::local_client::local_client;
use rotracker_tests::{
    TestDatabase,
    anthropic::{FakeAnthropic, Part, Script, events, sse},
    app::new_order,
    assistant::chat,
    database::{execute, fill, server},
    dynamodb::{self, DynamoDbProxy, Loss},
    emulator::{Emulator, binary, database_variables, example, free_port},
    held_connections::{Event, HeldConnections},
    metrics::names_in,
    proxy::{Cut, Proxy},
};
use serde_json::{Value, json};

fn client() -> reqwest::Client {
    local_client().timeout(Duration::from_secs(60)).build().unwrap()
}

/// Makes the function write JSON logs and metrics, as on Lambda.
fn as_on_lambda() -> (&'static str, String) {
    ("LAMBDA_TASK_ROOT", "/var/task".to_owned())
}

/// The variables for a database at a local port, without TLS.
fn database_at(port: u16) -> [(&'static str, String); 3] {
    [("DB_HOST", "127.0.0.1".to_owned()), ("DB_PORT", port.to_string()), ("DB_SSL_MODE", "DISABLED".to_owned())]
}

/// Sends a request, reads the whole response and returns its status.
async fn ask(request: reqwest::RequestBuilder) -> u16 {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    response.bytes().await.unwrap();
    status
}

/// The value of a metric, which must be present.
#[track_caller]
fn value(line: &Value, metric: &str) -> f64 {
    line[metric].as_f64().unwrap_or_else(|| panic!("no {metric}: {line}"))
}

/// Asserts the values of metrics; `None` means that the line must not have the metric.
#[track_caller]
fn assert_values(line: &Value, expected: &[(&str, Option<f64>)]) {
    for (metric, expected) in expected {
        assert_eq!(line[metric].as_f64(), *expected, "{metric}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_logged_with_its_cost() {
    let (database, emulator, proxy) = (TestDatabase::migrated().await, Emulator::start().await, Proxy::start().await);
    fill(&database, 2_000).await;
    // With more, a second connection could be opened while the first returns to the pool.
    let one_connection = ("DB_MAX_CONNECTIONS", "1".to_owned());
    let variables = [database_at(proxy.port).as_slice(), &[as_on_lambda(), one_connection]].concat();
    let ros = emulator.ros(&database, &variables).await;
    let url = format!("{}/lambda-url/ros", emulator.url);
    let api = format!("{url}/api/ros");
    // After this request, the connection from Init is in the pool.
    ask(client().get(format!("{url}/health"))).await;
    proxy.statements();
    let order = new_order(json!({ "roNumber": "RO-A" }));
    let (patch, status) = (json!({ "archiveStatus": "PAID" }), json!({ "status": "APPROVED" }));
    let (by_number, netlify) = (format!("{api}/by-number/RO-A"), format!("{url}/.netlify/functions/api/ros"));
    for (request, route, status) in [
        (client().get(&api), "GET /api/ros", 200),
        (client().get(format!("{api}?limit=3")), "GET /api/ros", 200),
        (client().post(&api).json(&order), "POST /api/ros", 201),
        (client().post(&api).json(&order), "POST /api/ros", 409),
        (client().get(&by_number), "GET /api/ros/by-number/{ro_number}", 200),
        (client().get(format!("{netlify}/by-number/RO-A")), "GET /api/ros/by-number/{ro_number}", 200),
        (client().patch(&by_number).json(&patch), "PATCH /api/ros/by-number/{ro_number}", 200),
        (
            client().patch(format!("{by_number}/status")).json(&status),
            "PATCH /api/ros/by-number/{ro_number}/status",
            200,
        ),
        (client().get(format!("{api}/stats/dashboard")), "GET /api/ros/stats/dashboard", 200),
        (client().post(&api).json(&json!({})), "POST /api/ros", 400),
        (client().get(format!("{api}/nothing/here")), "(none)", 404),
        (client().put(&api).json(&json!({})), "(none)", 405),
    ] {
        let before = ros.metrics(1).await.len();
        assert_eq!(ask(request).await, status, "{route}");
        let lines = ros.metrics(before + 1).await;
        assert_eq!(lines.len(), before + 1, "one line a request");
        let line = &lines[before];
        assert_eq!((&line["Route"], &line["http.status"]), (&json!(route), &json!(status.to_string())));
        assert_eq!(line["Status"], format!("{}xx", status / 100));
        assert_eq!((&line["Function"], &line["outcome"]), (&json!("function"), &json!("complete")));
        assert!(value(line, "Duration") > 0.0);
        assert_values(line, &[("Errors", Some(0.0)), ("BrokenAnswers", Some(0.0)), ("ColdStarts", Some(0.0))]);
        // The proxy counts the statements that reach the server.
        let sent = proxy.statements();
        match sent {
            0 => {
                assert_values(line, &[("DatabaseStatements", None), ("DatabaseTime", None), ("DatabasePoolWait", None)])
            }
            _ => {
                assert_values(line, &[("DatabaseConnects", Some(0.0)), ("DatabaseRetries", Some(0.0))]);
                assert_eq!(value(line, "DatabaseStatements"), sent as f64, "{route}");
                let (time, wait) = (value(line, "DatabaseTime"), value(line, "DatabasePoolWait"));
                assert!(time > 0.0 && wait >= 0.0 && time + wait <= value(line, "Duration"), "{line}");
            }
        }
    }
    let first = &ros.metrics(1).await[0];
    assert_values(first, &[("ColdStarts", Some(1.0)), ("DatabaseConnects", Some(0.0))]);
    assert!(value(first, "InitDuration") > 0.0);

    // A lost connection costs a retry and a new connection, whose setup statements do not count for the request.
    proxy.cut_at(1, Cut::Before);
    assert_eq!(ask(client().get(&by_number)).await, 200);
    let lines = ros.metrics(14).await;
    assert_values(&lines[13], &[("DatabaseRetries", Some(1.0)), ("DatabaseConnects", Some(1.0))]);
    assert_values(&lines[13], &[("DatabaseStatements", Some(2.0)), ("DatabaseUnavailable", Some(0.0))]);
    assert!(lines[1..].iter().all(|line| line["InitDuration"].is_null()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_emitted() {
    let (database, emulator) = (TestDatabase::migrated().await, Emulator::start().await);
    let dynamodb = dynamodb::emulator().await;
    let nobody = ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://127.0.0.1:{}", free_port()));
    let all = events(&["one", "two"]);
    let begun = |end: Part| {
        Script::parts(all[..4].iter().map(|event| Part::Bytes(sse(event).into_bytes())).chain([end]).collect())
    };
    let mut seen = BTreeSet::new();
    let anthropic = FakeAnthropic::start([]).await;
    let url = format!("{}/lambda-url/ai/api/ai/chat", emulator.url);
    let [one, zero, none] = [Some(1.0), Some(0.0), None];
    let logged = json!({ "conversationId": "c-1" });
    let streamed = json!({ "conversationId": "c-1", "stream": true });
    let no_log = "RENAME TABLE ai_conversation_logs TO gone";
    let log_again = "RENAME TABLE gone TO ai_conversation_logs";
    let tokens = [
        ("InputTokens", Some(245.0)),
        ("OutputTokens", Some(156.0)),
        ("CacheReadTokens", Some(100.0)),
        ("CacheWriteTokens", Some(7.0)),
        ("UpstreamErrors", zero),
        ("UpstreamMisconfigured", zero),
        ("RateLimitAdmitted", one),
        ("RateLimitRefused", zero),
        ("RateLimitUnchecked", zero),
        ("RateLimitUnavailable", zero),
        ("Errors", zero),
    ];
    let entered = [("JournalFailures", zero), ("DatabaseStatements", Some(3.0)), ("BrokenAnswers", zero)];
    let not_asked = [("UpstreamErrors", none), ("UpstreamTimeToFirstByte", none), ("InputTokens", none)];
    let refused =
        [("RateLimitRefused", one), ("RateLimitAdmitted", zero), ("TokenLimitRefused", zero), ("Errors", zero)];
    let misconfigured =
        [("UpstreamMisconfigured", one), ("UpstreamErrors", one), ("Errors", one), ("InputTokens", none)];
    let fault_of_client = [("UpstreamErrors", zero), ("UpstreamMisconfigured", zero), ("Errors", zero)];
    let broken = [("UpstreamErrors", one), ("BrokenAnswers", one), ("Errors", zero), ("InputTokens", Some(245.0))];
    let not_entered =
        [("JournalFailures", one), ("DatabaseUnavailable", zero), ("Errors", zero), ("OutputTokens", Some(156.0))];
    // The case, the upstream scripts, the request fields, the user, the status and the expected metrics.
    type Case<'c> = (&'c str, Vec<Script>, &'c Value, &'c str, u16, Vec<(&'c str, Option<f64>)>);
    let cases: [Case<'_>; 9] = [
        ("a response", vec![], &logged, "a", 200, [&tokens[..], &entered].concat()),
        ("a streamed response", vec![], &streamed, "b", 200, [&tokens[..], &entered].concat()),
        ("one that asks too often", vec![], &logged, "b", 429, [&refused[..], &not_asked].concat()),
        ("a wrong key", vec![Script::error(401, "no")], &logged, "c", 503, misconfigured.to_vec()),
        ("a wrong question", vec![Script::error(400, "no")], &logged, "d", 400, fault_of_client.to_vec()),
        ("a break on the way", vec![begun(Part::Break)], &streamed, "e", 200, broken.to_vec()),
        (
            "an error on the way",
            vec![begun(Part::Bytes(sse(&json!({ "type": "error", "error": { "message": "x" } })).into_bytes()))],
            &streamed,
            "f",
            200,
            broken.to_vec(),
        ),
        ("no log", vec![], &logged, "g", 200, not_entered.to_vec()),
        ("no log of a stream", vec![], &streamed, "h", 200, not_entered.to_vec()),
    ];
    let ai = emulator.ai(&database, &anthropic, &dynamodb, &[as_on_lambda(), ("AI_RATE_LIMIT", "1".to_owned())]).await;
    for (number, (case, scripts, fields, user, status, expected)) in cases.into_iter().enumerate() {
        scripts.into_iter().for_each(|script| anthropic.respond_with(script));
        let mut connection = database.connect().await;
        if case.starts_with("no log") {
            execute(&mut connection, no_log).await;
        }
        let mut body = chat(fields);
        body["userId"] = json!(user);
        assert_eq!(ask(client().post(&url).json(&body)).await, status, "{case}");
        if case.starts_with("no log") {
            execute(&mut connection, log_again).await;
        }
        let line = ai.metrics(number + 1).await.swap_remove(number);
        assert_values(&line, &expected);
        assert!(value(&line, "RateLimitTime") >= 0.0);
        if status == 200 {
            assert_eq!(line["Model"], "claude-sonnet-4-20250514", "{case}");
            assert!(value(&line, "UpstreamTimeToFirstByte") > 0.0);
        }
        seen.extend(names_in(&line));
    }

    // If the client disconnects, the tokens are still counted. The function notices when it sends more data.
    let ping = sse(&json!({ "type": "ping", "padding": "x".repeat(10_000) })).into_bytes();
    let first = all[..4].iter().map(|event| Part::Bytes(sse(event).into_bytes()));
    let rest = std::iter::once(Part::Wait).chain(std::iter::repeat_n(Part::Bytes(ping), 2_000));
    anthropic.respond_with(Script::parts(first.chain(rest).collect()));
    let mut body = chat(&streamed);
    body["userId"] = json!("left");
    let mut response = client().post(&url).json(&body).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    anthropic.resume();
    let line = ai.metrics(10).await.swap_remove(9);
    assert_eq!(line["outcome"], "client left");
    assert_values(&line, &[("InputTokens", Some(245.0)), ("BrokenAnswers", zero), ("UpstreamErrors", zero)]);
    assert_values(&line, &[("JournalFailures", zero), ("DatabaseStatements", Some(3.0))]);
    ai.stop().await;

    // The tokens of the day are used up.
    let ai =
        emulator.ai(&database, &anthropic, &dynamodb, &[as_on_lambda(), ("AI_TOKENS_PER_DAY", "1".to_owned())]).await;
    for (number, (status, out_of_tokens)) in [(200, zero), (429, one)].into_iter().enumerate() {
        let body = chat(&json!({ "userId": "thrifty" }));
        assert_eq!(ask(client().post(&url).json(&body)).await, status);
        let line = ai.metrics(number + 1).await.swap_remove(number);
        assert_values(
            &line,
            &[("TokenLimitRefused", out_of_tokens), ("RateLimitAdmitted", one), ("RateLimitRefused", zero)],
        );
    }
    ai.stop().await;

    // DynamoDB decides on the rate but does not tell the tokens.
    let proxy = DynamoDbProxy::start(&dynamodb).await;
    for (on_failure, status, metric) in [("deny", 503, "RateLimitUnavailable"), ("allow", 200, "RateLimitUnchecked")] {
        let variables = [
            as_on_lambda(),
            ("AWS_ENDPOINT_URL_DYNAMODB", proxy.endpoint.clone()),
            ("AI_TOKENS_PER_DAY", "1".to_owned()),
            ("RATE_LIMIT_ON_FAILURE", on_failure.to_owned()),
        ];
        proxy.lose("GetItem", Loss::Closed, usize::MAX);
        let ai = emulator.ai(&database, &anthropic, &dynamodb, &variables).await;
        assert_eq!(ask(client().post(&url).json(&chat(&json!({ "userId": on_failure })))).await, status);
        let line = ai.metrics(1).await.swap_remove(0);
        assert_values(&line, &[(metric, one), ("RateLimitAdmitted", zero), ("TokenLimitRefused", zero)]);
        ai.stop().await;
    }

    // Neither DynamoDB nor the database is reachable.
    let nowhere = database_at(free_port());
    for (on_failure, status, metric) in [("deny", 503, "RateLimitUnavailable"), ("allow", 200, "RateLimitUnchecked")] {
        let on_failure = ("RATE_LIMIT_ON_FAILURE", on_failure.to_owned());
        let variables = [&[as_on_lambda(), nobody.clone(), on_failure], nowhere.as_slice()].concat();
        let ai = emulator.ai(&database, &anthropic, &dynamodb, &variables).await;
        assert_eq!(ask(client().post(&url).json(&chat(&json!({})))).await, status);
        let line = ai.metrics(1).await.swap_remove(0);
        assert_values(&line, &[(metric, one), ("RateLimitAdmitted", zero), ("RateLimitRefused", zero)]);
        seen.extend(names_in(&line));
        ai.stop().await;
    }
    let ros = emulator.ros(&database, &[&[as_on_lambda()], nowhere.as_slice()].concat()).await;
    for (number, path) in ["health", "api/ros"].into_iter().enumerate() {
        assert_eq!(ask(client().get(format!("{}/lambda-url/ros/{path}", emulator.url))).await, 503);
        let line = ros.metrics(number + 1).await.swap_remove(number);
        assert_values(&line, &[("DatabaseUnavailable", one), ("Errors", one), ("DatabaseStatements", zero)]);
        assert_values(&line, &[("DatabaseTime", none)]);
        assert!(value(&line, "DatabasePoolWait") > 0.0);
        seen.extend(names_in(&line));
    }
    let ours: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name()).collect();
    assert_eq!(ours.difference(&seen).collect::<Vec<_>>(), Vec::<&&str>::new(), "never written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_list_and_a_panic_are_counted() {
    let emulator = Emulator::start().await;
    let odd = emulator.instance("ros", &example("odd_function").await, &[as_on_lambda()]);
    let url = format!("{}/lambda-url/ros/api/odd", emulator.url);
    assert_eq!(ask(client().get(format!("{url}/panic"))).await, 500);
    let broken = client().get(format!("{url}/broken")).send().await.unwrap();
    let _ = broken.bytes().await;
    let lines = odd.metrics(2).await;
    assert_values(&lines[0], &[("Errors", Some(1.0)), ("BrokenAnswers", Some(0.0))]);
    assert_values(&lines[1], &[("Errors", Some(0.0)), ("BrokenAnswers", Some(1.0))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_emitted_if_logs_are_json_or_as_set() {
    let (database, emulator) = (TestDatabase::migrated().await, Emulator::start().await);
    let url = format!("{}/lambda-url/ros/health", emulator.url);
    let variable = |name: &'static str, value: &str| (name, value.to_owned());
    for (variables, wanted) in [
        (vec![], 0),
        (vec![variable("METRICS", "emf")], 1),
        (vec![variable("METRICS", "emf"), variable("RUST_LOG", "off")], 1),
        (vec![as_on_lambda(), variable("METRICS", "off")], 0),
    ] {
        let ros = emulator.ros(&database, &variables).await;
        assert_eq!(ask(client().get(&url)).await, 200);
        let lines = ros.metrics(wanted).await;
        assert_eq!(lines.len(), wanted, "{variables:?}");
        // Metrics are independent of the log level.
        assert!(lines.iter().all(|line| value(line, "DatabaseStatements") == 1.0));
        ros.stop().await;
    }
    let wrong = [database_variables(&database), vec![variable("METRICS", "yes")]].concat();
    let ros = emulator.instance("ros", &binary("ros").await, &wrong);
    assert_eq!(ros.end().await, Some(1));
    assert!(ros.log().join("\n").contains("METRICS must be emf or off"), "{:?}", ros.log());
}

/// The request id of a log line.
fn id_of(line: &Value) -> &Value {
    if line["span"]["request.id"].is_null() { &line["request.id"] } else { &line["span"]["request.id"] }
}

fn parsed(log: &[String], from: usize) -> Vec<Value> {
    log[from..].iter().map(|line| serde_json::from_str(line).expect("JSON on Lambda")).collect()
}

const TRACE_PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_lines_of_a_request_have_its_id() {
    let (database, emulator) = (TestDatabase::migrated().await, Emulator::start().await);
    let (anthropic, dynamodb) = (FakeAnthropic::start([]).await, dynamodb::emulator().await);
    let failing = || Script::error(500, "no").header("request-id", "req_theirs");
    let all = events(&["one"]);
    let breaking = || {
        let first = Part::Bytes(sse(&all[0]).into_bytes());
        Script::parts(vec![first, Part::Break]).header("request-id", "req_theirs")
    };
    let ai = emulator.ai(&database, &anthropic, &dynamodb, &[as_on_lambda()]).await;
    let url = format!("{}/lambda-url/ai/api/ai/chat", emulator.url);
    ask(client().get(url.replace("/chat", "/health"))).await;
    execute(&mut database.connect().await, "DROP TABLE ai_conversation_logs").await;
    // Three failed attempts; and a stream that breaks in a task of its own, which then logs nothing else.
    for (case, scripts, stream, status, expected) in [
        ("no response", vec![failing(), failing(), failing()], false, 502, 5),
        ("a broken one", vec![breaking()], true, 200, 4),
    ] {
        scripts.into_iter().for_each(|script| anthropic.respond_with(script));
        let before = ai.log().len();
        let earlier = anthropic.requests().len();
        let body = chat(&json!({ "stream": stream, "conversationId": "c-1", "userId": case }));
        let request = client().post(&url).json(&body).header("traceparent", TRACE_PARENT);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{case}");
        let id = json!(response.headers()["x-request-id"].to_str().unwrap());
        response.bytes().await.unwrap();
        ai.metrics(if case == "no response" { 2 } else { 3 }).await;
        let lines = parsed(&ai.log(), before);
        // The lines of the failure, of the conversation log, of the request, and its metrics.
        assert!(lines.len() >= expected, "{case}: {lines:#?}");
        for line in &lines {
            assert_eq!(id_of(line), &id, "{case}: {line}");
            if line["_aws"].is_null() {
                assert_eq!(line["span"]["traceparent"], TRACE_PARENT);
                assert_eq!(line["span"]["upstream.request_id"], "req_theirs", "{case}: {line}");
            }
        }
        for message in ["an exchange could not be inserted into the log", "request"] {
            assert!(lines.iter().any(|line| line["message"] == message), "{message}: {lines:#?}");
        }
        for request in &anthropic.requests()[earlier..] {
            assert_eq!(json!(request.headers["x-request-id"].to_str().unwrap()), id);
        }
    }
    ai.stop().await;

    // DynamoDB rejects the call with a request id of its own, and the database is unreachable.
    let variables =
        [[as_on_lambda(), ("AI_RATE_TABLE", "no-such-table".to_owned())].as_slice(), &database_at(free_port())]
            .concat();
    let ai = emulator.ai(&database, &anthropic, &dynamodb, &variables).await;
    let ros = emulator.ros(&database, &variables).await;
    let chat = client().post(&url).json(&chat(&json!({})));
    let health = client().get(format!("{}/lambda-url/ros/health", emulator.url));
    for (instance, request, messages) in [
        (&ai, chat, &["request failed"][..]),
        (&ros, health, &["nothing listens at the database's address", "the database cannot be reached"]),
    ] {
        // An invalid `traceparent` is ignored.
        let response = request.header("traceparent", "nonsense").send().await.unwrap();
        assert_eq!(response.status(), 503);
        let id = json!(response.headers()["x-request-id"].to_str().unwrap());
        response.bytes().await.unwrap();
        instance.metrics(1).await;
        let lines = parsed(&instance.log(), 0);
        let ours: Vec<&Value> = lines.iter().filter(|line| id_of(line) == &id).collect();
        // The failure, the request, its metrics.
        assert_eq!(ours.len(), messages.len() + 2, "{lines:#?}");
        assert!(ours.iter().zip(messages).all(|(line, message)| line["message"] == *message), "{lines:#?}");
        assert!(ours.iter().all(|line| line["span"]["traceparent"].is_null()));
        if messages == ["request failed"] {
            assert!(ours[0]["span"]["dynamodb.request_id"].is_string(), "{}", ours[0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_of_a_chat_has_its_stop_reason_and_tools() {
    let (database, emulator) = (TestDatabase::migrated().await, Emulator::start().await);
    let (anthropic, dynamodb) = (FakeAnthropic::start([]).await, dynamodb::emulator().await);
    let ai = emulator.ai(&database, &anthropic, &dynamodb, &[as_on_lambda()]).await;
    let url = format!("{}/lambda-url/ai/api/ai/chat", emulator.url);
    let tools = json!([{ "name": "find_orders" }, { "name": "x".repeat(600) }]);
    let cases =
        [(false, &tools, Some("find_orders,xxx")), (true, &tools, Some("find_orders,xxx")), (true, &Value::Null, None)];
    for (index, (stream, tools, logged)) in cases.into_iter().enumerate() {
        let before = ai.log().len();
        let body = chat(&json!({ "stream": stream, "tools": tools, "systemPrompt": "a secret prompt" }));
        assert_eq!(ask(client().post(&url).json(&body)).await, 200);
        ai.metrics(index + 1).await;
        let lines = parsed(&ai.log(), before);
        let line = lines.iter().find(|line| line["message"] == "request").unwrap();
        assert_eq!(line["span"]["upstream.stop_reason"], "end_turn", "{line}");
        let shown = line["span"]["upstream.tools"].as_str();
        assert_eq!(shown.map(|names| &names[..15]), logged, "{line}");
        assert!(shown.is_none_or(|names| names.len() == 500));
        assert!(!ai.log().join("\n").contains("secret"), "prompts are not logged");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_opens_the_assistants_connections_in_parallel() {
    let (database, emulator, held) =
        (TestDatabase::migrated().await, Emulator::start().await, HeldConnections::start());
    let (anthropic, dynamodb) = (FakeAnthropic::start([]).await, dynamodb::emulator().await);
    let address = |url: &str| url.trim_start_matches("http://").to_owned();
    let to_anthropic = held.before("Anthropic", address(&anthropic.url)).await;
    let to_dynamodb = held.before("DynamoDB", address(&dynamodb.endpoint)).await;
    let to_database = held.before("MySQL", format!("{}:{}", server().host, server().port)).await;
    let variables = [
        [
            ("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{to_anthropic}")),
            ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://127.0.0.1:{to_dynamodb}")),
        ]
        .as_slice(),
        &database_at(to_database),
    ]
    .concat();
    let ai = emulator.ai(&database, &anthropic, &dynamodb, &variables).await;
    // A function that connects to one service after the other would stop at the first held connection.
    let mut connected = held.wait_for(3).await;
    connected.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(connected, [Event::Connected("Anthropic"), Event::Connected("DynamoDB"), Event::Connected("MySQL")]);
    held.release();
    let url = format!("{}/lambda-url/ai/api/ai/chat", emulator.url);
    let body = chat(&json!({ "conversationId": "c-1" }));
    assert_eq!(ask(client().post(&url).json(&body)).await, 200, "{:?}", ai.log());
    assert_eq!(held.events().len(), 3, "and they are what the request used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_opens_one_connection_per_concurrent_request() {
    let (database, emulator) = (TestDatabase::migrated().await, Emulator::start().await);
    for (concurrency, connections) in [("1", 1), ("2", 2), ("64", 3)] {
        let held = HeldConnections::start();
        let port = held.before("MySQL", format!("{}:{}", server().host, server().port)).await;
        let variables = [
            [("DB_MAX_CONNECTIONS", "3".to_owned()), ("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_owned())].as_slice(),
            &database_at(port),
        ]
        .concat();
        let ros = emulator.ros(&database, &variables).await;
        assert_eq!(held.wait_for(connections).await, vec![Event::Connected("MySQL"); connections]);
        held.release();
        let url = format!("{}/lambda-url/ros/health", emulator.url);
        assert_eq!(ask(client().get(&url)).await, 200, "{:?}", ros.log());
        assert_eq!(held.events().len(), connections, "{:?}", held.events());
        ros.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreachable_services_do_not_fail_init() {
    let (database, emulator) = (TestDatabase::migrated().await, Emulator::start().await);
    let (anthropic, dynamodb) = (FakeAnthropic::start([]).await, dynamodb::emulator().await);
    let ai = emulator.ai(&database, &anthropic, &dynamodb, &database_at(free_port())).await;
    let url = format!("{}/lambda-url/ai/api/ai/chat", emulator.url);
    assert_eq!(ask(client().post(&url).json(&chat(&json!({})))).await, 200);
    assert!(ai.log().join("\n").contains("the database was not reached during start-up"), "{:?}", ai.log());
}
