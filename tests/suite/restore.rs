//! The restore drill: a backup that was made while people worked, and the binary log after it, in a new server.

use std::{
    collections::HashSet,
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use app_core::{
    clock::Clock,
    db::{self, DatabaseConfig},
};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use migrate::{
    Databases, Run,
    doctor::{Account, Status, examine},
    migrate_all,
};
use reqwest::{Client, Method};
use rotracker_cli::{
    check::check,
    database_server::DatabaseServer,
    local_client::local_client,
    output::{print, progress},
    programs::{self, Package},
    seed::{self, OrderCounts, StockCounts},
};
use rotracker_tests::{
    app::new_order,
    database::{config_of, execute, own_server},
    emulator::workspace,
    service::Service,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::Row;
use tempfile::TempDir;
use tokio::{process::Command, sync::watch, time::timeout};
use uuid::Uuid;

const MAIN: &str = "ro_main";
const INVENTORY: &str = "ro_inventory";
const WRITERS: usize = 4;

/// A server with an account of an administrator.
struct Server {
    administrator: DatabaseConfig,
    /// The server ends with this value. `None` if `DRILL_PORTS` names it.
    _process: Option<(DatabaseServer, TempDir)>,
}

impl Server {
    /// Starts two servers with a binary log. `DRILL_PORTS` names the ports of two others on this machine, whose `root` has no password.
    /// The databases in them are lost.
    async fn start_two() -> [Self; 2] {
        if let Ok(ports) = env::var("DRILL_PORTS") {
            let (first, second) = ports.split_once(',').expect("DRILL_PORTS are two ports, separated by a comma");
            return [Self::on(first).await, Self::on(second).await];
        }
        [Self::start("1").await, Self::start("2").await]
    }

    async fn start(id: &str) -> Self {
        let log = ["--log-bin=binlog", "--binlog-format=ROW", "--log-bin-trust-function-creators=1"];
        let (process, folder) = own_server(None, &[log.as_slice(), &[&format!("--server-id={id}")]].concat()).await;
        Self { administrator: config_of(&process, 4), _process: Some((process, folder)) }
    }

    async fn on(port: &str) -> Self {
        let port = port.trim().parse().expect("a port is a number");
        let administrator = DatabaseConfig {
            host: "127.0.0.1".to_owned(),
            port,
            user: "root".to_owned(),
            password: "".into(),
            tls: db::TlsMode::Preferred,
            certificate_authority: None,
            max_connections: 4,
        };
        let server = Self { administrator, _process: None };
        server.execute(&format!("DROP DATABASE IF EXISTS {MAIN}; DROP DATABASE IF EXISTS {INVENTORY}")).await;
        server.execute("DROP USER IF EXISTS 'migrator'@'%', 'service'@'%', 'backup'@'%'").await;
        server.execute("SET GLOBAL log_bin_trust_function_creators = 1").await;
        server
    }

    async fn execute(&self, sql: &str) {
        execute(&mut db::connect(&self.administrator, None).await.expect("the server can be reached"), sql).await;
    }

    async fn create_accounts(&self) {
        for file in [include_str!("../../migrations/accounts.sql"), include_str!("../../migrations/backup_account.sql")]
        {
            let sql = file
                .replace("<main>", MAIN)
                .replace("<inventory>", INVENTORY)
                .replace("<migrator>", "migrator")
                .replace("<service>", "service")
                .replace("<backup>", "backup")
                .replace("<migrator password>", "of the account")
                .replace("<service password>", "of the account")
                .replace("<backup password>", "of the account");
            self.execute(&sql).await;
        }
    }

    /// Returns the databases for the account `user`.
    fn databases(&self, user: &str) -> Databases {
        let server =
            DatabaseConfig { user: user.to_owned(), password: "of the account".into(), ..self.administrator.clone() };
        Databases { server, main: MAIN.to_owned(), inventory: INVENTORY.to_owned() }
    }

    /// Writes a file with the options of the clients for `server`, and returns its path.
    fn options_file(server: &DatabaseConfig, path: PathBuf) -> PathBuf {
        let DatabaseConfig { host, port, user, password, .. } = server;
        let password = password.expose_secret();
        fs::write(&path, format!("[client]\nhost={host}\nport={port}\nuser={user}\npassword=\"{password}\"\n"))
            .unwrap();
        path
    }

    /// Returns the name of the client that belongs to the server, for the variable `CLIENT` of the scripts.
    async fn client(&self) -> &'static str {
        let mut connection = db::connect(&self.administrator, None).await.unwrap();
        let version: String =
            sqlx::query_scalar("SELECT CAST(VERSION() AS CHAR)").fetch_one(&mut connection).await.unwrap();
        if version.contains("MariaDB") { "mariadb" } else { "mysql" }
    }

    /// Returns the name and the length of the last binary log.
    async fn end_of_log(&self) -> (String, u64) {
        let mut connection = db::connect(&self.administrator, None).await.unwrap();
        let logs = sqlx::query("SHOW BINARY LOGS").fetch_all(&mut connection).await.unwrap();
        let last = logs.last().expect("the server keeps a binary log");
        (last.get("Log_name"), last.get::<u64, _>("File_size"))
    }

    /// Returns the marks of all changes in the databases.
    async fn marks(&self) -> HashSet<String> {
        let query = "
            SELECT request_id AS mark FROM ro_main.ro_history WHERE request_id IS NOT NULL
            UNION SELECT conversation_id FROM ro_main.ai_conversation_logs
            UNION SELECT RequestId FROM ro_inventory.transactions WHERE RequestId IS NOT NULL";
        let mut connection = db::connect(&self.administrator, None).await.unwrap();
        let marks: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap();
        marks.into_iter().collect()
    }
}

/// Installs the clients, if they are missing.
async fn install_clients(client: &str) {
    const PACKAGE: Package = Package {
        apt: &[&["mariadb-client"]],
        dnf: "mariadb",
        apk: "mariadb-client",
        pacman: "mariadb-clients",
        brew: "mariadb",
    };
    let _turn = programs::turn_to_install().await.unwrap();
    if client == "mariadb" && programs::find_all("mariadb-binlog", &[]).is_empty() {
        programs::install(&PACKAGE, progress).await.unwrap_or_else(|error| panic!("{error:#}"));
    }
}

/// Starts `rotracker serve` on `databases`.
async fn serve(databases: &Databases) -> Service {
    let authentication = ("AUTH_MODE", "none".to_owned());
    Service::start(&[], &[variables(databases).as_slice(), &[authentication]].concat()).await
}

fn variables(Databases { server, main, inventory }: &Databases) -> [(&'static str, String); 6] {
    [
        ("DB_HOST", server.host.clone()),
        ("DB_PORT", server.port.to_string()),
        ("DB_USER", server.user.clone()),
        ("DB_PASSWORD", server.password.expose_secret().to_owned()),
        ("DB_NAME_DEV", main.clone()),
        ("DB_NAME_INVENTORY", inventory.clone()),
    ]
}

/// A change that was acknowledged.
#[derive(Clone)]
struct Change {
    /// The id of its request, or the conversation of a log entry.
    mark: String,
    started: DateTime<Utc>,
    acknowledged: DateTime<Utc>,
}

/// A client that makes changes of all kinds.
struct Writer {
    number: usize,
    client: Client,
    url: String,
    clock: Clock,
    parts: Vec<(i64, String)>,
    changes: watch::Sender<Vec<Change>>,
}

impl Writer {
    async fn write(&self) {
        for round in 0_usize.. {
            if self.changes.is_closed() {
                return;
            }
            let (index_id, part) = &self.parts[(self.number + round * WRITERS) % self.parts.len()];
            let stock = json!({ "indexId": index_id.to_string(), "partNumber": part, "notes": "drill" });
            let number = format!("DRILL-{}-{round}", self.number);
            let order = format!("/api/ros/by-number/{number}");
            self.send(Method::POST, "/api/ros", &new_order(json!({ "roNumber": number }))).await;
            self.send(Method::POST, "/api/inventory/decrement", &stock).await;
            self.send(Method::PATCH, &format!("{order}/status"), &json!({ "status": "SHIPPING" })).await;
            self.send(Method::PATCH, &order, &json!({ "estimatedCost": "12.50", "notes": "Ring up: \\ ' \" é 🛩" }))
                .await;
            self.send(Method::POST, &format!("{order}/archive"), &json!({ "archiveStatus": "PAID" })).await;
            self.send(Method::POST, "/api/inventory/increment", &stock).await;
            if round % 3 == 0 {
                self.send(Method::DELETE, &order, &Value::Null).await;
            }
            let log = json!({ "conversationId": format!("{number}-c"), "user": "drill", "userMessage": "?", "aiResponse": "!", "success": true });
            self.send(Method::POST, "/api/ai-logs", &log).await;
        }
    }

    async fn send(&self, method: Method, path: &str, body: &Value) {
        let started = self.clock.now();
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        request = request.header("idempotency-key", Uuid::new_v4().to_string());
        if !body.is_null() {
            request = request.json(body);
        }
        let response = request.send().await.expect("the service answers");
        let mark = match body.get("conversationId").and_then(Value::as_str) {
            Some(conversation) => conversation.to_owned(),
            None => response.headers()["x-request-id"].to_str().unwrap().to_owned(),
        };
        let status = response.status();
        let text = response.text().await.expect("the answer is complete");
        assert!(status.is_success(), "{path}: {status} {text}");
        let change = Change { mark, started, acknowledged: self.clock.now() };
        self.changes.send_modify(|changes| changes.push(change));
    }
}

/// Runs `command` in the folder of the repository, and returns the time that it took.
async fn run(mut command: Command) -> Duration {
    let started = Instant::now();
    let output =
        command.current_dir(workspace()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().await.unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    started.elapsed()
}

fn script(name: &str, client: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg(format!("infra/{name}")).env("CLIENT", client);
    command
}

/// Asserts that `rotracker check` finds nothing but the parts that the index of the sample data lacks.
async fn assert_all_agrees(databases: &Databases) -> Duration {
    let started = Instant::now();
    let comparisons = check(databases, 5).await.unwrap_or_else(|error| panic!("{error:#}"));
    let differences: Vec<_> = comparisons.iter().filter(|found| found.has_failed()).collect();
    assert!(differences.is_empty(), "{differences:#?}");
    started.elapsed()
}

/// Seeds an installation, backs it up while people work, and restores it to a point in time in another server. Returns how long each
/// step took.
async fn drill(orders: OrderCounts, stock: StockCounts) -> Vec<(&'static str, Duration)> {
    let mut times = Vec::new();
    let [source, fresh] = Server::start_two().await;
    let client = source.client().await;
    install_clients(client).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);

    source.create_accounts().await;
    migrate_all(&source.databases("migrator"), false, &Run::new(|_| ())).await.unwrap();
    let clock = Clock::system(chrono_tz::Tz::UTC);
    let service_databases = source.databases("service");
    let connect = async |name| db::connect(&service_databases.server, Some(name)).await.unwrap();
    seed::seed_repair_orders(&mut connect(MAIN).await, clock.today(), orders, |_| ()).await.unwrap();
    seed::seed_inventory(&mut connect(INVENTORY).await, clock.today(), stock, |_| ()).await.unwrap();
    let parts =
        "SELECT IndexId, PartNumber FROM inventoryindex WHERE Qty BETWEEN 5 AND 1000 ORDER BY IndexId LIMIT 200";
    let parts: Vec<(i64, String)> = sqlx::query_as(parts).fetch_all(&mut connect(INVENTORY).await).await.unwrap();

    // Another machine copies the binary log as it grows.
    let logs = file("logs");
    fs::create_dir(&logs).unwrap();
    let backup_options = Server::options_file(&source.databases("backup").server, file("backup.cnf"));
    let (first_log, _) = source.end_of_log().await;
    let mut copy = Command::new(if client == "mariadb" { "mariadb-binlog" } else { "mysqlbinlog" });
    copy.arg(format!("--defaults-file={}", backup_options.display()));
    copy.args(["--read-from-remote-server", "--raw", "--stop-never"]).arg(format!("--result-file={}/", logs.display()));
    // It complains when the server is lost.
    let _copy = copy.arg(&first_log).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();

    let service = serve(&service_databases).await;
    let (changes, mut made) = watch::channel(Vec::<Change>::new());
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let writer = Writer {
                number,
                client: local_client().build().unwrap(),
                url: service.url.clone(),
                clock: clock.clone(),
                parts: parts.clone(),
                changes: changes.clone(),
            };
            tokio::spawn(async move { writer.write().await })
        })
        .collect();
    drop(changes);
    made.wait_for(|changes| changes.len() > 40).await.unwrap();
    let mut backup = script("backup.sh", client);
    backup.arg(&backup_options).args([MAIN, INVENTORY]).stdout(fs::File::create(file("backup.sql")).unwrap());
    times.push(("backup while people work", run(backup).await));
    let at_backup = made.borrow().len();
    source.execute("FLUSH BINARY LOGS").await;
    made.wait_for(|changes| changes.len() > at_backup + 40).await.unwrap();
    let point = clock.now().trunc_subsecs(0) + TimeDelta::seconds(2);
    let changes = made.wait_for(|changes| changes.iter().filter(|change| change.started >= point).count() > 40);
    let changes = changes.await.unwrap().clone();
    // The writers end when nobody waits for their changes.
    drop(made);
    for writer in writers {
        writer.await.unwrap();
    }
    drop(service);
    wait_for_copy(&source, &logs).await;
    // It is lost.
    drop(source);

    let options = Server::options_file(&fresh.administrator, file("fresh.cnf"));
    fresh.create_accounts().await;
    let mut load = Command::new(client);
    load.arg(format!("--defaults-file={}", options.display())).stdin(fs::File::open(file("backup.sql")).unwrap());
    times.push(("loading the backup", run(load).await));
    let restored = fresh.databases("service");
    times.push(("check", assert_all_agrees(&restored).await));
    let in_backup = fresh.marks().await;
    assert!(changes.iter().take(40).all(|change| in_backup.contains(&change.mark)));
    assert!(changes.iter().skip(at_backup + 40).all(|change| !in_backup.contains(&change.mark)));

    let backup = file("backup.sql");
    for (instant, databases, reason) in [
        (point, [MAIN, "genthrust_inventry"], "has no database genthrust_inventry"),
        (point - TimeDelta::days(1), [MAIN, INVENTORY], "must be later"),
        (point + TimeDelta::days(1), [MAIN, INVENTORY], "the copies of the binary log end at"),
    ] {
        let mut refused = script("roll_forward.sh", client);
        refused.arg(&backup).args([&options, &logs]).arg(instant.format("%F %T").to_string()).args(databases);
        let output = refused.current_dir(workspace()).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(reason), "{said}");
        assert_eq!(fresh.marks().await, in_backup);
    }
    let mut forward = script("roll_forward.sh", client);
    forward.arg(&backup).args([&options, &logs]).arg(point.format("%F %T").to_string()).args([MAIN, INVENTORY]);
    times.push(("applying the binary log", run(forward).await));
    times.push(("check", assert_all_agrees(&restored).await));
    let there = fresh.marks().await;
    let (mut before, mut after) = (0, 0);
    for Change { mark, started, acknowledged } in &changes {
        if *acknowledged < point {
            assert!(there.contains(mark), "{mark} was acknowledged at {acknowledged}, before {point}");
            before += 1;
        } else if *started >= point {
            assert!(!there.contains(mark), "{mark} began at {started}, after {point}");
            after += 1;
        }
    }
    assert!(before > at_backup + 40 && after > 40, "{before} before, {after} after");
    for (account, user) in [(Account::Service, "service"), (Account::Migrator, "migrator")] {
        let findings = examine(&fresh.databases(user), account, None, &clock).await;
        let errors: Vec<_> = findings.iter().filter(|finding| finding.status == Status::Error).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }

    let started = Instant::now();
    let service = serve(&restored).await;
    let (changes, made) = watch::channel(Vec::new());
    let client = local_client().build().unwrap();
    let writer = Writer { number: WRITERS, client, url: service.url.clone(), clock, parts, changes };
    let (index_id, part) = &writer.parts[0];
    writer.send(Method::POST, "/api/ros", &new_order(json!({ "roNumber": "AFTER THE RESTORE" }))).await;
    let stock = json!({ "indexId": index_id.to_string(), "partNumber": part });
    writer.send(Method::POST, "/api/inventory/decrement", &stock).await;
    times.push(("first changes", started.elapsed()));
    assert_eq!(made.borrow().len(), 2);
    assert_all_agrees(&restored).await;
    times
}

/// Waits until the copy of the binary log is as long as the log.
async fn wait_for_copy(source: &Server, logs: &Path) {
    let (last, length) = source.end_of_log().await;
    let copied = async {
        while fs::metadata(logs.join(&last)).map_or(0, |metadata| metadata.len()) < length {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), copied).await.expect("the binary log is copied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_was_acknowledged_before_the_point_in_time_is_restored() {
    let mut stock = StockCounts::default();
    stock.tables.iter_mut().for_each(|table| table.rows = table.unindexed + 20);
    drill(OrderCounts { active: 40, paid: 20, net: 10, returned: 5 }, stock).await;
}

/// Prints how long each step takes with 50,000 orders and 100,000 parts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes, for the figures in infra/README.md"]
async fn a_large_installation_is_restored() {
    let mut stock = StockCounts::default();
    stock.tables.iter_mut().for_each(|table| table.rows = table.rows * 200 / 13);
    let orders = OrderCounts { active: 6_900, paid: 27_800, net: 11_100, returned: 4_200 };
    for (step, time) in drill(orders, stock).await {
        print(&format!("{step}: {:.1} s", time.as_secs_f64()));
    }
}
