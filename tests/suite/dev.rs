//! `cargo dev` from start to stop, as a developer uses it.

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
use uuid::Uuid;

/// Marks all processes of one run, so that leftover ones can be found.
const RUN: &str = "ROTRACKER_TEST_RUN";

/// A running `cargo dev`.
struct Dev {
    process: Child,
    run: String,
    url: String,
    lines: Vec<String>,
}

impl Dev {
    /// Starts `cargo dev` with the server under test or its own, and waits until it reports that it is ready.
    fn start(rotracker: &Path, data_dir: &Path, databases: &[TestDatabase; 2], port: u16, arguments: &[&str]) -> Self {
        let run = Uuid::new_v4().to_string();
        let mut process = Command::new(rotracker)
            .args(["dev", "--port", &port.to_string(), "--instances", "2", "--data-dir"])
            .arg(data_dir)
            .args(arguments)
            .env(RUN, &run)
            .env("DB_NAME_DEV", &databases[0].name)
            .env("DB_NAME_INVENTORY", &databases[1].name)
            .current_dir(workspace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
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
        Self { process, run, url: format!("http://127.0.0.1:{port}"), lines }
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
    // More concurrent requests than one instance accepts.
    let creates = (0..8).map(|number| {
        let order = new_order(json!({ "roNumber": format!("DEV {number}") }));
        client.post(format!("{}/api/ros", dev.url)).json(&order).send()
    });
    for created in futures_util::future::join_all(creates).await {
        let created = created.unwrap();
        assert_eq!(created.status(), 201);
        created.bytes().await.unwrap();
    }

    // Clients that disconnect during a response, more often than there are instances, do not stop any.
    for _ in 0..8 {
        let response = client.get(format!("{}/api/ros?archiveStatus=PAID", dev.url)).send().await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let responses =
        futures_util::future::join_all((0..8).map(|_| client.get(format!("{}/health", dev.url)).send())).await;
    for response in responses {
        assert_eq!(response.unwrap().json::<Value>().await.unwrap()["status"], "ok");
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
    let dev = Dev::start(&rotracker, folder.path(), &names, port, &[containers, "--fake-anthropic"]);
    let kept = client.get(format!("{}/api/ros/by-number/DEV%207", dev.url)).send().await.unwrap();
    assert_eq!(kept.status(), 200);
    kept.bytes().await.unwrap();
    as_in_containers(&folder.path().join(sam_local::FILE), &client).await;
    let (code, left) = dev.stop("-TERM");
    assert_eq!((code, left), (Some(0), Vec::new()));
    assert!(!folder.path().join(sam_local::FILE).exists(), "it names what runs no more");
    if !has_server {
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
