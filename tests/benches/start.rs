//! `cargo bench --bench start`: the time from starting the process of a function to the last byte of its first
//! response, compared alternately with a minimal `lambda_http` function that is built with cargo's defaults. The request is already
//! waiting and returns 404 without a database statement, so this measures Init and the HTTP layers.
//!
//! It uses the binaries of `sam build` and `cargo lambda build --release --example bare_function`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use axum::{Router, http::StatusCode};
use rotracker_cli::local_client::local_client;
use rotracker_tests::{
    TestDatabase,
    anthropic::FakeAnthropic,
    dynamodb,
    emulator::{Emulator, database_variables},
};
use tokio::net::TcpListener;

const ROUNDS: usize = 60;

/// The binary that `cargo lambda build` made.
fn built(name: &str) -> PathBuf {
    let bench = std::env::current_exe().unwrap();
    // …/target/release/deps/start-…
    let binary = bench.ancestors().nth(3).unwrap().join("lambda").join(name).join("bootstrap");
    assert!(binary.exists(), "{} is not there; the top of this file says what makes it", binary.display());
    binary
}

type Variables = Vec<(&'static str, String)>;

/// A function with its environment, and the measured durations.
struct Candidate {
    name: &'static str,
    binary: PathBuf,
    variables: Variables,
    starts: Vec<Duration>,
}

impl Candidate {
    fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.starts.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() - 1) * percent / 100].as_secs_f64() * 1e3
    }

    async fn start(&mut self, emulator: &Emulator, client: &reqwest::Client) {
        // The emulator accepts only names of functions of the workspace.
        let name = if self.name == "bare" { "ros" } else { self.name };
        let url = format!("{}/lambda-url/{name}/api/nothing", emulator.url);
        let waiting = tokio::spawn(client.get(url).send());
        let started = Instant::now();
        let instance = emulator.instance(name, &self.binary, &self.variables);
        let response = waiting.await.unwrap().unwrap();
        assert_eq!(response.status(), 404, "{:?}", instance.log());
        response.bytes().await.unwrap();
        self.starts.push(started.elapsed());
        instance.stop().await;
    }
}

/// The port of a server that closes every connection at once, so that only our own cost of connecting is measured.
async fn hangs_up() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    port
}

/// The URL of a server that refuses every request at once.
async fn refuses() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let refusal = Router::new().fallback(async || (StatusCode::BAD_REQUEST, "{}"));
    tokio::spawn(async move { axum::serve(listener, refusal).await });
    url
}

fn assistant(dynamodb: &str, anthropic: &str) -> Variables {
    vec![
        ("AI_LOG_CONVERSATIONS", "true".to_owned()),
        ("ANTHROPIC_API_KEY", "key".to_owned()),
        ("ANTHROPIC_BASE_URL", anthropic.to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "emulator".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "emulator".to_owned()),
    ]
}

async fn compare() {
    let database = TestDatabase::migrated().await;
    let (anthropic, dynamodb) = (FakeAnthropic::start([]).await, dynamodb::emulator().await);
    let there = [database_variables(&database), assistant(&dynamodb.endpoint, &anthropic.url)].concat();
    let refusing = refuses().await;
    let mut apart = [database_variables(&database), assistant(&refusing, &refusing)].concat();
    let closed = hangs_up().await.to_string();
    apart.iter_mut().filter(|(name, _)| *name == "DB_PORT").for_each(|(_, port)| port.clone_from(&closed));

    let mut candidates = Vec::new();
    let bare = built("bare_function");
    candidates.push(Candidate { name: "bare", binary: bare, variables: Vec::new(), starts: Vec::new() });
    for name in ["ros", "inventory", "ai", "ai-logs"] {
        for variables in [&apart, &there] {
            let variables = variables.clone();
            candidates.push(Candidate { name, binary: built(name), variables, starts: Vec::new() });
        }
    }

    let emulator = Emulator::start().await;
    // Use a new connection for each request: on a reused one, responses of the emulator wait 40 ms for the
    // acknowledgement of the client.
    let client = local_client().pool_max_idle_per_host(0).build().unwrap();
    for round in 0..=ROUNDS {
        for candidate in &mut candidates {
            candidate.start(&emulator, &client).await;
        }
        if round == 0 {
            // The first start only warms the file cache.
            candidates.iter_mut().for_each(|candidate| candidate.starts.clear());
        }
    }

    let bare = candidates.remove(0);
    println!(
        "| function | connections apart, p50 ms | to the bare one | p99 ms | with connections, p50 ms | to the bare one | p99 ms |"
    );
    println!("|---|---|---|---|---|---|---|");
    println!("| bare `lambda_http` | {:.1} | 1 | {:.1} | | | |", bare.percentile(50), bare.percentile(99));
    for pair in candidates.chunks(2) {
        let columns = pair.iter().map(|candidate| {
            let p50 = candidate.percentile(50);
            format!("{p50:.1} | {:.2} | {:.1}", p50 / bare.percentile(50), candidate.percentile(99))
        });
        println!("| `{}` | {} |", pair[0].name, columns.collect::<Vec<_>>().join(" | "));
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(compare());
}
