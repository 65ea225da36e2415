//! Rehearses the failover of the database: a second server takes over from the first, while clients go on.
//!
//! The first server turns read-only, the second one catches up, the first is killed, and the address moves to the second. The
//! processes are not restarted. There are two more forms: the first server stays read-only, as one that becomes the replica does, so
//! that connections to it stay open; or its machine vanishes, and nothing ends the connections.

use std::{
    fmt::Write,
    fs,
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use app_core::db::{self, DatabaseConfig};
use clap::ValueEnum;
use rotracker_cli::database_server::DatabaseServer;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{MySqlConnection, Row};
use tempfile::TempDir;

use crate::{
    database::{config_of, execute, own_server},
    tcp_proxy::TcpProxy,
    workload::{DatabaseAddress, Fleet, Workload, prepare},
};

/// The name of the database server, if a name moves.
const NAME: &str = "database.test";

/// How long each step of the rehearsal may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The address that moves from one server to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Address {
    /// A TCP proxy, which connects to another server from then on
    Proxy,
    /// A name, which has another IP address from then on
    Name,
}

/// What becomes of the first server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FirstServer {
    /// It is killed, and its connections end
    Killed,
    /// It goes on, read-only
    Stays,
    /// Its packets are lost; this changes the packet filter of the network namespace, and needs root and a name
    Vanishes,
}

/// The options of a rehearsal.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server program, or `None` for the installed one.
    pub program: Option<PathBuf>,
    pub address: Address,
    pub first_server: FirstServer,
    pub clients: usize,
    /// How many changes each process must acknowledge in each part of the API before the failover, and again after it.
    pub changes: usize,
}

/// The result of a rehearsal.
#[derive(Debug)]
pub struct Rehearsal {
    /// A table for people.
    pub summary: String,
    /// Everything that must not happen.
    pub faults: Vec<String>,
    /// How long each process took to acknowledge a change in each part of the API, after the address had moved.
    pub recovery: Vec<(String, Duration)>,
}

/// A server with a binary log.
struct Server {
    server: DatabaseServer,
    root: DatabaseConfig,
    connection: MySqlConnection,
    is_mariadb: bool,
    folder: TempDir,
}

/// A place in the binary log.
struct Position {
    file: String,
    offset: u64,
}

impl Server {
    async fn start(id: u32, options: &Options) -> Self {
        let arguments = ["--log-bin=binlog", "--relay-log=relay", &format!("--server-id={id}")];
        let (server, folder) = own_server(options.program.as_deref(), &arguments).await;
        let root = config_of(&server, 1);
        let mut connection = db::connect(&root, None).await.expect("the server accepts connections");
        let is_mariadb = version(&mut connection).await.contains("MariaDB");
        Self { server, root, connection, is_mariadb, folder }
    }

    async fn execute(&mut self, sql: &str) {
        execute(&mut self.connection, sql).await;
    }

    /// Begins to replicate from `first`, whose binary log is complete.
    async fn replicate(&mut self, first: &Self, from: &Position) {
        let (host, port, Position { file, offset }) = (first.server.host, first.server.port, from);
        let statements = if self.is_mariadb {
            format!(
                "CHANGE MASTER TO MASTER_HOST = '{host}', MASTER_PORT = {port}, MASTER_USER = 'replica',
                     MASTER_LOG_FILE = '{file}', MASTER_LOG_POS = {offset};
                 START SLAVE"
            )
        } else {
            format!(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{host}', SOURCE_PORT = {port}, SOURCE_USER = 'replica',
                     SOURCE_SSL = 0, SOURCE_LOG_FILE = '{file}', SOURCE_LOG_POS = {offset};
                 START REPLICA"
            )
        };
        self.execute(&statements).await;
    }

    /// Returns the end of the binary log.
    async fn position(&mut self) -> Position {
        let statement = if self.is_mariadb { "SHOW MASTER STATUS" } else { "SHOW BINARY LOG STATUS" };
        let row = sqlx::raw_sql(statement).fetch_one(&mut self.connection).await.expect("a position");
        Position { file: row.get("File"), offset: row.get("Position") }
    }

    /// Waits until everything up to `position` is replicated.
    async fn wait_for(&mut self, position: &Position) {
        let statement = if self.is_mariadb {
            "SELECT CAST(MASTER_POS_WAIT(?, ?, 60) AS SIGNED)"
        } else {
            "SELECT CAST(SOURCE_POS_WAIT(?, ?, 60) AS SIGNED)"
        };
        let waited: Option<i64> = sqlx::query_scalar(statement)
            .bind(&position.file)
            .bind(position.offset)
            .fetch_one(&mut self.connection)
            .await
            .expect("the server waits");
        if waited.is_none_or(|events| events < 0) {
            let statement = if self.is_mariadb { "SHOW SLAVE STATUS" } else { "SHOW REPLICA STATUS" };
            let status = sqlx::raw_sql(statement).fetch_one(&mut self.connection).await.expect("a status");
            let [receiving, applying] = ["Last_IO_Error", "Last_SQL_Error"].map(|name| status.get::<String, _>(name));
            panic!("the second server does not catch up: {receiving} {applying}");
        }
    }

    async fn set_read_only(&mut self, is_read_only: bool) {
        let variable = if self.is_mariadb { "read_only" } else { "super_read_only" };
        self.execute(&format!("SET GLOBAL {variable} = {}", u8::from(is_read_only))).await;
    }

    /// Makes a replica the server that takes changes.
    async fn promote(&mut self) {
        self.execute(if self.is_mariadb { "STOP SLAVE" } else { "STOP REPLICA" }).await;
        self.set_read_only(false).await;
        self.execute("SET GLOBAL read_only = 0").await;
    }

    /// Drops all packets from and to the server.
    fn vanish(&self) {
        for [address, port] in [["--destination", "--dport"], ["--source", "--sport"]] {
            let mut iptables = Command::new("iptables");
            iptables.args(["-I", "INPUT", "-p", "tcp", address, self.server.host, port]);
            iptables.arg(self.server.port.to_string()).args(["-j", "DROP"]);
            assert!(iptables.status().is_ok_and(|status| status.success()), "iptables works");
        }
    }

    /// Ends the server by SIGKILL.
    async fn kill(&self) {
        let file = self.folder.path().join("server/data/server.pid");
        let id = fs::read_to_string(file).expect("the server has written its process id");
        let id = id.trim().parse().ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, Signal::KILL).expect("the server runs");
        self.server.wait().await;
    }
}

async fn version(connection: &mut MySqlConnection) -> String {
    sqlx::query_scalar("SELECT VERSION()").fetch_one(connection).await.expect("a version")
}

/// The address of the database for the processes.
struct MovingAddress {
    proxy: TcpProxy,
    address: DatabaseAddress,
    second: String,
    folder: TempDir,
}

impl MovingAddress {
    async fn new(kind: Address, first: &Server, second: &Server) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [first_address, second] = [first, second].map(|it| format!("{}:{}", it.server.host, it.server.port));
        let mut address = DatabaseAddress { host: "127.0.0.1".to_owned(), port: first.server.port, hosts: None };
        let proxy = match kind {
            Address::Proxy => {
                let proxy = TcpProxy::to(&first_address).await;
                address.port = proxy.address.port();
                proxy
            }
            Address::Name => {
                NAME.clone_into(&mut address.host);
                address.hosts = Some(folder.path().join("hosts"));
                // The second server under the port of the first one, at another IP address of this machine.
                TcpProxy::at(&format!("127.0.0.2:{}", address.port), &second).await
            }
        };
        let moving = Self { proxy, address, second, folder };
        moving.write_hosts("127.0.0.1");
        moving
    }

    /// Says that [`NAME`] has the IP address `ip`. The file is written in place, because processes have mounted it.
    fn write_hosts(&self, ip: &str) {
        let hosts = format!("127.0.0.1 localhost\n{ip} {NAME}\n");
        fs::write(self.folder.path().join("hosts"), hosts).expect("the file can be written");
    }

    async fn move_to_second(&self) {
        self.write_hosts("127.0.0.2");
        self.proxy.move_to(&self.second).await;
    }
}

/// Rehearses a failover.
pub async fn rehearse(options: &Options) -> Rehearsal {
    let (mut first, mut second) = tokio::join!(Server::start(1, options), Server::start(2, options));
    let start = first.position().await;
    first.execute("CREATE USER 'replica'@'%'; GRANT REPLICATION SLAVE ON *.* TO 'replica'@'%'").await;
    second.set_read_only(true).await;
    second.replicate(&first, &start).await;
    let parts = prepare(&first.root).await;
    second.wait_for(&first.position().await).await;

    let moving = MovingAddress::new(options.address, &first, &second).await;
    let fleet = Arc::new(Fleet::start(&moving.address).await);
    let mut workload = Workload::start(fleet, parts, options.clients, 1);
    let lanes = workload.lanes().to_vec();
    workload.wait_until(LIMIT, |now| now.has_acknowledged(&lanes, &Default::default(), options.changes)).await;

    let (began, before) = (Instant::now(), workload.progress());
    first.set_read_only(true).await;
    workload.wait_until(LIMIT, |now| now.has_been_unavailable(&lanes, &before, 2)).await;
    second.wait_for(&first.position().await).await;
    let read_only = began.elapsed();
    match options.first_server {
        FirstServer::Killed => first.kill().await,
        FirstServer::Stays => {}
        FirstServer::Vanishes => first.vanish(),
    }
    if options.first_server != FirstServer::Stays {
        // Some requests have to give up meanwhile.
        let before = workload.progress();
        workload.wait_until(LIMIT, |now| now.refusals() >= before.refusals() + 3).await;
    }
    second.promote().await;
    moving.move_to_second().await;
    let without_server = began.elapsed() - read_only;
    workload.begin_recovery();
    let before = workload.progress();
    workload.wait_until(LIMIT, |now| now.has_acknowledged(&lanes, &before, options.changes)).await;
    workload.stop().await;
    workload.repeat(100).await;

    let faults = workload.compare(&second.root).await;
    let recovery = workload.recovery();
    let Options { address, first_server, .. } = options;
    let version = version(&mut second.connection).await;
    let mut summary = format!("{version}; address: {address:?}; first server: {first_server:?}\n");
    summary.push_str(&workload.summary());
    let [read_only, without_server] = [read_only, without_server].map(|time| time.as_secs_f64());
    let _ = writeln!(summary, "{read_only:.2} s read-only, then {without_server:.2} s without a server");
    for (name, time) in &recovery {
        let _ = writeln!(summary, "{:.2} s until {name} acknowledged a change", time.as_secs_f64());
    }
    let _ = writeln!(summary, "{} faults", faults.len());
    first.server.stop().await;
    second.server.stop().await;
    Rehearsal { summary, faults, recovery }
}
