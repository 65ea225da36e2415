//! `rotracker smoke`, against the real system and against broken ones.

use std::{
    process::{Output, Stdio},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{Method, StatusCode};
use rotracker_cli::local_client::local_client;
use rotracker_tests::{
    TestDatabase,
    anthropic::{FakeAnthropic, Script, events},
    database::{execute, migrate},
    emulator::{assistant_variables, binary, database_variables, free_port},
    issuer::Issuer,
    service,
};
use tokio::{net::TcpListener, process::Command, sync::Semaphore, task::AbortHandle};

/// The address of the dashboard.
const ORIGIN: &str = "https://repairs.example";

/// A running `rotracker serve`.
pub(crate) struct Service {
    pub(crate) url: String,
    database: TestDatabase,
    anthropic: FakeAnthropic,
    _service: service::Service,
}

impl Service {
    /// Starts it on a new database with one part, with `variables` and these chats.
    pub(crate) async fn start(arguments: &[&str], variables: &[(&'static str, String)], chats: Vec<Script>) -> Self {
        let (database, anthropic) = (TestDatabase::empty().await, FakeAnthropic::start(chats).await);
        migrate(&database, &database, false).await.unwrap();
        let part = "INSERT INTO terra (PN, QTY) VALUES ('AN123-1', 4);
                    INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty) VALUES ('AN123-1', 'terra', 1, 4)";
        execute(&mut database.connect().await, part).await;
        let ours = vec![("FRONTEND_URL", ORIGIN.to_owned())];
        let variables =
            [ours, database_variables(&database), assistant_variables(&anthropic.url, ""), variables.to_vec()].concat();
        let service = service::Service::start(arguments, &variables).await;
        Self { url: service.url.clone(), database, anthropic, _service: service }
    }

    /// The number of requests to Anthropic.
    pub(crate) fn chats(&self) -> usize {
        self.anthropic.requests().len()
    }

    async fn orders(&self) -> i64 {
        let count = "SELECT COUNT(*) FROM ro_registry";
        sqlx::query_scalar(count).fetch_one(&mut self.database.connect().await).await.unwrap()
    }
}

pub(crate) fn off() -> Vec<(&'static str, String)> {
    vec![("AUTH_MODE", "none".to_owned())]
}

fn chat() -> Script {
    Script::stream(&events(&["OK"]))
}

/// The lines of a smoke test, and its exit status.
#[derive(Debug)]
struct Smoke {
    lines: Vec<String>,
    errors: String,
    status: Option<i32>,
}

impl Smoke {
    async fn test(url: &str, arguments: &[&str]) -> Self {
        Self::test_with(url, arguments, &[]).await
    }

    /// Tests with these variables.
    async fn test_with(url: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary("rotracker").await);
        command.arg("smoke").arg(url).args(arguments).env_remove("SMOKE_TOKEN").env_remove("SMOKE_PROXY_SECRET");
        let Output { status, stdout, stderr } = command.envs(variables.iter().copied()).output().await.unwrap();
        Self {
            lines: String::from_utf8(stdout).unwrap().lines().map(str::to_owned).collect(),
            errors: String::from_utf8(stderr).unwrap(),
            status: status.code(),
        }
    }

    /// The names of the steps whose line begins with `word`.
    fn steps(&self, word: &str) -> Vec<&str> {
        let lines = self.lines.iter().filter(|line| line.starts_with(word) && line.contains(" s  "));
        lines.filter_map(|line| line.split_once(" s  ")?.1.split(':').next()).collect()
    }

    #[track_caller]
    fn assert_failed(&self, steps: &[&str], said: &str) {
        assert_eq!((self.steps("FAILED"), self.status), (steps.to_vec(), Some(1)), "{self:#?}");
        assert!(self.lines.iter().any(|line| line.starts_with("FAILED") && line.contains(said)), "{said}: {self:#?}");
    }
}

/// All steps of a complete test.
const STEPS: [&str; 13] = [
    "health",
    "without a token",
    "figures of the orders",
    "list of orders",
    "an order is created",
    "it is found",
    "it is deleted",
    "search",
    "figures of the stock",
    "log of the assistant",
    "assistant",
    "chat",
    "calls from the dashboard",
];

/// The steps that read what only callers who are let in may see.
const READS: [&str; 6] =
    ["figures of the orders", "list of orders", "search", "figures of the stock", "log of the assistant", "assistant"];

#[tokio::test]
async fn a_sound_system_passes_at_every_address() {
    let issuer = Issuer::start().await;
    let variables = [issuer.variables(), vec![("BASE_PATH", "/ro".to_owned())]].concat();
    // The routes under `/api` are the same ones with and without the legacy dashboard.
    let service = Service::start(&["--legacy-dashboard"], &variables, vec![chat(), chat()]).await;
    let token = issuer.token("ann");
    for path in ["", "/ro/", "/api", "/.netlify/functions", "/ro/.netlify/functions/api"] {
        // The rate limit admits three chats a minute.
        let mut arguments = vec!["--token", &*token, "--origin", ORIGIN];
        let has_chat = matches!(path, "" | "/.netlify/functions");
        if !has_chat {
            arguments.push("--no-chat");
        }
        let smoke = Smoke::test(&format!("{}{path}", service.url), &arguments).await;
        let steps: Vec<&str> = STEPS.into_iter().filter(|step| has_chat || *step != "chat").collect();
        assert_eq!((smoke.steps("ok"), smoke.status), (steps, Some(0)), "{path}: {smoke:#?}");
        assert!(smoke.lines.iter().any(|line| line.contains("without a token: refused")), "{smoke:#?}");
        assert!(smoke.lines.iter().any(|line| line.contains("1 parts with 1 in their number")), "{smoke:#?}");
        assert!(!format!("{smoke:?}").contains(&token));
    }
    assert_eq!(service.orders().await, 0, "all orders are deleted");
    let smoke = Smoke::test(&service.url, &["--token", &token, "--read-only"]).await;
    assert_eq!((smoke.steps("ok").len(), smoke.status), (8, Some(0)), "{smoke:#?}");
    let history: i64 = sqlx::query_scalar("SELECT COUNT(DISTINCT order_id) FROM ro_history")
        .fetch_one(&mut service.database.connect().await)
        .await
        .unwrap();
    assert_eq!(history, 5, "a read-only test creates none");
}

#[tokio::test]
async fn the_legacy_dashboard_is_tested_with_its_secret() {
    let secret = "0123456789abcdef0123456789abcdef";
    let service = Service::start(&["--legacy-dashboard"], &[("PROXY_SECRET", secret.to_owned())], vec![chat()]).await;
    let url = format!("{}/.netlify/functions", service.url);
    let smoke = Smoke::test(&url, &["--proxy-secret", secret, "--origin", ORIGIN]).await;
    assert_eq!((smoke.steps("ok"), smoke.status), (STEPS.to_vec(), Some(0)), "{smoke:#?}");
    let wrong = Smoke::test(&url, &["--proxy-secret", "ffffffffffffffffffffffffffffffff", "--read-only"]).await;
    wrong.assert_failed(&READS, "Give a valid --token or --proxy-secret");
}

#[tokio::test]
async fn faults_of_the_configuration_are_found() {
    let open = Service::start(&[], &off(), vec![chat()]).await;
    // Nobody may be let in without the token.
    let smoke = Smoke::test(&open.url, &["--token", "x", "--origin", "https://other.example"]).await;
    smoke.assert_failed(&["without a token", "calls from the dashboard"], "Authentication is off");
    smoke.assert_failed(&["without a token", "calls from the dashboard"], "Set FrontendUrl to this address");
    let smoke = Smoke::test(&open.url, &["--read-only"]).await;
    assert!(smoke.status == Some(0) && smoke.lines.iter().any(|line| line.contains("let in: authentication is off")));

    let issuer = Issuer::start().await;
    let closed = Service::start(&[], &issuer.variables(), vec![]).await;
    Smoke::test(&closed.url, &["--token", "x", "--read-only"]).await.assert_failed(&READS, "responds 401");
    Smoke::test(&closed.url, &["--read-only"]).await.assert_failed(&READS, "Give a valid --token");

    let without_key = [off(), vec![("ANTHROPIC_API_KEY", String::new())]].concat();
    let service = Service::start(&[], &without_key, vec![]).await;
    let smoke = Smoke::test(&service.url, &[]).await;
    smoke.assert_failed(&["assistant", "chat"], "the function has no API key");
    smoke.assert_failed(&["assistant", "chat"], "For `rotracker serve` set ANTHROPIC_API_KEY");
    let service = Service::start(&[], &[], vec![]).await;
    let every = ["without a token"].iter().chain(&READS).copied().collect::<Vec<_>>();
    let smoke = Smoke::test(&service.url, &["--read-only"]).await;
    smoke.assert_failed(&every, "Set AUTH_ISSUER, or PROXY_SECRET");
    assert!(!format!("{smoke:?}").contains("another service"), "{smoke:#?}");
    let first = smoke.lines.iter().find(|line| line.contains("without a token")).unwrap();
    assert!(first.contains("The authentication of this service is not configured"), "{first}");
}

#[tokio::test]
async fn chats_that_fail_are_found() {
    for (script, said) in [
        (Script::error(401, "invalid key"), "Upstream misconfigured"),
        (Script::stream(&events(&["OK"])[..1]), "the answer ends with an error"),
    ] {
        let service = Service::start(&[], &off(), vec![script]).await;
        Smoke::test(&service.url, &[]).await.assert_failed(&["chat"], said);
    }
    let service = Service::start(&[], &[off(), vec![("AI_RATE_LIMIT", "1".to_owned())]].concat(), vec![chat()]).await;
    assert_eq!(Smoke::test(&service.url, &[]).await.status, Some(0));
    Smoke::test(&service.url, &[]).await.assert_failed(&["chat"], "Wait a minute");
    let few_tokens = [off(), vec![("AI_TOKENS_PER_DAY", "1".to_owned())]].concat();
    let service = Service::start(&[], &few_tokens, vec![chat(), chat()]).await;
    assert_eq!(Smoke::test(&service.url, &[]).await.status, Some(0));
    Smoke::test(&service.url, &[]).await.assert_failed(&["chat"], "Try again on the next day");
}

#[tokio::test]
async fn the_address_of_the_legacy_dashboard_must_have_its_shapes() {
    let service = Service::start(&[], &off(), vec![]).await;
    let url = format!("{}/.netlify/functions", service.url);
    Smoke::test(&url, &["--read-only"]).await.assert_failed(&["figures of the orders"], "Set LEGACY_DASHBOARD");
}

#[tokio::test]
async fn nothing_is_deleted_if_the_new_order_was_refused() {
    let issuer = Issuer::start().await;
    let closed = Service::start(&[], &issuer.variables(), vec![]).await;
    let unconfigured = Service::start(&[], &[], vec![]).await;
    let open = Service::start(&[], &off(), vec![]).await;
    let conflict =
        Spoiler::start(&open, |method, _, _| (*method == Method::POST).then_some(StatusCode::CONFLICT)).await;
    for url in [&closed.url, &unconfigured.url, &conflict.url] {
        let smoke = Smoke::test(url, &["--no-chat"]).await;
        assert!(smoke.steps("FAILED").contains(&"an order is created"), "{smoke:#?}");
        let line = smoke.lines.iter().find(|line| line.contains("it is deleted")).unwrap();
        assert!(line.starts_with('-') && line.contains("it was not created"), "{smoke:#?}");
    }
    let seen = conflict.seen.lock().unwrap().clone();
    assert!(!seen.iter().any(|line| line.starts_with("DELETE")), "{seen:?}");
}

#[tokio::test]
async fn an_order_that_was_created_is_deleted_by_its_id() {
    let service = Service::start(&[], &off(), vec![]).await;
    // The routes with a number find nothing.
    let spoiler =
        Spoiler::start(&service, |_, path, _| path.contains("/by-number/").then_some(StatusCode::NOT_FOUND)).await;
    Smoke::test(&spoiler.url, &["--no-chat"]).await.assert_failed(&["it is found"], "responds 404");
    assert_eq!(service.orders().await, 0);
    // Neither do those with an id.
    let spoiler = Spoiler::start(&service, |method, path, _| {
        (*method != Method::POST && path.starts_with("/api/ros/") && !path.contains("/stats/"))
            .then_some(StatusCode::NOT_FOUND)
    })
    .await;
    let smoke = Smoke::test(&spoiler.url, &["--no-chat"]).await;
    smoke.assert_failed(&["it is found", "it is deleted"], "delete it by hand");
    assert_eq!(service.orders().await, 1);
}

#[tokio::test]
async fn blank_credentials_are_none_and_line_breaks_at_their_end_do_not_count() {
    let issuer = Issuer::start().await;
    let service = Service::start(&[], &issuer.variables(), vec![]).await;
    let token = issuer.token("ann");
    let (line, arguments) = (format!("{token}\r\n"), ["--read-only"]);
    let of_variable = [("SMOKE_TOKEN", &*line), ("SMOKE_PROXY_SECRET", "")];
    let smoke = Smoke::test_with(&service.url, &arguments, &of_variable).await;
    assert_eq!(smoke.status, Some(0), "{smoke:#?}");
    let smoke =
        Smoke::test_with(&service.url, &["--read-only", "--token", &line], &[("SMOKE_PROXY_SECRET", " ")]).await;
    assert_eq!(smoke.status, Some(0), "{smoke:#?}");
    let open = Service::start(&[], &off(), vec![]).await;
    let blank = [("SMOKE_TOKEN", ""), ("SMOKE_PROXY_SECRET", "")];
    let smoke = Smoke::test_with(&open.url, &arguments, &blank).await;
    assert_eq!(smoke.status, Some(0), "nothing is sent, so open access is right: {smoke:#?}");
    let both = [("SMOKE_TOKEN", "canary"), ("SMOKE_PROXY_SECRET", "canary")];
    let smoke = Smoke::test_with(&open.url, &arguments, &both).await;
    assert!(smoke.status == Some(1) && smoke.errors.contains("cannot be used together"), "{smoke:#?}");
}

#[tokio::test]
async fn a_database_that_is_gone_or_not_migrated_is_found() {
    let service = Service::start(&[], &off(), vec![chat(), chat()]).await;
    let mut connection = service.database.connect().await;
    let table = "ALTER TABLE inventoryindex RENAME TO moved";
    let column = "ALTER TABLE ai_conversation_logs RENAME COLUMN user_message TO moved";
    execute(&mut connection, &format!("{table}; {column}")).await;
    let smoke = Smoke::test(&service.url, &["--read-only"]).await;
    let failed = ["search", "figures of the stock", "log of the assistant"];
    smoke.assert_failed(&failed, "a line with a hint");
    smoke.assert_failed(&failed, "Look for request.id = ");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    Smoke::test(&nobody, &[]).await.assert_failed(&["health"], "Check the address");
}

/// A proxy in front of a service that spoils some responses.
pub(crate) struct Spoiler {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<String>>>,
    server: AbortHandle,
}

pub(crate) type Spoil = fn(&Method, &str, usize) -> Option<StatusCode>;

struct SpoilerState {
    upstream: String,
    spoil: Spoil,
    seen: Arc<Mutex<Vec<String>>>,
    client: reqwest::Client,
    /// One permit for each deletion that was answered.
    deletions: Semaphore,
}

impl Spoiler {
    /// Starts it. `spoil` is asked with the method, the path and the number of earlier requests with both, and says which status the client
    /// gets instead of that of the service, which gets every request unless it is 404. 418 stands for no answer, and 425 for a request
    /// that the service gets late.
    pub(crate) async fn start(service: &Service, spoil: Spoil) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let state = SpoilerState {
            upstream: service.url.clone(),
            spoil,
            seen: seen.clone(),
            client: local_client().build().unwrap(),
            deletions: Semaphore::new(0),
        };
        let routes = Router::new().fallback(relay).with_state(Arc::new(state));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await }).abort_handle();
        Self { url, seen, server }
    }
}

impl Drop for Spoiler {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn relay(State(state): State<Arc<SpoilerState>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let line = format!("{} {path}", parts.method);
    let earlier = {
        let mut seen = state.seen.lock().unwrap();
        seen.push(line.clone());
        seen.iter().filter(|other| **other == line).count() - 1
    };
    let spoiled = (state.spoil)(&parts.method, &path, earlier);
    if spoiled == Some(StatusCode::NOT_FOUND) {
        // As if the service did not have it. It does not get the request.
        let mut response = Response::new(Body::from(r#"{"error": "Not found", "message": "It is not there."}"#));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    if spoiled == Some(StatusCode::TOO_EARLY) {
        // The client gets its answer, and the service gets the request after two deletions.
        tokio::spawn(async move {
            state.deletions.acquire_many(2).await.unwrap().forget();
            let url = format!("{}{path}", state.upstream);
            state.client.request(parts.method, url).headers(parts.headers).body(body).send().await.unwrap();
        });
        return gateway_error(StatusCode::GATEWAY_TIMEOUT);
    }
    let url = format!("{}{path}", state.upstream);
    let answer =
        state.client.request(parts.method.clone(), url).headers(parts.headers).body(body).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| *name != "transfer-encoding") {
        response = response.header(name, value);
    }
    let bytes = answer.bytes().await.unwrap();
    if parts.method == Method::DELETE {
        state.deletions.add_permits(1);
    }
    match spoiled {
        // No answer at all.
        Some(StatusCode::IM_A_TEAPOT) => std::future::pending().await,
        Some(status) => gateway_error(status),
        None => response.body(Body::from(bytes)).unwrap(),
    }
}

/// An error as the gateway sends it.
fn gateway_error(status: StatusCode) -> Response {
    let mut response = Response::new(Body::from(r#"{"message": "Internal server error"}"#));
    *response.status_mut() = status;
    response
}

#[tokio::test]
async fn an_order_that_appears_late_is_deleted() {
    let service = Service::start(&[], &off(), vec![]).await;
    let spoiler = Spoiler::start(&service, |method, path, _| {
        (*method == Method::POST && path == "/api/ros").then_some(StatusCode::TOO_EARLY)
    })
    .await;
    let smoke = Smoke::test(&spoiler.url, &["--no-chat"]).await;
    smoke.assert_failed(&["an order is created"], "Gateway errors");
    assert!(smoke.lines.iter().any(|line| line.ends_with("it is deleted: deleted")), "{smoke:#?}");
    assert_eq!(service.orders().await, 0);
}

#[tokio::test]
async fn the_order_is_deleted_whatever_fails_before() {
    let service = Service::start(&[], &off(), vec![chat(); 4]).await;
    let is_order = |path: &str| path.starts_with("/api/ros/");
    // The answer to the creation is lost, though the order is there.
    let spoiler = Spoiler::start(&service, |method, path, _| {
        (*method == Method::POST && path == "/api/ros").then_some(StatusCode::GATEWAY_TIMEOUT)
    })
    .await;
    Smoke::test(&spoiler.url, &["--no-chat"]).await.assert_failed(&["an order is created"], "Gateway errors");
    assert_eq!(service.orders().await, 0);
    // The order cannot be read.
    let spoiler = Spoiler::start(&service, |method, path, earlier| {
        (*method == Method::GET && path.contains("/SMOKE-") && earlier == 0).then_some(StatusCode::BAD_GATEWAY)
    })
    .await;
    Smoke::test(&spoiler.url, &["--no-chat"]).await.assert_failed(&["it is found"], "responds 502");
    assert_eq!(service.orders().await, 0);
    // The answer to the first deletion is lost.
    let spoiler = Spoiler::start(&service, |method, _, earlier| {
        (*method == Method::DELETE && earlier == 0).then_some(StatusCode::BAD_GATEWAY)
    })
    .await;
    let smoke = Smoke::test(&spoiler.url, &["--no-chat"]).await;
    assert_eq!(smoke.status, Some(0), "{smoke:#?}");
    assert_eq!(service.orders().await, 0);
    // All of them are.
    let spoiler =
        Spoiler::start(&service, |method, _, _| (*method == Method::DELETE).then_some(StatusCode::BAD_GATEWAY)).await;
    let smoke = Smoke::test(&spoiler.url, &["--no-chat"]).await;
    smoke.assert_failed(&["it is deleted"], "may still be there: delete it by hand");
    let seen = spoiler.seen.lock().unwrap().clone();
    let deleted = seen.iter().filter(|line| line.strip_prefix("DELETE ").is_some_and(is_order)).count();
    assert!(deleted > 1, "{seen:?}");
}

#[tokio::test]
async fn the_order_is_deleted_when_somebody_stops_the_test() {
    let service = Service::start(&[], &off(), vec![]).await;
    let spoiler = Spoiler::start(&service, |method, path, earlier| {
        (*method == Method::GET && path.contains("/SMOKE-") && earlier == 0).then_some(StatusCode::IM_A_TEAPOT)
    })
    .await;
    let mut command = Command::new(binary("rotracker").await);
    let smoke = command.arg("smoke").arg(&spoiler.url).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let is_waiting =
        || spoiler.seen.lock().unwrap().iter().any(|line| line.starts_with("GET /api/ros/by-number/SMOKE-"));
    while !is_waiting() {
        tokio::task::yield_now().await;
    }
    assert_eq!(service.orders().await, 1);
    let id = rustix::process::Pid::from_raw(smoke.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let Output { status, stdout, stderr } = smoke.wait_with_output().await.unwrap();
    assert_eq!((status.code(), service.orders().await), (Some(1), 0));
    assert!(String::from_utf8(stdout).unwrap().contains("it is deleted: deleted"));
    assert!(String::from_utf8(stderr).unwrap().contains("stopped before the last step"));
}

#[tokio::test]
async fn other_services_at_the_address_are_recognized() {
    let service = Service::start(&[], &off(), vec![]).await;
    // The gateway's answer at a path that it does not know.
    let spoiler = Spoiler::start(&service, |_, _, _| Some(StatusCode::FORBIDDEN)).await;
    Smoke::test(&spoiler.url, &[]).await.assert_failed(&["health"], "use the output ApiUrl");
    let spoiler = Spoiler::start(&service, |_, _, _| Some(StatusCode::OK)).await;
    Smoke::test(&spoiler.url, &[]).await.assert_failed(&["health"], "another service");
    // Only the database is down.
    let spoiler =
        Spoiler::start(&service, |_, path, _| (path == "/health").then_some(StatusCode::SERVICE_UNAVAILABLE)).await;
    Smoke::test(&spoiler.url, &[]).await.assert_failed(&["health"], "the database");
}

#[tokio::test]
async fn credentials_stay_secret() {
    for (url, arguments, status, said) in [
        ("http://repairs.example", vec!["--token", "canary"], 1, "use https://"),
        ("https://repairs.example", vec!["--token", "canary", "--proxy-secret", "canary"], 2, "cannot be used with"),
        ("ftp://repairs.example", vec![], 2, "must be an address"),
        ("https://canary@repairs.example", vec![], 2, "must be an address"),
        ("https://repairs.example", vec!["--origin", "dashboard.example"], 2, "must be an origin"),
        ("https://repairs.example", vec!["--origin", "https://dashboard.example/page"], 2, "must be an origin"),
        ("https://repairs.example", vec!["--origin", "https://dashboard.example/"], 2, "must be an origin"),
        ("https://repairs.example", vec!["--origin", "ftp://dashboard.example"], 2, "must be an origin"),
    ] {
        let smoke = Smoke::test(url, &arguments).await;
        assert!(smoke.status == Some(status) && smoke.errors.contains(said), "{smoke:#?}");
        assert!(url.contains("canary") || !smoke.errors.contains("canary"), "{smoke:#?}");
    }
}
