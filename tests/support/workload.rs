//! Clients that read and change orders, stock and logs through several processes. They count the responses, which
//! [`Workload::compare`] compares with the databases at the end.
//!
//! Each change carries a mark of its own, which the database keeps: in the history of an order, in the notes of a stock transaction,
//! or as the name of a conversation. A change that was acknowledged must be there once, one that was refused never, and one whose
//! outcome is unknown at most once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt::{self, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use app_core::db::{self, DatabaseConfig, Pool};
use http::Method;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use reqwest::Client as HttpClient;
use rotracker_cli::{check::check, local_client::local_client, migrate::Databases};
use serde_json::{Map, Value, json};
use sqlx::{FromRow, MySqlConnection};
use tempfile::TempDir;
use tokio::{
    sync::{Mutex as TurnMutex, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    app::{new_order, path_by_number},
    database::execute,
    emulator::{Instance, assistant_variables, binary, free_port, template_variables},
    gateway::{Call, Gateway},
    runtime_api::{Framed, Outcome as Invocation, RuntimeApi},
    service::start_serve,
    stock::{Part, ledger_fault, put},
};

/// Begins the message of a 503 that does not know whether the change was saved.
const UNKNOWN: &str = "Check whether it was saved";

/// Ends a response of Lambda that fails half-way, such as a list whose connection to the database is lost.
const BROKEN_OFF: &str = "Lambda-Runtime-Function-Error-Type: Runtime.StreamError";

/// How long a client waits before it sends a request again.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the clients may take to finish their last requests.
const PATIENCE: Duration = Duration::from_secs(90);

/// How many acknowledged requests are kept, to be sent again.
const KEPT: usize = 1_000;

/// The pieces of each part before the first change.
const OPENING: i64 = 1_000_000;

/// The names of the databases.
const MAIN: &str = "workload";
const INVENTORY: &str = "workload_inventory";

/// The account of the processes, which has no password. It cannot change a server that is read-only.
pub const ACCOUNT: &str = "service";

/// The address at which the processes reach the database server.
#[derive(Clone, Debug)]
pub struct DatabaseAddress {
    pub host: String,
    pub port: u16,
    /// A file that the processes see in place of `/etc/hosts`.
    pub hosts: Option<PathBuf>,
}

impl DatabaseAddress {
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DB_HOST", self.host.clone()),
            ("DB_PORT", self.port.to_string()),
            ("DB_USER", ACCOUNT.to_owned()),
            ("DB_PASSWORD", String::new()),
            ("DB_NAME_DEV", MAIN.to_owned()),
            ("DB_NAME_INVENTORY", INVENTORY.to_owned()),
            ("APP_ENV", "development".to_owned()),
            ("RUST_LOG", "warn".to_owned()),
        ]
    }

    fn command(&self, program: &Path) -> Command {
        let Some(hosts) = &self.hosts else { return Command::new(program) };
        // In a mount namespace of its own.
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""]).arg(hosts).arg(program);
        command
    }
}

/// A part of the API, which one function serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    Orders,
    Stock,
    Logs,
}

impl Area {
    const ALL: [Self; 3] = [Self::Orders, Self::Stock, Self::Logs];

    fn function(self) -> &'static str {
        match self {
            Self::Orders => "ros",
            Self::Stock => "inventory",
            Self::Logs => "ai-logs",
        }
    }
}

/// A process and a part of the API that it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    process: usize,
    pub area: Area,
}

/// The processes that serve the API.
pub struct Fleet {
    processes: Vec<Process>,
}

/// A process, which is started again when it has ended.
struct Process {
    kind: ProcessKind,
    program: PathBuf,
    database: DatabaseAddress,
    running: Mutex<Arc<Instance>>,
}

enum ProcessKind {
    /// An instance of a Lambda function, which has one request at a time and is frozen between two.
    Function { area: Area, lambda: TurnMutex<RuntimeApi> },
    /// `rotracker serve`.
    Service { port: u16, client: HttpClient, folder: TempDir, starting: TurnMutex<()> },
}

/// A request of a client.
#[derive(Clone, Debug)]
struct Request {
    method: Method,
    path: String,
    body: Option<Value>,
    /// The `Idempotency-Key`.
    key: Option<String>,
}

/// The response to a request. There is none if the process ended meanwhile, or if the response broke off.
#[derive(Clone, Debug)]
struct Response {
    status: u16,
    retry_after: Option<String>,
    is_replayed: bool,
    body: Vec<u8>,
}

impl Request {
    fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None, key: None }
    }

    fn new(method: Method, path: impl Into<String>, body: Option<Value>) -> Self {
        Self { method, path: path.into(), body, key: None }
    }
}

impl Response {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(300).collect()
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Returns why no request of the clients should get this response, if that is so: its status, its body, or no `Retry-After`.
    fn fault(&self) -> Option<&'static str> {
        let body = self.json();
        let is_error_body = body["error"].is_string() && body["message"].is_string();
        match self.status {
            200 | 201 => body.is_null().then_some("the body is no JSON"),
            404 | 409 | 412 | 503 if !is_error_body => Some("the body is not that of an error"),
            503 if self.retry_after.is_none() => Some("there is no Retry-After"),
            404 | 409 | 412 | 503 => None,
            _ => Some("no such status is expected"),
        }
    }
}

impl Fleet {
    /// Starts `rotracker serve`, two instances of `ros`, and one each of `inventory` and `ai-logs`.
    pub async fn start(database: &DatabaseAddress) -> Self {
        let mut processes = vec![Process::service(database).await];
        for area in [Area::Orders, Area::Orders, Area::Stock, Area::Logs] {
            processes.push(Process::function(area, database).await);
        }
        Self { processes }
    }

    /// The parts of the API of each process.
    pub fn lanes(&self) -> Vec<Lane> {
        let mut lanes = Vec::new();
        for (process, served) in self.processes.iter().enumerate() {
            match &served.kind {
                ProcessKind::Function { area, .. } => lanes.push(Lane { process, area: *area }),
                ProcessKind::Service { .. } => lanes.extend(Area::ALL.map(|area| Lane { process, area })),
            }
        }
        lanes
    }

    /// Returns the name of a part of the API of a process.
    pub fn name(&self, lane: Lane) -> String {
        match &self.processes[lane.process].kind {
            ProcessKind::Function { .. } => format!("{} {}", lane.area.function(), lane.process),
            ProcessKind::Service { .. } => format!("serve, {}", lane.area.function()),
        }
    }

    /// Returns the running process with this number, and its name.
    pub fn process(&self, number: usize) -> (String, Arc<Instance>) {
        let process = &self.processes[number];
        let name = match &process.kind {
            ProcessKind::Function { area, .. } => format!("{} {number}", area.function()),
            ProcessKind::Service { .. } => "serve".to_owned(),
        };
        (name, process.running())
    }

    /// Returns no response if the process ends meanwhile, or if the response breaks off.
    async fn send(&self, lane: Lane, request: &Request) -> Option<Response> {
        let process = &self.processes[lane.process];
        match &process.kind {
            ProcessKind::Function { lambda, .. } => {
                let mut lambda = lambda.lock().await;
                if process.running().has_ended() {
                    let instance;
                    (*lambda, instance) = start_function(&process.database, &process.program).await;
                    process.set_running(instance);
                }
                let instance = process.running();
                instance.thaw();
                let response = invoke(&lambda, &instance, request).await;
                instance.freeze();
                response
            }
            ProcessKind::Service { port, client, folder, starting } => {
                let is_starting = starting.lock().await;
                if process.running().has_ended() {
                    let instance = start_service(&process.database, &process.program, *port, folder.path()).await;
                    process.set_running(instance);
                }
                drop(is_starting);
                get_response(client, *port, request).await.ok()
            }
        }
    }
}

impl Process {
    async fn function(area: Area, database: &DatabaseAddress) -> Self {
        let program = binary(area.function()).await;
        let (lambda, instance) = start_function(database, &program).await;
        let kind = ProcessKind::Function { area, lambda: TurnMutex::new(lambda) };
        Self { kind, program, database: database.clone(), running: Mutex::new(Arc::new(instance)) }
    }

    async fn service(database: &DatabaseAddress) -> Self {
        let (port, program) = (free_port(), binary("rotracker").await);
        let client = local_client().timeout(Duration::from_secs(60)).build().expect("a client");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let instance = start_service(database, &program, port, folder.path()).await;
        let kind = ProcessKind::Service { port, client, folder, starting: TurnMutex::default() };
        Self { kind, program, database: database.clone(), running: Mutex::new(Arc::new(instance)) }
    }

    fn running(&self) -> Arc<Instance> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_running(&self, instance: Instance) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(instance);
    }
}

async fn start_service(database: &DatabaseAddress, program: &Path, port: u16, folder: &Path) -> Instance {
    let ours = [("AUTH_MODE", "none".to_owned())];
    // Nobody chats, so nothing listens there.
    let assistant = assistant_variables("http://127.0.0.1:9", "");
    let variables = [database.variables().as_slice(), &assistant, &ours].concat();
    start_serve(database.command(program), &[], port, folder, &variables).await
}

/// Starts an instance of a function, and freezes it when it is ready.
async fn start_function(database: &DatabaseAddress, program: &Path) -> (RuntimeApi, Instance) {
    let lambda = RuntimeApi::start().await;
    let variables = [database.variables(), template_variables()].concat();
    let instance = Instance::start_command(&lambda.address, database.command(program), &variables);
    let ready = invoke(&lambda, &instance, &Request::get("/api/nothing")).await;
    assert!(ready.is_some(), "the function ended at its start: {:?}", instance.log());
    instance.freeze();
    (lambda, instance)
}

async fn invoke(lambda: &RuntimeApi, instance: &Instance, request: &Request) -> Option<Response> {
    let mut call = Call::new(request.method.clone(), &request.path).header("content-type", "application/json");
    if let Some(body) = &request.body {
        call = call.text(&body.to_string());
    }
    if let Some(key) = &request.key {
        call = call.header("idempotency-key", key);
    }
    let invocation = async {
        match lambda.invoke(&Gateway::RestApi.event(&call)).await {
            Invocation::Response(posted) => {
                let is_whole = |response: &Framed| response.has_ended && !contains(&response.body, BROKEN_OFF);
                posted.try_read().await.filter(is_whole).map(Response::from)
            }
            // The gateway says so.
            Invocation::Error(error) => {
                let body = error.to_string().into_bytes();
                Some(Response { status: 502, retry_after: None, is_replayed: false, body })
            }
        }
    };
    tokio::select! {
        response = invocation => response,
        _ = instance.end() => None,
    }
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|bytes| bytes == text.as_bytes())
}

async fn get_response(client: &HttpClient, port: u16, request: &Request) -> reqwest::Result<Response> {
    let mut sent = client.request(request.method.clone(), format!("http://127.0.0.1:{port}{}", request.path));
    if let Some(body) = &request.body {
        sent = sent.json(body);
    }
    if let Some(key) = &request.key {
        sent = sent.header("idempotency-key", key);
    }
    let response = sent.send().await?;
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let (status, retry_after) = (response.status().as_u16(), header("retry-after"));
    let is_replayed = header("idempotency-replayed").is_some();
    Ok(Response { status, retry_after, is_replayed, body: response.bytes().await?.to_vec() })
}

impl From<Framed> for Response {
    fn from(response: Framed) -> Self {
        let status = u16::try_from(response.status()).expect("a status");
        let retry_after = response.header("retry-after").map(str::to_owned);
        let is_replayed = response.header("idempotency-replayed").is_some();
        Self { status, retry_after, is_replayed, body: response.body }
    }
}

/// The kinds of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Create,
    Update,
    Status,
    /// An update that moves the order, too.
    Move,
    Archive,
    Delete,
    Decrement,
    Increment,
    Adjust,
    Log,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Create,
        Self::Update,
        Self::Status,
        Self::Move,
        Self::Archive,
        Self::Delete,
        Self::Decrement,
        Self::Increment,
        Self::Adjust,
        Self::Log,
    ];

    fn area(self) -> Area {
        match self {
            Self::Decrement | Self::Increment | Self::Adjust => Area::Stock,
            Self::Log => Area::Logs,
            _ => Area::Orders,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Create => "create an order",
            Self::Update => "update an order",
            Self::Status => "set a status",
            Self::Move => "update and move",
            Self::Archive => "archive an order",
            Self::Delete => "delete an order",
            Self::Decrement => "take stock",
            Self::Increment => "add stock",
            Self::Adjust => "adjust stock",
            Self::Log => "log an exchange",
        })
    }
}

/// The outcome of a change, as its client knows it.
#[derive(Clone, Debug)]
enum Outcome {
    Acknowledged(Value),
    Refused,
    Unknown,
}

/// How often the database must have a change of one kind and mark, and how often more it may have it, by the responses.
#[derive(Clone, Copy, Debug, Default)]
struct Allowed {
    acknowledged: usize,
    unknown: usize,
}

/// The numbers of changes of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    acknowledged: usize,
    refused: usize,
    unknown: usize,
    /// Changes whose outcome was unknown until the same key told it.
    resolved: usize,
}

/// The responses so far, for those who wait for some.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The requests with a response.
    pub requests: usize,
    /// The acknowledged changes.
    pub acknowledged: BTreeMap<Lane, usize>,
    /// The responses with status 503.
    pub unavailable: BTreeMap<Lane, usize>,
}

impl Progress {
    /// Returns whether each lane has at least `count` acknowledged changes more than it had in `before`.
    pub fn has_acknowledged(&self, lanes: &[Lane], before: &Self, count: usize) -> bool {
        has_more(&self.acknowledged, lanes, &before.acknowledged, count)
    }

    /// Returns the number of responses with status 503.
    pub fn refusals(&self) -> usize {
        self.unavailable.values().sum()
    }

    /// Returns whether each lane has at least `count` responses with status 503 more than it had in `before`.
    pub fn has_been_unavailable(&self, lanes: &[Lane], before: &Self, count: usize) -> bool {
        has_more(&self.unavailable, lanes, &before.unavailable, count)
    }
}

fn has_more(now: &BTreeMap<Lane, usize>, lanes: &[Lane], before: &BTreeMap<Lane, usize>, count: usize) -> bool {
    let of = |map: &BTreeMap<Lane, usize>, lane| map.get(lane).copied().unwrap_or_default();
    lanes.iter().all(|lane| of(now, lane) >= of(before, lane) + count)
}

#[derive(Debug, Default)]
struct Account {
    allowed: HashMap<(Kind, String), Allowed>,
    tallies: BTreeMap<Kind, Tally>,
    reads: usize,
    unavailable_reads: usize,
    /// Changes of objects that are not there, or not as their client knows them. That can only follow an unknown outcome.
    contradicted: usize,
    no_response: usize,
    /// The last requests with a key that were acknowledged, and their responses.
    keyed: VecDeque<(Kind, Request, Vec<u8>)>,
    /// Responses that no request should get.
    faults: Vec<String>,
    /// The start of the recovery, and how long each lane took to acknowledge a change after it.
    recovery: Option<(Instant, BTreeMap<Lane, Duration>)>,
}

impl Account {
    /// Returns the fault that changes were contradicted though each client knew the outcome of those before.
    fn contradiction(&self) -> Option<String> {
        let is_known = |tally: &Tally| tally.unknown == 0 && tally.resolved == 0;
        let is_fault = self.contradicted > 0 && self.tallies.values().all(is_known);
        is_fault.then(|| format!("{} changes were answered 404, 409 or 412", self.contradicted))
    }

    /// Keeps an acknowledged request and its response, instead of an earlier one if there are many.
    fn keep(&mut self, kind: Kind, request: &Request, response: Vec<u8>) {
        if self.keyed.len() == KEPT {
            self.keyed.pop_front();
        }
        self.keyed.push_back((kind, request.clone(), response));
    }

    fn count(&mut self, response: &Option<Response>, describe: impl Fn() -> String) {
        let Some(response) = response else {
            self.no_response += 1;
            return;
        };
        if let Some(fault) = response.fault() {
            self.faults.push(format!("{}: {fault}: {} {}", describe(), response.status, response.text()));
        }
    }
}

/// Running clients, and the account of their requests.
pub struct Workload {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

struct Shared {
    fleet: Arc<Fleet>,
    lanes: Vec<Lane>,
    parts: Vec<Part>,
    account: Mutex<Account>,
    progress: watch::Sender<Progress>,
    is_stopping: watch::Sender<bool>,
}

impl Shared {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates the databases and the account of the processes on a new server, and returns the parts whose stock the clients change.
pub async fn prepare(server: &DatabaseConfig) -> Vec<Part> {
    let mut root = db::connect(server, None).await.expect("the server accepts connections");
    execute(
        &mut root,
        &format!(
            "CREATE DATABASE {MAIN};
             CREATE DATABASE {INVENTORY};
             CREATE USER '{ACCOUNT}'@'%';
             GRANT SELECT, INSERT, UPDATE, DELETE ON {MAIN}.* TO '{ACCOUNT}'@'%';
             GRANT SELECT, INSERT, UPDATE, DELETE ON {INVENTORY}.* TO '{ACCOUNT}'@'%'"
        ),
    )
    .await;
    migrate::migrate_main(&Pool::new(server, MAIN)).await.expect("the migrations apply");
    migrate::migrate_inventory(&Pool::new(server, INVENTORY)).await.expect("the migrations apply");
    let mut inventory = db::connect(server, Some(INVENTORY)).await.expect("the server accepts connections");
    let mut parts = Vec::new();
    for (number, table) in ["stock_room", "bins_inventory", "terra", "stock_room"].into_iter().enumerate() {
        parts.push(put(&mut inventory, table, &format!("LOAD-{number}"), OPENING).await);
    }
    parts
}

impl Workload {
    /// Starts `clients` clients, which send requests to `fleet` until [`stop`](Self::stop).
    pub fn start(fleet: Arc<Fleet>, parts: Vec<Part>, clients: usize, seed: u64) -> Self {
        let lanes = fleet.lanes();
        let shared = Arc::new(Shared {
            fleet,
            lanes,
            parts,
            account: Mutex::default(),
            progress: watch::Sender::default(),
            is_stopping: watch::Sender::default(),
        });
        let mut running = JoinSet::new();
        for number in 0..clients {
            let client = Client {
                shared: shared.clone(),
                number,
                random: StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
                orders: Vec::new(),
                marks: 0,
            };
            running.spawn(client.run());
        }
        Self { shared, clients: running }
    }

    /// The parts of the API of each process.
    pub fn lanes(&self) -> &[Lane] {
        &self.shared.lanes
    }

    /// Returns the responses so far.
    pub fn progress(&self) -> Progress {
        self.shared.progress.borrow().clone()
    }

    /// Waits until `is_reached` holds of the responses. Stops the test if that takes longer than `limit`.
    pub async fn wait_until(&self, limit: Duration, is_reached: impl FnMut(&Progress) -> bool) {
        let mut progress = self.shared.progress.subscribe();
        let reached = timeout(limit, progress.wait_for(is_reached)).await;
        if reached.is_err() {
            panic!("the clients do not go on: {:?} {:?}", self.progress(), self.shared.account().faults);
        }
    }

    /// Begins to measure how long each process takes to acknowledge a change in each part of the API.
    pub fn begin_recovery(&self) {
        self.shared.account().recovery = Some((Instant::now(), BTreeMap::new()));
    }

    /// Returns how long each took since then.
    pub fn recovery(&self) -> Vec<(String, Duration)> {
        let account = self.shared.account();
        let times = account.recovery.iter().flat_map(|(_, times)| times);
        times.map(|(lane, time)| (self.shared.fleet.name(*lane), *time)).collect()
    }

    /// Lets the clients finish their requests.
    pub async fn stop(&mut self) {
        self.shared.is_stopping.send_replace(true);
        let ended = timeout(PATIENCE, async {
            while let Some(client) = self.clients.join_next().await {
                if let Err(error) = client {
                    self.shared.account().faults.push(format!("a client failed: {error}"));
                }
            }
        });
        if ended.await.is_err() {
            self.shared.account().faults.push("some requests were not answered".to_owned());
            self.clients.shutdown().await;
        }
    }

    /// Sends up to `count` acknowledged requests again with their keys, the last ones first. Each must get its saved response.
    pub async fn repeat(&self, count: usize) {
        let keyed: Vec<_> = self.shared.account().keyed.iter().rev().take(count).cloned().collect();
        for (kind, request, body) in keyed {
            let mut lanes = self.shared.lanes.iter();
            let lane = lanes.find(|lane| lane.area == kind.area()).expect("each part of the API has a process");
            let response = self.shared.fleet.send(*lane, &request).await;
            if !response.as_ref().is_some_and(|response| response.is_replayed && response.body == body) {
                self.shared.account().faults.push(format!("{request:?} again: {response:?}"));
            }
        }
    }

    /// Compares the responses with the databases on `server`, and the databases with themselves, and returns everything that does not
    /// agree. The clients must have stopped.
    pub async fn compare(&self, server: &DatabaseConfig) -> Vec<String> {
        let mut faults = self.shared.account().faults.clone();
        let connect = async |name| db::connect(server, Some(name)).await.expect("the server accepts connections");
        let (mut main, mut inventory) = (connect(MAIN).await, connect(INVENTORY).await);
        let history = history(&mut main).await;
        let mut found = marks_of(&history);
        for (kind, statement, connection) in [
            (None, "SELECT Action AS kind, Note AS mark FROM transactions", &mut inventory),
            (Some(Kind::Log), "SELECT 'LOG' AS kind, conversation_id AS mark FROM ai_conversation_logs", &mut main),
        ] {
            let rows: Vec<MarkRow> =
                sqlx::query_as(statement).fetch_all(connection).await.expect("the marks can be read");
            for row in rows {
                let kind = kind.unwrap_or(match row.kind.as_str() {
                    "DECREMENT" => Kind::Decrement,
                    "INCREMENT" => Kind::Increment,
                    _ => Kind::Adjust,
                });
                *found.entry((kind, row.mark.unwrap_or_default())).or_default() += 1;
            }
        }
        for (key, allowed) in &self.shared.account().allowed {
            let count = found.remove(key).unwrap_or_default();
            let (kind, mark) = key;
            if count < allowed.acknowledged {
                faults.push(format!("lost: {kind}, {mark}: {count} of {allowed:?}"));
            } else if count > allowed.acknowledged + allowed.unknown {
                faults.push(format!("doubled, or saved though refused: {kind}, {mark}: {count} of {allowed:?}"));
            }
        }
        faults.extend(found.keys().map(|key| format!("sent by nobody: {key:?}")));
        for part in &self.shared.parts {
            faults.extend(ledger_fault(&mut inventory, part, OPENING).await);
        }
        faults.extend(order_faults(&self.shared, &history).await);
        faults.extend(self.shared.account().contradiction());
        let databases = Databases { server: server.clone(), main: MAIN.to_owned(), inventory: INVENTORY.to_owned() };
        let comparisons = check(&databases, 10).await.unwrap_or_else(|error| panic!("{error:#}"));
        let differences = comparisons.iter().flat_map(|comparison| &comparison.first);
        faults.extend(differences.map(ToString::to_string));
        faults
    }

    /// Returns a table of the requests.
    pub fn summary(&self) -> String {
        let account = self.shared.account();
        let mut table = format!(
            "{:<18} {:>12} {:>9} {:>9} {:>17}\n",
            "change", "acknowledged", "refused", "unknown", "told by the key"
        );
        let mut sum = Tally::default();
        for kind in Kind::ALL {
            let Tally { acknowledged, refused, unknown, resolved } =
                account.tallies.get(&kind).copied().unwrap_or_default();
            sum.acknowledged += acknowledged;
            sum.refused += refused;
            sum.unknown += unknown;
            sum.resolved += resolved;
            let _ = writeln!(
                table,
                "{kind:<18} {acknowledged:>12} {refused:>9} {unknown:>9} {resolved:>17}",
                kind = kind.to_string()
            );
        }
        let Tally { acknowledged, refused, unknown, resolved } = sum;
        let _ = writeln!(table, "{:<18} {acknowledged:>12} {refused:>9} {unknown:>9} {resolved:>17}", "all changes");
        let _ = writeln!(table, "reads: {}, of which 503: {}", account.reads, account.unavailable_reads);
        let _ = writeln!(table, "responses with status 503: {}", self.shared.progress.borrow().refusals());
        let _ = writeln!(table, "changes answered 404, 409 or 412: {}", account.contradicted);
        let _ = writeln!(
            table,
            "requests without a whole response, because their process or connection ended: {}",
            account.no_response
        );
        table
    }
}

/// A row with the mark of a change.
#[derive(FromRow)]
struct MarkRow {
    kind: String,
    mark: Option<String>,
}

/// A row of the history of orders.
#[derive(FromRow)]
struct HistoryRow {
    order_id: i64,
    ro_number: String,
    action: String,
    changes: String,
}

/// A change of a field in the history.
struct FieldChange {
    field: String,
    old: Value,
    new: Value,
}

impl HistoryRow {
    fn changes(&self) -> Vec<FieldChange> {
        let changes: Vec<Value> = serde_json::from_str(&self.changes).expect("changes are JSON");
        let change = |change: Value| FieldChange {
            field: change["field"].as_str().unwrap_or_default().to_owned(),
            old: change["old"].clone(),
            new: change["new"].clone(),
        };
        changes.into_iter().map(change).collect()
    }
}

/// Reads the history of all orders, oldest first.
async fn history(main: &mut MySqlConnection) -> Vec<HistoryRow> {
    sqlx::query_as("SELECT order_id, ro_number, action, changes FROM ro_history ORDER BY order_id, revision")
        .fetch_all(main)
        .await
        .expect("the history can be read")
}

/// Returns the marks of the changes in the history, and how often each is there.
fn marks_of(history: &[HistoryRow]) -> HashMap<(Kind, String), usize> {
    let mut found = HashMap::new();
    let mut add = |kind, mark: &str| *found.entry((kind, mark.to_owned())).or_default() += 1;
    for row in history {
        let changes = row.changes();
        let new_of = |name: &str| changes.iter().find(|change| change.field == name).map(|change| &change.new);
        let is_marked = new_of("trackingNumber").is_some();
        match row.action.as_str() {
            "CREATED" => add(Kind::Create, &row.ro_number),
            "DELETED" => add(Kind::Delete, &row.ro_number),
            "MOVED" if !is_marked => add(Kind::Archive, &row.ro_number),
            _ => {
                if let Some(mark) = new_of("trackingNumber").and_then(Value::as_str) {
                    add(Kind::Move, mark);
                }
                if let Some(mark) = new_of("serialNumber").and_then(Value::as_str) {
                    add(Kind::Update, mark);
                }
                for change in changes.iter().filter(|change| change.field == "notes") {
                    let old: BTreeSet<&str> = change.old.as_str().unwrap_or_default().lines().collect();
                    let new = change.new.as_str().unwrap_or_default().lines();
                    new.filter(|line| !old.contains(line)).for_each(|mark| add(Kind::Status, mark));
                }
            }
        }
    }
    found
}

/// Compares the orders that the API lists with their history.
async fn order_faults(shared: &Shared, history: &[HistoryRow]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expected: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for row in history {
        let id = row.order_id.to_string();
        if row.action == "DELETED" {
            expected.remove(&id);
        } else {
            let order = expected.entry(id).or_default();
            order.extend(row.changes().into_iter().map(|change| (change.field, change.new)));
        }
    }
    let is_service = |lane: &&Lane| matches!(shared.fleet.processes[lane.process].kind, ProcessKind::Service { .. });
    let lane = *shared.lanes.iter().find(is_service).expect("there is a service");
    for archive in ARCHIVES {
        let list = Request::get(format!("/api/ros?archiveStatus={archive}"));
        let Some(response) = shared.fleet.send(lane, &list).await.filter(|response| response.status == 200) else {
            faults.push(format!("the orders of {archive} cannot be listed"));
            continue;
        };
        for order in response.json().as_array().into_iter().flatten() {
            let id = order["id"].as_str().unwrap_or_default();
            match expected.remove(id) {
                None => faults.push(format!("an order that its history does not have: {order}")),
                Some(fields) => {
                    let differs = |(field, value): (&String, &Value)| order.get(field).unwrap_or(&Value::Null) != value;
                    if fields.iter().any(differs) {
                        faults.push(format!("{order} is not as its history says: {fields:?}"));
                    }
                }
            }
        }
    }
    faults.extend(expected.into_iter().map(|(id, fields)| format!("order {id} is only in its history: {fields:?}")));
    faults
}

const ARCHIVES: [&str; 4] = ["ACTIVE", "PAID", "NET", "RETURNED"];

const STATUSES: [&str; 4] = ["WAITING QUOTE", "APPROVED", "BEING REPAIRED", "SHIPPING"];

/// A client, which has orders of its own and shares the parts with the others.
struct Client {
    shared: Arc<Shared>,
    number: usize,
    random: StdRng,
    orders: Vec<Order>,
    /// The number of marks so far.
    marks: usize,
}

#[derive(Clone, Debug)]
struct Order {
    id: String,
    number: String,
    archive: String,
}

impl Client {
    async fn run(mut self) {
        while !*self.shared.is_stopping.borrow() {
            match self.random.random_range(0..10) {
                0..2 => self.read().await,
                2..4 => self.change_stock().await,
                4 => self.log_exchange().await,
                5 => self.create_order().await,
                _ => match self.random.random_range(0..self.orders.len().max(1)) {
                    _ if self.orders.is_empty() => self.create_order().await,
                    index => self.change_order(index).await,
                },
            }
        }
    }

    fn mark(&mut self) -> String {
        self.marks += 1;
        format!("C{}-{}", self.number, self.marks)
    }

    fn lane(&mut self, area: Area) -> Lane {
        let lanes: Vec<_> = self.shared.lanes.iter().filter(|lane| lane.area == area).collect();
        **lanes.choose(&mut self.random).expect("each part of the API has a process")
    }

    /// Sends a request once, and counts the response.
    async fn send(&mut self, area: Area, request: &Request) -> (Lane, Option<Response>) {
        let lane = self.lane(area);
        let response = self.shared.fleet.send(lane, request).await;
        self.shared.account().count(&response, || format!("{}: {request:?}", self.shared.fleet.name(lane)));
        self.shared.progress.send_modify(|progress| {
            progress.requests += 1;
            if response.as_ref().is_some_and(|response| response.status == 503) {
                *progress.unavailable.entry(lane).or_default() += 1;
            }
        });
        if response.is_none() {
            sleep(PAUSE).await;
        }
        (lane, response)
    }

    /// Sends a change. Every second client sends a key with each, and repeats it until its outcome is known.
    async fn change(&mut self, kind: Kind, mark: &str, mut request: Request) -> Outcome {
        request.key = self.number.is_multiple_of(2).then(|| format!("{kind}, {mark}, {}", self.marks));
        let mut may_be_saved = false;
        let mut status;
        let outcome = loop {
            let (lane, response) = self.send(kind.area(), &request).await;
            status = response.as_ref().map(|response| response.status);
            let outcome = match response {
                None => Outcome::Unknown,
                Some(response) => match response.status {
                    200 | 201 => {
                        self.acknowledge(lane);
                        let acknowledged = Outcome::Acknowledged(response.json());
                        if request.key.is_some() {
                            self.shared.account().keep(kind, &request, response.body);
                        }
                        acknowledged
                    }
                    503 if response.message().contains(UNKNOWN) => Outcome::Unknown,
                    // The first request with the key is still running.
                    409 if response.retry_after.is_some() => Outcome::Unknown,
                    _ => Outcome::Refused,
                },
            };
            may_be_saved |= matches!(outcome, Outcome::Unknown);
            let is_known = match &outcome {
                Outcome::Acknowledged(_) => true,
                Outcome::Unknown => false,
                // The first attempt may have succeeded nevertheless.
                Outcome::Refused => status != Some(503) || (!may_be_saved && *self.shared.is_stopping.borrow()),
            };
            if is_known || request.key.is_none() {
                break outcome;
            }
            sleep(PAUSE).await;
        };
        let mut account = self.shared.account();
        account.contradicted += usize::from(status.is_some_and(|status| matches!(status, 404 | 409 | 412)));
        let tally = account.tallies.entry(kind).or_default();
        let is_unknown = matches!(outcome, Outcome::Unknown);
        tally.resolved += usize::from(may_be_saved && !is_unknown);
        tally.unknown += usize::from(is_unknown);
        tally.refused += usize::from(matches!(outcome, Outcome::Refused));
        tally.acknowledged += usize::from(matches!(outcome, Outcome::Acknowledged(_)));
        let allowed = account.allowed.entry((kind, mark.to_owned())).or_default();
        allowed.acknowledged += usize::from(matches!(outcome, Outcome::Acknowledged(_)));
        allowed.unknown += usize::from(is_unknown);
        outcome
    }

    fn acknowledge(&self, lane: Lane) {
        if let Some((began, times)) = &mut self.shared.account().recovery {
            times.entry(lane).or_insert_with(|| began.elapsed());
        }
        self.shared.progress.send_modify(|progress| *progress.acknowledged.entry(lane).or_default() += 1);
    }

    async fn read(&mut self) {
        let (area, path) = match self.random.random_range(0..8) {
            0 => (Area::Orders, "/api/ros?limit=20".to_owned()),
            1 => (Area::Orders, "/api/ros/stats/dashboard".to_owned()),
            2 => (Area::Orders, "/api/ros/follow-ups?limit=20".to_owned()),
            3 => (Area::Stock, "/api/inventory/search?partNumber=LOAD-1".to_owned()),
            4 => (Area::Stock, "/api/inventory/transactions?limit=20".to_owned()),
            5 => (Area::Logs, "/api/ai-logs?limit=20".to_owned()),
            _ => match self.orders.choose(&mut self.random) {
                Some(order) => (Area::Orders, format!("/api/ros/{}/history?limit=20", order.id)),
                None => (Area::Orders, "/api/ros?limit=1".to_owned()),
            },
        };
        let (_, response) = self.send(area, &Request::get(path)).await;
        let mut account = self.shared.account();
        account.reads += 1;
        account.unavailable_reads += usize::from(response.is_some_and(|response| response.status == 503));
    }

    async fn change_stock(&mut self) {
        let (mark, part) = (self.mark(), self.shared.parts.choose(&mut self.random).expect("there are parts").clone());
        let quantity = self.random.random_range(1..5);
        let (kind, path, fields) = match self.random.random_range(0..4) {
            0 => (Kind::Increment, "increment", json!({ "quantity": quantity, "notes": mark })),
            1 => (Kind::Adjust, "adjust", json!({ "newQty": OPENING + quantity, "notes": mark })),
            _ => (Kind::Decrement, "decrement", json!({ "quantity": quantity, "notes": mark })),
        };
        let request = Request::new(Method::POST, format!("/api/inventory/{path}"), Some(part.change(&fields)));
        self.change(kind, &mark, request).await;
    }

    async fn log_exchange(&mut self) {
        let mark = self.mark();
        let entry = json!({
            "conversationId": mark, "user": "load@example.com", "userMessage": "?", "aiResponse": "!", "success": true,
        });
        self.change(Kind::Log, &mark, Request::new(Method::POST, "/api/ai-logs", Some(entry))).await;
    }

    async fn create_order(&mut self) {
        let number = self.mark();
        let body = new_order(json!({ "roNumber": number }));
        let created = self.change(Kind::Create, &number, Request::new(Method::POST, "/api/ros", Some(body))).await;
        if let Outcome::Acknowledged(order) = created {
            let id = order["id"].as_str().unwrap_or_default().to_owned();
            self.orders.push(Order { id, number, archive: "ACTIVE".to_owned() });
        }
    }

    async fn change_order(&mut self, index: usize) {
        let Order { id, number, archive } = self.orders[index].clone();
        let (by_id, by_number) = (format!("/api/ros/{id}"), path_by_number(&number));
        let others: Vec<&str> = ARCHIVES.into_iter().filter(|other| *other != archive).collect();
        let target = *others.choose(&mut self.random).expect("there are others");
        let mut mark = self.mark();
        let (kind, request) = match self.random.random_range(0..12) {
            0..4 => (Kind::Update, Request::new(Method::PATCH, by_id, Some(json!({ "serialNumber": mark })))),
            4..7 => {
                let status = *STATUSES.choose(&mut self.random).expect("there are statuses");
                let body = json!({ "status": status, "notes": mark });
                (Kind::Status, Request::new(Method::PATCH, format!("{by_number}/status"), Some(body)))
            }
            7..9 => {
                let body = json!({ "archiveStatus": target, "trackingNumber": mark });
                (Kind::Move, Request::new(Method::PATCH, by_id, Some(body)))
            }
            9..11 => {
                mark.clone_from(&number);
                let body = json!({ "archiveStatus": target });
                (Kind::Archive, Request::new(Method::POST, format!("{by_number}/archive"), Some(body)))
            }
            _ => {
                mark.clone_from(&number);
                (Kind::Delete, Request::new(Method::DELETE, by_number, None))
            }
        };
        let outcome = self.change(kind, &mark, request).await;
        match (kind, &outcome) {
            (Kind::Delete, Outcome::Acknowledged(_)) => drop(self.orders.swap_remove(index)),
            (Kind::Move | Kind::Archive, Outcome::Acknowledged(_)) => {
                target.clone_into(&mut self.orders[index].archive)
            }
            (_, Outcome::Unknown) => self.look_up(index).await,
            _ => {}
        }
    }

    /// Reads an order, as a client must if it does not know whether its change was saved.
    async fn look_up(&mut self, index: usize) {
        let path = format!("/api/ros/{}", self.orders[index].id);
        loop {
            let (_, response) = self.send(Area::Orders, &Request::get(&path)).await;
            match response {
                Some(response) if response.status == 200 => {
                    let order = response.json();
                    self.orders[index].archive = order["archiveStatus"].as_str().unwrap_or_default().to_owned();
                    return;
                }
                Some(response) if response.status == 404 => {
                    self.orders.swap_remove(index);
                    return;
                }
                _ => sleep(PAUSE).await,
            }
        }
    }
}
