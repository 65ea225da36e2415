//! Runs `rotracker serve` and real Lambda binaries under mixed load, while connections and processes are killed, frozen and refused.
//! Prints what became of the changes, of the memory and of the open files.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use app_core::db;
use clap::Parser;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rotracker_cli::output::{print, progress};
use rotracker_tests::{
    database::{config_of, own_server, try_execute},
    tcp_proxy::{Disconnect, TcpProxy},
    workload::{ACCOUNT, DatabaseAddress, Fleet, Workload, prepare},
};
use rustix::process::Signal;
use sqlx::MySqlConnection;
use tokio::time::{sleep, timeout};

/// `rotracker serve` and an instance of `ros`, which are not killed, so that their memory can be compared over the whole run.
const LASTING: [usize; 2] = [0, 2];

/// The others: an instance each of `ros`, `inventory` and `ai-logs`.
const KILLED: [usize; 3] = [1, 3, 4];

/// The connections that a process may keep in its pools, besides those to clients.
const POOLS: usize = 20;

/// How much memory may grow from the second quarter of the run to the last one. Until then a process grows to the size that it needs.
const GROWTH: f64 = 1.05;
const GROWTH_BYTES: f64 = 2e6;

/// Runs the service under load and disturbances
#[derive(Parser)]
struct Arguments {
    /// The database server's program, instead of the installed one
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
    /// How long it lasts
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// It goes on until there were this many requests
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
    /// The number of clients
    #[arg(long, default_value_t = 12)]
    clients: usize,
    /// Another one makes other random choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The memory and the open files of a process at one time.
#[derive(Clone, Copy, Debug)]
struct Usage {
    memory: u64,
    files: usize,
}

/// Everything that can be disturbed.
struct Disturbances {
    root: MySqlConnection,
    proxy: TcpProxy,
    fleet: Arc<Fleet>,
    random: StdRng,
    counts: BTreeMap<&'static str, usize>,
}

impl Disturbances {
    /// Disturbs the service once.
    async fn disturb(&mut self) -> Result<()> {
        let a_while = Duration::from_millis(self.random.random_range(50..1500));
        let disturbance = match self.random.random_range(0..20) {
            0..12 => {
                let sessions =
                    sqlx::query_scalar("SELECT CAST(ID AS SIGNED) FROM information_schema.PROCESSLIST WHERE USER = ?")
                        .bind(ACCOUNT)
                        .fetch_all(&mut self.root)
                        .await;
                let sessions: Vec<i64> = match sessions {
                    // MySQL cannot list a statement with a binary value, such as a digest.
                    Err(sqlx::Error::Database(_)) => Vec::new(),
                    sessions => sessions?,
                };
                if sessions.is_empty() {
                    "there was no connection to kill"
                } else {
                    let session = sessions[self.random.random_range(0..sessions.len())];
                    // It may have ended since it was listed.
                    let _ = try_execute(&mut self.root, &format!("KILL {session}")).await;
                    "a connection was killed"
                }
            }
            12..15 => {
                let (_, process) = self.fleet.process(KILLED[self.random.random_range(0..KILLED.len())]);
                process.signal(Signal::KILL);
                "a process was killed"
            }
            15..17 => {
                let (_, process) = self.fleet.process(0);
                process.freeze();
                sleep(a_while).await;
                process.thaw();
                "`rotracker serve` was frozen"
            }
            17..19 => {
                self.proxy.end_any(if self.random.random_bool(0.5) { Disconnect::Fin } else { Disconnect::Reset });
                "all connections were cut"
            }
            _ => {
                self.proxy.refuse().await;
                self.proxy.end_any(Disconnect::Reset);
                sleep(a_while).await;
                self.proxy.listen().await;
                "connections were refused for a while"
            }
        };
        *self.counts.entry(disturbance).or_default() += 1;
        Ok(())
    }
}

fn usage(fleet: &Fleet, process: usize) -> Result<Usage> {
    let (_, process) = fleet.process(process);
    Ok(Usage { memory: process.resident_memory()?, files: process.open_files()? })
}

/// Returns the mean of the memory, in bytes.
fn mean(samples: &[Usage]) -> f64 {
    samples.iter().map(|sample| sample.memory as f64).sum::<f64>() / samples.len().max(1) as f64
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let (server, _folder) = own_server(arguments.server.as_deref(), &[]).await;
    let config = config_of(&server, 1);
    let mut root = db::connect(&config, None).await?;
    let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut root).await?;
    let parts = prepare(&config).await;

    let proxy = TcpProxy::to(&format!("{}:{}", server.host, server.port)).await;
    let address = DatabaseAddress { host: "127.0.0.1".to_owned(), port: proxy.address.port(), hosts: None };
    let fleet = Arc::new(Fleet::start(&address).await);
    let at_first = LASTING.map(|process| usage(&fleet, process)).into_iter().collect::<Result<Vec<_>>>()?;
    let mut workload = Workload::start(fleet.clone(), parts, arguments.clients, arguments.seed);

    let random = StdRng::seed_from_u64(arguments.seed);
    let mut disturbances = Disturbances { root, proxy, fleet: fleet.clone(), random, counts: BTreeMap::new() };
    let (began, length) = (Instant::now(), Duration::from_secs_f64(arguments.minutes * 60.0));
    let mut samples = LASTING.map(|_| Vec::new());
    let mut last_count = 0;
    while began.elapsed() < length || workload.progress().requests < arguments.requests {
        let pause = Duration::from_millis(disturbances.random.random_range(100..1000));
        sleep(pause).await;
        timeout(Duration::from_secs(60), disturbances.disturb()).await.context("a disturbance hangs")??;
        for (samples, process) in samples.iter_mut().zip(LASTING) {
            samples.push(usage(&fleet, process)?);
        }
        let requests = workload.progress().requests;
        if requests / 5_000 > last_count / 5_000 {
            progress(&format!("{requests} requests after {:.0} s", began.elapsed().as_secs_f64()));
        }
        last_count = requests;
    }
    let took = began.elapsed();
    workload.stop().await;
    workload.repeat(500).await;
    let at_last = LASTING.map(|process| usage(&fleet, process)).into_iter().collect::<Result<Vec<_>>>()?;

    let mut faults = workload.compare(&config).await;
    let requests = workload.progress().requests;
    print(&format!("{version}: {requests} requests in {:.1} minutes", took.as_secs_f64() / 60.0));
    print(&workload.summary());
    for (disturbance, count) in &disturbances.counts {
        print(&format!("{count} times {disturbance}"));
    }
    ensure!(samples[0].len() >= 8, "the run was too short to judge the memory");
    for (index, samples) in samples.iter().enumerate() {
        let (name, _) = fleet.process(LASTING[index]);
        let quarter = samples.len() / 4;
        let (early, late) = (mean(&samples[quarter..2 * quarter]), mean(&samples[3 * quarter..]));
        let (first, last) = (at_first[index], at_last[index]);
        let most_files = samples.iter().map(|sample| sample.files).max().unwrap_or_default();
        print(&format!(
            "{name}: {:.1} MB at first, {:.1} MB in the second quarter, {:.1} MB in the last one; {} open files at first, at most \
             {most_files}, {} at last",
            first.memory as f64 / 1e6,
            early / 1e6,
            late / 1e6,
            first.files,
            last.files,
        ));
        if late > early * GROWTH + GROWTH_BYTES {
            faults.push(format!("the memory of {name} grows"));
        }
        if last.files > first.files + POOLS + arguments.clients {
            faults.push(format!("{name} leaves files open"));
        }
    }
    print(&format!("{} faults", faults.len()));
    for fault in &faults {
        print(fault);
    }
    server.stop().await;
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
