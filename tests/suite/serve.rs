//! `rotracker serve`: all functions in one process.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use futures_util::StreamExt;
use rotracker_cli::local_client::local_client;
use rotracker_tests::{
    TestDatabase,
    anthropic::{FakeAnthropic, Part, Script, events, sse},
    database::{fill, migrate},
    emulator::{assistant_variables, binary, database_variables, free_port},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
};

/// A running `rotracker serve`.
struct Service {
    process: Child,
    log: Lines<BufReader<ChildStdout>>,
    url: String,
    port: u16,
    _folder: tempfile::TempDir,
}

async fn command(variables: &[(&'static str, String)]) -> Command {
    let mut command = Command::new(binary("rotracker").await);
    // The variables of the tests may name the server under test.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DB_")) {
        command.env_remove(name);
    }
    command.arg("serve").envs(variables.iter().map(|(name, value)| (*name, value))).kill_on_drop(true);
    command
}

impl Service {
    /// Starts it on `database`, with an embedded DynamoDB, and waits until it listens.
    async fn start(database: &TestDatabase, anthropic: &FakeAnthropic, variables: &[(&'static str, String)]) -> Self {
        Self::start_with(&[], database, anthropic, variables).await
    }

    async fn start_with(
        arguments: &[&str],
        database: &TestDatabase,
        anthropic: &FakeAnthropic,
        variables: &[(&'static str, String)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut ours = database_variables(database);
        ours.extend(assistant_variables(&anthropic.url, ""));
        ours.extend_from_slice(variables);
        let mut command = command(&ours).await;
        command.args(arguments).args(["--port", &port.to_string(), "--embedded-dynamodb"]).arg(folder.path());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut service = Self { process, log, url: format!("http://127.0.0.1:{port}"), port, _folder: folder };
        service.wait_for("listening on").await;
        service
    }

    /// Waits for a log line that contains `text`, and returns it.
    async fn wait_for(&mut self, text: &str) -> String {
        loop {
            let line = self.log.next_line().await.unwrap().expect("the service goes on");
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_raw(self.process.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }
}

fn off() -> [(&'static str, String); 1] {
    [("AUTH_MODE", "none".to_owned())]
}

#[tokio::test]
async fn all_functions_are_served() {
    let (database, anthropic) = (TestDatabase::empty().await, FakeAnthropic::start([Script::message("Hi.")]).await);
    // Both databases may be one.
    migrate(&database, &database, false).await.unwrap();
    let variables = [off(), [("BASE_PATH", "/ro".to_owned())]].concat();
    let mut service = Service::start(&database, &anthropic, &variables).await;
    let client = local_client().timeout(Duration::from_secs(60)).build().unwrap();
    for (path, text) in [
        ("/health", "\"status\":\"ok\""),
        ("/api/ros", "[]"),
        ("/.netlify/functions/api/ros", "[]"),
        ("/.netlify/functions/health", "\"status\":\"ok\""),
        ("/ro/api/inventory/stats", "totalParts"),
        ("/ro/.netlify/functions/api/ros", "[]"),
        ("/api/inventory/stats", "totalParts"),
        ("/api/ai/health", "\"status\":\"ok\""),
        ("/api/ai-logs/stats", "totalLogs"),
        ("/docs", "<html"),
        ("/docs/", "<html"),
        ("/docs/swagger-ui-bundle.js", "SwaggerUIBundle"),
        ("/docs/swagger-initializer.js", "\"/openapi.json\""),
        ("/openapi.json", "\"openapi\""),
    ] {
        let response = client.get(format!("{}{path}", service.url)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.text().await.unwrap().contains(text), "{path}");
    }
    let line = service.wait_for("/api/ai-logs/stats").await;
    assert!(line.contains("http.status=200") && line.contains("outcome=\"complete\""), "{line}");
    let chat = json!({ "userId": "me", "messages": [{ "role": "user", "content": "Hello?" }] });
    let response = client.post(format!("{}/api/ai/chat", service.url)).json(&chat).send().await.unwrap();
    assert_eq!(response.headers()["x-ratelimit-remaining"], "2");
    assert_eq!(response.json::<Value>().await.unwrap()["success"], true);
}

#[tokio::test]
async fn without_an_issuer_only_health_answers() {
    let (database, anthropic) = (TestDatabase::migrated().await, FakeAnthropic::start([]).await);
    let service = Service::start(&database, &anthropic, &[]).await;
    let client = local_client().build().unwrap();
    for (path, status) in [("/health", 200), ("/api/ros", 503), ("/api/inventory/stats", 503), ("/nothing", 503)] {
        let response = client.get(format!("{}{path}", service.url)).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
}

#[tokio::test]
async fn the_legacy_dashboard_is_served_on_demand() {
    let (database, anthropic) = (TestDatabase::empty().await, FakeAnthropic::start([]).await);
    migrate(&database, &database, false).await.unwrap();
    let client = local_client().build().unwrap();
    let secret = "0123456789abcdef0123456789abcdef";
    let flag = &["--legacy-dashboard"][..];
    for (arguments, variables, open, with_secret) in [
        (flag, off().to_vec(), 200, 200),
        (flag, vec![("PROXY_SECRET", secret.to_owned())], 401, 200),
        (&[], vec![("LEGACY_DASHBOARD", "true".to_owned()), ("PROXY_SECRET", secret.to_owned())], 401, 200),
        (flag, vec![], 503, 503),
    ] {
        let service = Service::start_with(arguments, &database, &anthropic, &variables).await;
        let get = async |path: &str, secret: &str| {
            let url = format!("{}{path}", service.url);
            let response = client.get(url).header("x-proxy-secret", secret).send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        };
        let search = "/.netlify/functions/api/inventory/search?partNumber=nothing";
        assert_eq!(get(search, "").await.0, open, "{arguments:?} {variables:?}");
        let (status, body) = get(search, secret).await;
        assert_eq!(status, with_secret, "{arguments:?} {variables:?}");
        if status == 200 {
            assert_eq!(body, "[]");
            assert_eq!(get("/api/inventory/search?partNumber=nothing", secret).await.0, 404);
        }
    }
}

#[tokio::test]
async fn running_requests_are_finished() {
    let all = events(&["one", "two"]);
    let parts = all.iter().flat_map(|event| [Part::Bytes(sse(event).into_bytes()), Part::Wait]).collect();
    let (database, anthropic) = (TestDatabase::migrated().await, FakeAnthropic::start([Script::parts(parts)]).await);
    let mut service = Service::start(&database, &anthropic, &off()).await;
    let chat = json!({ "userId": "me", "stream": true, "messages": [{ "role": "user", "content": "Hello?" }] });
    let request = local_client().build().unwrap().post(format!("{}/api/ai/chat", service.url)).json(&chat);
    let mut stream = request.send().await.unwrap().bytes_stream();
    assert_eq!(stream.next().await.unwrap().unwrap(), format!("data: {}\n\n", all[0]));

    service.signal(rustix::process::Signal::TERM);
    service.wait_for("finishing the running requests").await;
    // Supervisors repeat it.
    service.signal(rustix::process::Signal::TERM);
    while TcpStream::connect(("127.0.0.1", service.port)).await.is_ok() {}
    let mut rest = Vec::new();
    for _ in 0..all.len() {
        anthropic.resume();
    }
    while let Some(piece) = stream.next().await {
        rest.extend_from_slice(&piece.unwrap());
    }
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains("two") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert_eq!(service.process.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn ctrl_c_breaks_off_requests_that_are_being_finished() {
    let parts = vec![Part::Bytes(sse(&events(&["one"])[0]).into_bytes()), Part::Wait];
    let (database, anthropic) = (TestDatabase::migrated().await, FakeAnthropic::start([Script::parts(parts)]).await);
    let mut service = Service::start(&database, &anthropic, &off()).await;
    let chat = json!({ "userId": "me", "stream": true, "messages": [{ "role": "user", "content": "Hello?" }] });
    let request = local_client().build().unwrap().post(format!("{}/api/ai/chat", service.url)).json(&chat);
    let mut stream = request.send().await.unwrap().bytes_stream();
    stream.next().await.unwrap().unwrap();
    service.signal(rustix::process::Signal::INT);
    service.wait_for("finishing the running requests").await;
    service.signal(rustix::process::Signal::INT);
    assert_eq!(service.process.wait().await.unwrap().code(), Some(0));
}

/// Opens `count` connections and sends `start` on each.
async fn connections(service: &Service, count: usize, start: &str) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(("127.0.0.1", service.port)).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    streams
}

#[tokio::test]
async fn slow_bodies_keep_no_other_request_waiting() {
    let (database, anthropic) = (TestDatabase::migrated().await, FakeAnthropic::start([]).await);
    let service = Service::start_with(&["--client-timeout", "10"], &database, &anthropic, &off()).await;
    let start = "POST /api/ros HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
                 content-length: 1000\r\n\r\n{";
    // More than there are places for requests.
    let slow = connections(&service, 100, start).await;
    let client = local_client().timeout(Duration::from_secs(60)).build().unwrap();
    let response = client.get(format!("{}/api/ros", service.url)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let end = slow[0].try_read(&mut [0]).unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::WouldBlock, "the slow ones are still waited for");
    for mut stream in slow {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("The body could not be read"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_turns_out_to_be_too_large_is_413() {
    let (database, anthropic) = (TestDatabase::migrated().await, FakeAnthropic::start([]).await);
    let service = Service::start(&database, &anthropic, &off()).await;
    // No length is announced.
    let parts = futures_util::stream::iter([(); 7].map(|()| Ok::<_, std::io::Error>(vec![b' '; 1 << 20])));
    let client = local_client().timeout(Duration::from_secs(60)).build().unwrap();
    let request = client.post(format!("{}/api/ros", service.url)).header("content-type", "application/json");
    let response = request.body(reqwest::Body::wrap_stream(parts)).send().await.unwrap();
    assert_eq!(response.status(), 413);
}

#[tokio::test]
async fn connections_without_a_request_are_closed() {
    let (database, anthropic) = (TestDatabase::migrated().await, FakeAnthropic::start([]).await);
    let service = Service::start_with(&["--client-timeout", "1"], &database, &anthropic, &off()).await;
    for (start, answer) in [
        ("", ""),
        ("GET /health HTTP/1.1\r\nx-slow: ", ""),
        // It stays open for the next request, which does not come.
        ("GET /health HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 200 OK"),
    ] {
        let mut stream = connections(&service, 1, start).await.remove(0);
        let mut text = String::new();
        tokio::time::timeout(Duration::from_secs(60), stream.read_to_string(&mut text))
            .await
            .expect("it ends")
            .unwrap();
        assert!(text.starts_with(answer) && text.is_empty() == answer.is_empty(), "{start}: {text}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_reads_nothing_holds_no_connection_to_the_database() {
    let (database, anthropic) = (TestDatabase::migrated().await, FakeAnthropic::start([]).await);
    // More than fits into the buffers of a connection.
    fill(&database, 30_000).await;
    let variables = [off(), [("DB_MAX_CONNECTIONS", "1".to_owned())]].concat();
    let client = local_client().timeout(Duration::from_secs(60)).build().unwrap();
    // With an hour's patience the client would keep others out.
    for (seconds, status) in [("3600", 503), ("1", 200)] {
        let service = Service::start_with(&["--client-timeout", seconds], &database, &anthropic, &variables).await;
        let stalled = connections(&service, 1, "GET /api/ros HTTP/1.1\r\nhost: x\r\n\r\n").await;
        stalled[0].readable().await.unwrap();
        let other = client.get(format!("{}/api/ros?limit=1", service.url)).send().await.unwrap();
        assert_eq!(other.status(), status, "{seconds} s");
    }
}

#[tokio::test]
async fn every_missing_variable_is_named_once() {
    let Output { status, stderr, .. } = command(&[("DB_PORT", "many".to_owned())]).await.output().await.unwrap();
    let message = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{message}");
    for problem in ["DB_HOST is missing", "DB_NAME_INVENTORY is missing", "DB_PORT must be a port number"] {
        assert_eq!(message.matches(problem).count(), 1, "{problem}: {message}");
    }
}
