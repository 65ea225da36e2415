//! `cargo dev` from start to stop, as a developer uses it.

#![allow(clippy::print_stderr)]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rotracker_cli::{local_client::local_client, sam_local};
use rotracker_tests::{
    TestDatabase,
    app::new_order,
    emulator::{Emulator, binary, free_port, workspace},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Marks all processes of one run, so that leftover ones can be found.
const RUN: &str = "ROTRACKER_TEST_RUN";

/// A running `cargo dev`.
struct Dev {
    process: Child,
    run: String,
    url: String,
    /// The lines of standard output until it was ready.
    lines: Vec<String>,
    /// The lines of standard error.
    messages: mpsc::UnboundedReceiver<String>,
}

impl Dev {
    /// Starts `cargo dev` with the server under test or its own, and waits until it reports that it is ready.
    fn start(rotracker: &Path, data_dir: &Path, databases: &[TestDatabase; 2], port: u16, arguments: &[&str]) -> Self {
        Self::start_in(workspace(), rotracker, data_dir, databases, port, arguments)
    }

    fn start_in(
        workspace: &Path,
        rotracker: &Path,
        data_dir: &Path,
        databases: &[TestDatabase; 2],
        port: u16,
        arguments: &[&str],
    ) -> Self {
        let run = Uuid::new_v4().to_string();
        let mut command = Command::new(rotracker);
        if workspace != self::workspace() {
            // They name the workspace of the tests.
            command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_TARGET_DIR");
        }
        let mut process = command
            .args(["dev", "--port", &port.to_string(), "--data-dir"])
            .arg(data_dir)
            .args(arguments)
            .env(RUN, &run)
            .env("DB_NAME_DEV", &databases[0].name)
            .env("DB_NAME_INVENTORY", &databases[1].name)
            .current_dir(workspace)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, messages) = mpsc::unbounded_channel();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("{line}");
                let _ = sender.send(line);
            }
        });
        let mut lines = Vec::new();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        for line in output.by_ref() {
            lines.push(line.unwrap());
            if lines.last().unwrap().starts_with("ready:") {
                break;
            }
        }
        // Keep reading the output, so that a full pipe does not block the process.
        std::thread::spawn(move || output.for_each(drop));
        Self { process, run, url: format!("http://127.0.0.1:{port}"), lines, messages }
    }

    /// Waits for a message that contains `text`.
    async fn wait_for(&mut self, text: &str) {
        while !self.messages.recv().await.unwrap().contains(text) {}
    }

    /// Sends `signal`, waits for the exit, and returns the exit code and the processes that are still running.
    fn stop(mut self, signal: &str) -> (Option<i32>, Vec<String>) {
        let killed = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let status = self.process.wait().unwrap();
        (status.code(), processes_of(&self.run))
    }
}

/// The command lines of all processes marked with `run`.
fn processes_of(run: &str) -> Vec<String> {
    let mark = format!("{RUN}={run}");
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let environment = std::fs::read(path.join("environ")).ok()?;
        let is_ours = environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes());
        is_ours.then(|| std::fs::read_to_string(path.join("cmdline")).unwrap_or_default())
    });
    processes.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cargo_dev_serves_keeps_data_and_stops() {
    let rotracker = binary("rotracker").await;
    let folder = tempfile::tempdir().unwrap();
    // On the server under test, these databases are dropped at the end; a server of its own is deleted with its folder.
    let names = [(); 2].map(|()| TestDatabase { name: format!("rotest_{}", Uuid::new_v4().simple()) });
    let client = local_client().timeout(Duration::from_secs(60)).build().unwrap();
    let port = free_port();

    let dev = Dev::start(&rotracker, folder.path(), &names, port, &[]);
    assert_eq!(dev.lines.last().unwrap(), &format!("ready: http://127.0.0.1:{port}"), "{:?}", dev.lines);
    for (archive, count) in [("ACTIVE", 500), ("PAID", 2_000), ("NET", 800), ("RETURNED", 300)] {
        let url = format!("{}/api/ros?archiveStatus={archive}", dev.url);
        let orders: Vec<Value> = client.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(orders.len(), count, "{archive}");
    }
    // The index lacks some parts of the sample data, so that each search method finds something.
    for (number, method) in [("ms20", "like"), ("abs0", "direct")] {
        let url = format!("{}/api/inventory/search?partNumber={number}", dev.url);
        let found: Value = client.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(found["searchMethod"], method, "{found}");
    }
    let stats: Value =
        client.get(format!("{}/api/inventory/stats", dev.url)).send().await.unwrap().json().await.unwrap();
    assert_eq!(stats["totalParts"], 6_400);
    // Browsers reject duplicate CORS headers, so those of the emulator must be off.
    let response =
        client.get(format!("{}/health", dev.url)).header("origin", "http://localhost:5173").send().await.unwrap();
    let origins: Vec<_> = response.headers().get_all("access-control-allow-origin").iter().cloned().collect();
    assert_eq!(origins, ["http://localhost:5173"]);
    response.bytes().await.unwrap();
    // Unknown paths get our error format instead of the one of the emulator.
    for path in
        ["", "/", "/nothing/here", "/api/rosy", "/api/inventory", "/api/inventory/nothing", "/api/ai-logs/no/thing"]
    {
        let response = client.get(format!("{}{path}", dev.url)).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(response.json::<Value>().await.unwrap()["error"], "Not found", "{path}");
    }
    // A body that is not UTF-8 gets our error, too.
    let invalid = client.post(format!("{}/api/ros", dev.url)).header("content-type", "application/json");
    let response = invalid.body(b"\xff{}".as_slice()).send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(response.json::<Value>().await.unwrap()["error"], "Validation error");
    let creates = (0..8).map(|number| {
        let order = new_order(json!({ "roNumber": format!("DEV {number}") }));
        client.post(format!("{}/api/ros", dev.url)).json(&order).send()
    });
    for created in futures_util::future::join_all(creates).await {
        let created = created.unwrap();
        assert_eq!(created.status(), 201);
        created.bytes().await.unwrap();
    }

    survives_many_requests(&dev.url, 1_000).await;
    if std::env::var_os("DB_HOST").is_none() {
        // A killed database server is started again.
        let id = std::fs::read_to_string(folder.path().join("database/data/server.pid")).unwrap();
        assert!(Command::new("kill").args(["-KILL", id.trim()]).status().unwrap().success());
        while client.get(format!("{}/api/ros?limit=1", dev.url)).send().await.unwrap().status() != 200 {}
    }

    // A second `cargo dev` on the same data or on the same port explains the conflict.
    for (data_dir, expected) in
        [(folder.path().to_owned(), "already running"), (folder.path().join("other"), "is taken")]
    {
        let output = Command::new(&rotracker)
            .args(["dev", "--port", &port.to_string(), "--data-dir"])
            .arg(data_dir)
            .current_dir(workspace())
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(message.contains(expected) && !message.contains("backtrace"), "{message}");
    }

    let (code, left) = dev.stop("-INT");
    assert_eq!((code, left), (Some(0), Vec::new()));

    // A server under test listens only on its own address.
    let has_server = std::env::var_os("DB_HOST").is_some();
    let containers = if has_server { "--sam-local=127.0.0.1" } else { "--sam-local=127.0.0.2" };
    let arguments = ["--lambda", "--instances", "2", containers, "--fake-anthropic", "--legacy-dashboard"];
    let dev = Dev::start(&rotracker, folder.path(), &names, port, &arguments);
    for (prefix, status) in [("/api", 404), ("/.netlify/functions/api", 200)] {
        let url = format!("{}{prefix}/inventory/search?partNumber=nothing", dev.url);
        assert_eq!(client.get(url).send().await.unwrap().status(), status, "{prefix}");
    }
    let kept = client.get(format!("{}/api/ros/by-number/DEV%207", dev.url)).send().await.unwrap();
    assert_eq!(kept.status(), 200);
    kept.bytes().await.unwrap();
    survives_many_requests(&dev.url, 400).await;
    as_in_containers(&folder.path().join(sam_local::FILE), &client).await;
    let (code, left) = dev.stop("-TERM");
    assert_eq!((code, left), (Some(0), Vec::new()));
    assert!(!folder.path().join(sam_local::FILE).exists(), "it names what runs no more");
    if !has_server {
        // These databases were never on the server under test, so there is nothing to drop.
        std::mem::forget(names);
    }
}

/// Sends `count` requests at once, a few of which are broken off. All others are answered: at least 95 of 100 with 200, the rest
/// with 503 and `Retry-After`. Afterwards the system answers as before.
async fn survives_many_requests(url: &str, count: usize) {
    let client = local_client().timeout(Duration::from_secs(60)).build().unwrap();
    let paths = ["/api/ros?limit=20", "/api/ros/stats/dashboard", "/api/inventory/search?partNumber=ms20", "/health"];
    let requests = (0..count).map(|number| {
        let request = client.get(format!("{url}{}", paths[number % paths.len()]));
        async move {
            let response = request.send().await.unwrap();
            let (status, retry_after) = (response.status(), response.headers().get("retry-after").cloned());
            // Clients that disconnect during a response stop nothing.
            if number % 50 != 0 {
                response.bytes().await.unwrap();
            }
            (status, retry_after)
        }
    });
    let mut refused = 0;
    for (status, retry_after) in futures_util::future::join_all(requests).await {
        if status == 503 {
            assert!(retry_after.is_some());
            refused += 1;
        } else {
            assert_eq!(status, 200);
        }
    }
    assert!(refused * 20 <= count, "{refused} of {count} were refused");
    let response = client.get(format!("{url}/health")).send().await.unwrap();
    assert_eq!(response.json::<Value>().await.unwrap()["status"], "ok");
}

/// A workspace with a small program `rotracker` that answers every request with `text`.
fn write_small_workspace(folder: &Path, text: &str) {
    let main = format!(
        r#"
        use std::io::{{Read, Write}};
        fn main() {{
            let arguments: Vec<String> = std::env::args().collect();
            if arguments[1] == "migrate" {{ return; }}
            let port = arguments.iter().skip_while(|argument| *argument != "--port").nth(1).unwrap();
            for client in std::net::TcpListener::bind(format!("127.0.0.1:{{port}}")).unwrap().incoming() {{
                let mut client = client.unwrap();
                let _ = client.read(&mut [0; 4096]);
                let _ = client.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{text}");
            }}
        }}
        "#
    );
    for (name, content) in [
        ("Cargo.toml", "[workspace]\nmembers = [\"crates/rotracker\"]\nresolver = \"3\"\n"),
        ("Cargo.lock", "version = 4\n\n[[package]]\nname = \"rotracker\"\nversion = \"0.1.0\"\n"),
        ("migrations/none.sql", ""),
        ("crates/rotracker/Cargo.toml", "[package]\nname = \"rotracker\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
        ("crates/rotracker/src/main.rs", &main),
    ] {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Files that are as they should be are not touched.
        if std::fs::read_to_string(&path).ok().as_deref() != Some(content) {
            std::fs::write(path, content).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cargo_dev_builds_and_serves_changes() {
    let folder = tempfile::tempdir().unwrap();
    write_small_workspace(folder.path(), "never built");
    // `cargo dev` begins with itself and then runs what cargo builds in the same place.
    let rotracker = folder.path().join("target/debug/rotracker");
    std::fs::create_dir_all(rotracker.parent().unwrap()).unwrap();
    std::fs::copy(binary("rotracker").await, &rotracker).unwrap();
    let names = [(); 2].map(|()| TestDatabase { name: format!("rotest_{}", Uuid::new_v4().simple()) });
    let data_dir = folder.path().join("data");
    let arguments = ["--no-sample-data"];
    let mut dev = Dev::start_in(folder.path(), &rotracker, &data_dir, &names, free_port(), &arguments);
    let client = local_client().timeout(Duration::from_secs(60)).build().unwrap();
    let url = format!("{}/health", dev.url);
    let health = async || client.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(health().await.contains("\"status\":\"ok\""));

    // While a change does not compile, the last version keeps running.
    let main = folder.path().join("crates/rotracker/src/main.rs");
    std::fs::write(&main, "fn main( {").unwrap();
    dev.wait_for("The build failed").await;
    assert!(health().await.contains("\"status\":\"ok\""));

    write_small_workspace(folder.path(), "the second version");
    dev.wait_for("The new version is running").await;
    assert_eq!(health().await, "the second version");

    let (code, left) = dev.stop("-INT");
    assert_eq!((code, left), (Some(0), Vec::new()));
    if std::env::var_os("DB_HOST").is_none() {
        // These databases were never on the server under test, so there is nothing to drop.
        std::mem::forget(names);
    }
}

/// Runs the functions with the variables that `sam local` would set, including the one that marks its containers, from
/// another address of this machine.
async fn as_in_containers(file: &Path, client: &reqwest::Client) {
    let content: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let values = content["Parameters"].as_object().unwrap();
    let mut variables: Vec<(&str, String)> =
        values.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap().to_owned())).collect();
    variables.push(("AWS_SAM_LOCAL", "true".to_owned()));
    for (name, value) in
        [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "defaultkey"), ("AWS_SECRET_ACCESS_KEY", "defaultsecret")]
    {
        variables.push((name, value.to_owned()));
    }
    let emulator = Emulator::start().await;
    for (name, path, body, holds) in [
        ("ros", "/api/ros/by-number/DEV%207", None, "DEV 7"),
        ("inventory", "/api/inventory/stats", None, "6400"),
        (
            "ai",
            "/api/ai/chat",
            Some(json!({
                "userId": "me", "conversationId": "sam", "messages": [{ "role": "user", "content": "Hello?" }],
            })),
            "stand-in",
        ),
        ("ai-logs", "/api/ai-logs/conversation/sam", None, "stand-in"),
    ] {
        let instance = emulator.instance(name, &binary(name).await, &variables);
        let url = format!("{}/lambda-url/{name}{path}", emulator.url);
        let request = match &body {
            Some(body) => client.post(url).json(body),
            None => client.get(url),
        };
        let response = request.send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status == 200 && text.contains(holds), "{name}: {status} {text}\n{:?}", instance.log());
        instance.stop().await;
    }
}
