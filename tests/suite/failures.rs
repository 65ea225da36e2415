//! Failures of the real binaries, and the metrics that each of them makes. They are in `tests/data/failures.json`, from which
//! `infra/alarms.py` computes which alarms ring. `UPDATE_FAILURES=1 cargo test --workspace failures` writes that file.

use std::{collections::BTreeMap, path::PathBuf, sync::Mutex, time::Duration};

use app_core::metrics::{METRICS, Unit};
use futures_util::future::join_all;
use reqwest::RequestBuilder;
use rotracker_cli::local_client::local_client;
use rotracker_tests::{
    TestDatabase,
    anthropic::{FakeAnthropic, Part, Script, events, sse},
    app::new_order,
    assistant::chat,
    database::{execute, migrate, server},
    dynamodb,
    emulator::{
        Emulator, Instance, assistant_variables, binary, database_variables, example, free_port, template_variables,
    },
    held_connections::HeldConnections,
    proxy::{Cut, Proxy},
};
use serde_json::{Map, Value, json};

type Variables = Vec<(&'static str, String)>;

fn client() -> reqwest::Client {
    local_client().timeout(Duration::from_secs(60)).build().unwrap()
}

/// The cases of the file: for each the function, the status of the response and the metrics.
struct Cases {
    file: PathBuf,
    written: BTreeMap<String, Value>,
    raised: Mutex<BTreeMap<String, Value>>,
}

impl Cases {
    fn read() -> Self {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/failures.json");
        let text = std::fs::read_to_string(&file).unwrap_or("{}".to_owned());
        Self { file, written: serde_json::from_str(&text).unwrap(), raised: Mutex::default() }
    }

    /// Sends a request to `function` and adds the metrics that it makes. `line` is the number of its metric line, from 0.
    async fn send(&self, case: &str, function: &Function, line: usize, status: u16, request: RequestBuilder) {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{case}");
        // A response may break off.
        let _ = response.bytes().await;
        let line = function.instance.metrics(line + 1).await.swap_remove(line);
        let metrics = metrics_of(&line, self.written.get(case).map_or(&Value::Null, |case| &case["metrics"]));
        self.add(case, json!({ "function": function.name, "status": status, "metrics": metrics }));
    }

    fn add(&self, case: &str, value: Value) {
        let earlier = self.raised.lock().unwrap().insert(case.to_owned(), value);
        assert!(earlier.is_none(), "{case} is there twice");
    }

    fn finish(self) {
        let raised = self.raised.into_inner().unwrap();
        if std::env::var_os("UPDATE_FAILURES").is_some() {
            std::fs::write(&self.file, serde_json::to_string_pretty(&raised).unwrap() + "\n").unwrap();
            return;
        }
        let renew = "if that is meant: UPDATE_FAILURES=1 cargo test --workspace failures, then pytest infra/alarms.py";
        for (case, now) in &raised {
            assert_eq!(self.written.get(case), Some(now), "{case} is not what {:?} says; {renew}", self.file);
        }
        assert_eq!(self.written.len(), raised.len(), "{:?} has cases that are not raised; {renew}", self.file);
    }
}

/// Returns the metrics that CloudWatch stores for a line, by their names and dimensions. Times are rounded down to half a second, and are those of
/// the file where they are not shorter, since a busy machine takes longer.
fn metrics_of(line: &Value, written: &Value) -> Map<String, Value> {
    let mut metrics = Map::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        let set = directive["Dimensions"][0].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        let dimensions: Vec<String> = set.map(|name| format!("{name}={}", line[name].as_str().unwrap())).collect();
        for name in directive["Metrics"].as_array().unwrap().iter().map(|metric| metric["Name"].as_str().unwrap()) {
            let key = format!("{name} {}", dimensions.join(","));
            let mut value = line[name].as_f64().unwrap();
            if METRICS.iter().any(|metric| metric.name() == name && metric.unit() == Unit::Milliseconds) {
                value = (value / 500.0).floor() * 500.0;
                value = written[&key].as_f64().filter(|written| *written <= value).unwrap_or(value);
            }
            metrics.insert(key, json!(value as u64));
        }
    }
    metrics
}

/// An instance as in production.
struct Function {
    name: &'static str,
    url: String,
    instance: Instance,
}

impl Function {
    async fn start(emulator: &Emulator, name: &'static str, database: &TestDatabase, variables: &Variables) -> Self {
        Self::of(&binary(name).await, emulator, name, database, variables)
    }

    fn of(
        binary: &std::path::Path,
        emulator: &Emulator,
        name: &'static str,
        database: &TestDatabase,
        variables: &Variables,
    ) -> Self {
        let ours = vec![
            ("APP_ENV", "production".to_owned()),
            ("DB_NAME_PROD", database.name.clone()),
            ("AWS_LAMBDA_FUNCTION_NAME", format!("ro-tracker-prod-{name}")),
        ];
        let all = [database_variables(database), template_variables(), ours, variables.clone()].concat();
        let instance = emulator.instance(name, binary, &all);
        Self { name, url: format!("{}/lambda-url/{name}", emulator.url), instance }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        client().get(format!("{}{path}", self.url))
    }

    fn create(&self, number: &str) -> RequestBuilder {
        client().post(format!("{}/api/ros", self.url)).json(&new_order(json!({ "roNumber": number })))
    }

    fn chat(&self, fields: Value) -> RequestBuilder {
        client().post(format!("{}/api/ai/chat", self.url)).json(&chat(&fields))
    }
}

fn database_at(port: u16) -> Variables {
    vec![("DB_HOST", "127.0.0.1".to_owned()), ("DB_PORT", port.to_string()), ("DB_SSL_MODE", "DISABLED".to_owned())]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_make_the_metrics_of_the_file() {
    let cases = Cases::read();
    tokio::join!(
        requests_that_are_fine(&cases),
        failures_to_connect(&cases),
        failures_of_statements(&cases),
        failures_of_the_process(&cases),
        failures_of_the_assistant(&cases),
    );
    cases.finish();
}

/// An emulator and a database with all tables.
async fn start() -> (Emulator, TestDatabase) {
    let database = TestDatabase::empty().await;
    migrate(&database, &database, false).await.unwrap();
    (Emulator::start().await, database)
}

async fn requests_that_are_fine(cases: &Cases) {
    let (emulator, database) = start().await;
    let proxy = Proxy::start().await;
    let ros = Function::start(&emulator, "ros", &database, &database_at(proxy.port)).await;
    cases.send("fine: a cold start", &ros, 0, 200, ros.get("/api/ros")).await;
    cases.send("fine: orders", &ros, 1, 200, ros.get("/api/ros")).await;
    cases.send("fine: an order that is not there", &ros, 2, 404, ros.get("/api/ros/by-number/none")).await;
    cases.send("fine: a new order", &ros, 3, 201, ros.create("RO-1")).await;
    proxy.cut_at(1, Cut::Before);
    cases.send("fine: a lost connection that is replaced", &ros, 4, 200, ros.get("/api/ros?limit=1")).await;
    let inventory = Function::start(&emulator, "inventory", &database, &vec![]).await;
    cases.send("fine: the stock", &inventory, 0, 200, inventory.get("/api/inventory/stats")).await;
    let ai_logs = Function::start(&emulator, "ai-logs", &database, &vec![]).await;
    cases.send("fine: conversations", &ai_logs, 0, 200, ai_logs.get("/api/ai-logs")).await;
    for function in [ros, inventory, ai_logs] {
        function.instance.stop().await;
    }
}

async fn failures_to_connect(cases: &Cases) {
    let (emulator, database) = start().await;
    let gone = [
        ("the database is gone, for ros", "ros", "/api/ros"),
        ("the database is gone, for inventory", "inventory", "/api/inventory/stats"),
        ("the database is gone, for ai-logs", "ai-logs", "/api/ai-logs"),
    ];
    join_all(gone.map(async |(case, name, path)| {
        let function = Function::start(&emulator, name, &database, &database_at(free_port())).await;
        cases.send(case, &function, 0, 503, function.get(path)).await;
        function.instance.stop().await;
    }))
    .await;

    let wrong = vec![("DB_PASSWORD", "wrong".to_owned()), ("DB_USER", "nobody".to_owned())];
    let ros = Function::start(&emulator, "ros", &database, &wrong).await;
    cases.send("the password of the database is wrong", &ros, 0, 503, ros.get("/api/ros")).await;
    ros.instance.stop().await;

    let held = HeldConnections::start();
    let port = held.before("MySQL", format!("{}:{}", server().host, server().port)).await;
    let ros = Function::start(&emulator, "ros", &database, &database_at(port)).await;
    cases.send("the database accepts connections and says nothing", &ros, 0, 503, ros.get("/api/ros")).await;
    ros.instance.stop().await;
}

async fn failures_of_statements(cases: &Cases) {
    let (emulator, database) = start().await;
    // The error of a server that has become read-only.
    let takes_no_changes = "CREATE TRIGGER takes_no_changes BEFORE INSERT ON active FOR EACH ROW
                            SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1290, MESSAGE_TEXT = 'on purpose'";
    let mut connection = database.connect().await;
    execute(&mut connection, takes_no_changes).await;
    let ros = Function::start(&emulator, "ros", &database, &vec![]).await;
    cases.send("the database takes no changes", &ros, 0, 503, ros.create("RO-2")).await;
    execute(&mut connection, "DROP TRIGGER takes_no_changes; LOCK TABLES active WRITE").await;
    cases.send("a table stays locked", &ros, 1, 503, ros.get("/api/ros")).await;
    execute(&mut connection, "UNLOCK TABLES; RENAME TABLE active TO gone").await;
    cases.send("a table is missing", &ros, 2, 503, ros.get("/api/ros")).await;
    ros.instance.stop().await;
}

async fn failures_of_the_process(cases: &Cases) {
    let (emulator, database) = start().await;
    let odd = Function::of(&example("odd_function").await, &emulator, "ros", &database, &vec![]);
    cases.send("a handler panics", &odd, 0, 500, odd.get("/api/odd/panic")).await;
    cases.send("a list breaks off", &odd, 1, 200, odd.get("/api/odd/broken")).await;
    odd.instance.stop().await;

    let nobody = vec![("AUTH_MODE", String::new())];
    let ros = Function::start(&emulator, "ros", &database, &nobody).await;
    cases.send("the authentication is not configured", &ros, 0, 503, ros.get("/api/ros")).await;
    ros.instance.stop().await;

    let wrong = vec![("DB_PORT", "many".to_owned())];
    let ros = Function::start(&emulator, "ros", &database, &wrong).await;
    assert_eq!(ros.instance.end().await, Some(1));
    assert!(ros.instance.metrics(0).await.is_empty());
    // Lambda then counts an error of the function, and the gateway answers 502.
    cases.add("an instance cannot start", json!({ "function": "ros", "status": 502, "ends": true, "metrics": {} }));
}

async fn failures_of_the_assistant(cases: &Cases) {
    let (emulator, database) = start().await;
    let (anthropic, dynamodb) = (FakeAnthropic::start([]).await, dynamodb::emulator().await);
    let usual = |variables: &[(&'static str, String)]| {
        [assistant_variables(&anthropic.url, &dynamodb.endpoint).as_slice(), variables].concat()
    };
    let logged = |user: &str| json!({ "userId": user, "conversationId": "c-1" });
    let once = ("AI_RATE_LIMIT", "1".to_owned());
    let ai = Function::start(&emulator, "ai", &database, &usual(&[once])).await;
    cases.send("fine: models", &ai, 0, 200, ai.get("/api/ai/health")).await;
    cases.send("fine: a chat", &ai, 1, 200, ai.chat(logged("a"))).await;
    cases.send("fine: a chat too many", &ai, 2, 429, ai.chat(logged("a"))).await;
    (0..3).for_each(|_| anthropic.respond_with(Script::error(529, "overloaded")));
    cases.send("Anthropic is overloaded", &ai, 3, 503, ai.chat(logged("b"))).await;
    anthropic.respond_with(Script::error(401, "no"));
    cases.send("Anthropic rejects the key", &ai, 4, 503, ai.chat(logged("c"))).await;
    let begun =
        events(&["one", "two"])[..4].iter().map(|event| Part::Bytes(sse(event).into_bytes())).collect::<Vec<_>>();
    anthropic.respond_with(Script::parts([begun, vec![Part::Break]].concat()));
    let streamed = json!({ "userId": "d", "stream": true });
    cases.send("an answer of Anthropic breaks off", &ai, 5, 200, ai.chat(streamed)).await;
    ai.instance.stop().await;

    let nowhere = |name| (name, format!("http://127.0.0.1:{}", free_port()));
    let ai = Function::start(&emulator, "ai", &database, &usual(&[nowhere("ANTHROPIC_BASE_URL")])).await;
    cases.send("Anthropic is gone", &ai, 0, 502, ai.chat(logged("f"))).await;
    ai.instance.stop().await;

    let hurried = ("ANTHROPIC_FIRST_BYTE_TIMEOUT_SECONDS", "1".to_owned());
    let ai = Function::start(&emulator, "ai", &database, &usual(&[hurried])).await;
    anthropic.respond_with(Script::silent());
    cases.send("Anthropic does not answer in time", &ai, 0, 504, ai.chat(logged("g"))).await;
    ai.instance.stop().await;

    for (case, on_failure, status) in
        [("DynamoDB is gone", "deny", 503), ("DynamoDB is gone, and chats go on", "allow", 200)]
    {
        let variables = [nowhere("AWS_ENDPOINT_URL_DYNAMODB"), ("RATE_LIMIT_ON_FAILURE", on_failure.to_owned())];
        let ai = Function::start(&emulator, "ai", &database, &usual(&variables)).await;
        cases.send(case, &ai, 0, status, ai.chat(logged("h"))).await;
        ai.instance.stop().await;
    }

    let ai = Function::start(&emulator, "ai", &database, &usual(&database_at(free_port()))).await;
    cases.send("the database is gone, for the log of the assistant", &ai, 0, 200, ai.chat(logged("i"))).await;
    ai.instance.stop().await;

    execute(&mut database.connect().await, "RENAME TABLE ai_conversation_logs TO gone").await;
    let ai = Function::start(&emulator, "ai", &database, &usual(&[])).await;
    cases.send("the log of the assistant is missing", &ai, 0, 200, ai.chat(logged("j"))).await;
    ai.instance.stop().await;
}
