//! Measures how long it takes to connect to the database and to get a first answer, with and without TLS. Both are measured in
//! turns in one run. The server is a MariaDB server with a certificate of our own, or the server that `DB_HOST` names.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use app_core::db::{DatabaseConfig, Pool, TlsMode};
use rotracker_tests::{database, tls_server::TlsServer};

const ROUNDS: usize = 200;

/// Connects as a function does, sends a statement, and returns the durations until each was done.
async fn connect(config: &DatabaseConfig) -> [Duration; 2] {
    let started = Instant::now();
    let mut connection = Pool::new(config, "mysql").acquire().await.unwrap();
    let connected = started.elapsed();
    sqlx::query("SELECT 1").execute(&mut *connection).await.unwrap();
    [connected, started.elapsed()]
}

fn median(samples: &mut [Duration]) -> f64 {
    samples.sort_unstable();
    samples[samples.len() / 2].as_secs_f64() * 1e3
}

#[tokio::main]
async fn main() {
    let (config, _server) = if std::env::var_os("DB_HOST").is_some() {
        (database::server().clone(), None)
    } else {
        let server = TlsServer::start().await;
        (server.config("127.0.0.1", &[]).unwrap(), Some(server))
    };
    let [plain, encrypted] = [TlsMode::Disabled, TlsMode::Required].map(|tls| DatabaseConfig { tls, ..config.clone() });
    let mut samples: [[Vec<Duration>; 2]; 2] = Default::default();
    for _ in 0..ROUNDS {
        for (config, samples) in [&plain, &encrypted].into_iter().zip(&mut samples) {
            for (duration, samples) in connect(config).await.into_iter().zip(samples) {
                samples.push(duration);
            }
        }
    }
    let [[plain_connect, plain_answer], [tls_connect, tls_answer]] =
        samples.map(|sides| sides.map(|mut samples| median(&mut samples)));
    println!("| | without TLS, median ms | with TLS, median ms | ratio |");
    println!("|---|---|---|---|");
    for (name, plain, tls) in [("connect", plain_connect, tls_connect), ("first answer", plain_answer, tls_answer)] {
        println!("| {name} | {plain:.2} | {tls:.2} | {:.2} |", tls / plain);
    }
}
