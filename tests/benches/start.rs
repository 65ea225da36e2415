//! `cargo bench --bench start`: the time from starting the process of a function to the last byte of its first
//! response, compared alternately with a minimal `lambda_http` function that is built with cargo's defaults. The request is already
//! waiting and returns 404 without a database statement, so this measures Init and the HTTP layers. The memory of each function after
//! this response is printed, too.
//!
//! Another table compares the first responses of `ros` that need the database, with and without TLS. The server is a MariaDB
//! server with a certificate of our own, or the server that `DB_HOST` names.
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
    database, dynamodb,
    emulator::{Emulator, database_variables},
    tls_server::TlsServer,
};
use secrecy::ExposeSecret;
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
    /// The path of the request, and the status of its response.
    request: (&'static str, u16),
    starts: Vec<Duration>,
    /// The resident memory after the first response, in bytes: the peak and the present one, each the most of all starts.
    memory: [u64; 2],
}

const UNKNOWN_PATH: (&str, u16) = ("/api/nothing", 404);

impl Candidate {
    fn new(name: &'static str, variables: Variables, request: (&'static str, u16)) -> Self {
        let binary = built(if name == "bare" { "bare_function" } else { name });
        Self { name, binary, variables, request, starts: Vec::new(), memory: [0; 2] }
    }

    fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.starts.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() - 1) * percent / 100].as_secs_f64() * 1e3
    }

    async fn start(&mut self, emulator: &Emulator, client: &reqwest::Client) {
        // The emulator accepts only names of functions of the workspace.
        let name = if self.name == "bare" { "ros" } else { self.name };
        let (path, status) = self.request;
        let url = format!("{}/lambda-url/{name}{path}", emulator.url);
        let waiting = tokio::spawn(client.get(url).send());
        let started = Instant::now();
        let instance = emulator.instance(name, &self.binary, &self.variables);
        let response = waiting.await.unwrap().unwrap();
        assert_eq!(response.status(), status, "{:?}", instance.log());
        response.bytes().await.unwrap();
        self.starts.push(started.elapsed());
        let memory = [instance.peak_memory().unwrap(), instance.resident_memory().unwrap()];
        self.memory = [0, 1].map(|index| self.memory[index].max(memory[index]));
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

/// Starts the functions in turns.
async fn measure(candidates: &mut [Candidate]) {
    let emulator = Emulator::start().await;
    // Use a new connection for each request: on a reused one, responses of the emulator wait 40 ms for the
    // acknowledgement of the client.
    let client = local_client().pool_max_idle_per_host(0).build().unwrap();
    for round in 0..=ROUNDS {
        for candidate in &mut *candidates {
            candidate.start(&emulator, &client).await;
        }
        if round == 0 {
            // The first start only warms the file cache.
            candidates.iter_mut().for_each(|candidate| candidate.starts.clear());
        }
    }
}

async fn compare_functions() {
    let database = TestDatabase::migrated().await;
    let (anthropic, dynamodb) = (FakeAnthropic::start([]).await, dynamodb::emulator().await);
    let there = [database_variables(&database), assistant(&dynamodb.endpoint, &anthropic.url)].concat();
    let refusing = refuses().await;
    let mut apart = [database_variables(&database), assistant(&refusing, &refusing)].concat();
    let closed = hangs_up().await.to_string();
    apart.iter_mut().filter(|(name, _)| *name == "DB_PORT").for_each(|(_, port)| port.clone_from(&closed));

    let mut candidates = vec![Candidate::new("bare", Vec::new(), UNKNOWN_PATH)];
    for name in ["ros", "inventory", "ai", "ai-logs"] {
        for variables in [&apart, &there] {
            candidates.push(Candidate::new(name, variables.clone(), UNKNOWN_PATH));
        }
    }
    measure(&mut candidates).await;

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
    println!();
    println!("| function | memory after the first response, MB | at its peak |");
    println!("|---|---|---|");
    let connected = candidates.iter().skip(1).step_by(2);
    for Candidate { name, memory: [peak, resident], .. } in [&bare].into_iter().chain(connected) {
        println!("| `{name}` | {:.1} | {:.1} |", megabytes(*resident), megabytes(*peak));
    }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

async fn compare_tls() {
    let (config, _server) = if std::env::var_os("DB_HOST").is_some() {
        (database::server().clone(), None)
    } else {
        let server = TlsServer::start().await;
        (server.config("127.0.0.1", &[]).unwrap(), Some(server))
    };
    let mut candidates = ["DISABLED", "REQUIRED"].map(|tls| {
        let variables = vec![
            ("DB_HOST", config.host.clone()),
            ("DB_PORT", config.port.to_string()),
            ("DB_USER", config.user.clone()),
            ("DB_PASSWORD", config.password.expose_secret().to_owned()),
            // Exists on every server. The health check needs no table.
            ("DB_NAME_DEV", "mysql".to_owned()),
            ("DB_SSL_MODE", tls.to_owned()),
            ("APP_ENV", "development".to_owned()),
        ];
        Candidate::new("ros", variables, ("/health", 200))
    });
    measure(&mut candidates).await;
    let [plain, encrypted] = candidates.map(|candidate| candidate.percentile(50));
    println!();
    println!("| | without TLS, p50 ms | with TLS, p50 ms | ratio |");
    println!("|---|---|---|---|");
    println!("| start and first answer of `ros` | {plain:.1} | {encrypted:.1} | {:.2} |", encrypted / plain);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        compare_functions().await;
        compare_tls().await;
    });
}
