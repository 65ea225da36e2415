//! Provides a real MySQL or MariaDB server and a separate database for every test.

use std::{path::Path, sync::OnceLock, thread, time::Duration};

use app_core::db::{self, Comparison, DatabaseConfig, Pool, TlsMode};
use rotracker_cli::{
    database_server::{self, DatabaseServer},
    migrate::{self, Databases, Options},
    output::{progress, silent},
};
use sqlx::{Executor, FromRow, MySqlConnection, mysql::MySqlRow};
use tempfile::TempDir;
use tokio::{runtime::Runtime, time::timeout};
use uuid::Uuid;

/// Pool size of a test: enough for concurrent requests to collide.
const POOL_SIZE: u32 = 16;

/// The server under test: the one named by `DB_HOST` (and `DB_PORT`, `DB_USER`, `DB_PASSWORD`), or else one started for
/// this process.
pub fn server() -> &'static DatabaseConfig {
    static SERVER: OnceLock<DatabaseConfig> = OnceLock::new();
    SERVER.get_or_init(|| {
        if std::env::var_os("DB_HOST").is_some() {
            let mut env = app_core::config::Env::of_process();
            let config = DatabaseConfig { max_connections: POOL_SIZE, ..DatabaseConfig::read(&mut env) };
            return env.finish(config).expect("DB_HOST is set, so the other DB_* variables must be right");
        }
        // The server needs its own runtime: each test drops its runtime when it ends.
        thread::spawn(|| {
            let runtime = Runtime::new().expect("a runtime can be built");
            let server = runtime.block_on(start_server()).unwrap_or_else(|error| panic!("{error:#}"));
            let config = config_of(&server, POOL_SIZE);
            // The server must live until the process ends; its guard process then stops it.
            std::mem::forget((runtime, server));
            config
        })
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Returns the configuration of root's account on a server that was started here.
pub fn config_of(server: &DatabaseServer, max_connections: u32) -> DatabaseConfig {
    DatabaseConfig {
        host: server.host.to_owned(),
        port: server.port,
        user: server.user.to_owned(),
        password: server.password.into(),
        tls: TlsMode::Preferred,
        certificate_authority: None,
        max_connections,
    }
}

async fn start_server() -> anyhow::Result<DatabaseServer> {
    DatabaseServer::start(database_server::Options {
        data_dir: std::env::temp_dir().join(format!("rotracker-tests-{}", Uuid::new_v4().simple())),
        port: None,
        also_listen: None,
        throw_away: true,
        arguments: Vec::new(),
        progress,
    })
    .await
}

/// Starts another server for one test, with these arguments, and with the server program at `program` if there is one. Its data are in
/// the folder, which must live as long.
pub async fn own_server(program: Option<&Path>, arguments: &[&str]) -> (DatabaseServer, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = database_server::Options {
        data_dir: folder.path().join("server"),
        port: None,
        also_listen: None,
        throw_away: true,
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        progress: silent,
    };
    let started = DatabaseServer::start_program(program, options).await;
    (started.unwrap_or_else(|error| panic!("{error:#}")), folder)
}

/// Asserts that `rotracker check` has found no difference.
#[track_caller]
pub fn assert_all_agree(comparisons: &[Comparison]) {
    assert!(comparisons.iter().all(|comparison| comparison.count == 0), "{comparisons:#?}");
}

/// Connects to the server without selecting a database.
pub async fn connect() -> MySqlConnection {
    db::connect(server(), None).await.expect("the server can be reached")
}

/// A database that is dropped with this value.
pub struct TestDatabase {
    pub name: String,
}

impl TestDatabase {
    /// Creates an empty database with the server's default settings.
    pub async fn empty() -> Self {
        let name = format!("rotest_{}", Uuid::new_v4().simple());
        execute(&mut connect().await, &format!("CREATE DATABASE {name}")).await;
        Self { name }
    }

    /// Creates a main database with all migrations applied.
    pub async fn migrated() -> Self {
        let database = Self::empty().await;
        let pool = database.pool(1);
        ::migrate::migrate_main(&pool).await.expect("the migrations apply");
        pool.close();
        database
    }

    /// Creates an inventory database with all migrations applied.
    pub async fn inventory() -> Self {
        let database = Self::empty().await;
        let pool = database.pool(1);
        ::migrate::migrate_inventory(&pool).await.expect("the migrations apply");
        pool.close();
        database
    }

    /// A pool as the functions create it.
    pub fn pool(&self, max_connections: u32) -> Pool {
        Pool::new(&DatabaseConfig { max_connections, ..server().clone() }, &self.name)
    }

    /// A pool of the default size for tests.
    pub fn large_pool(&self) -> Pool {
        self.pool(POOL_SIZE)
    }

    /// Connects as another program does, without our session settings.
    pub async fn connect(&self) -> MySqlConnection {
        db::connect(server(), Some(&self.name)).await.expect("the database can be reached")
    }

    /// Kills every connection to the database; there must be at least one.
    pub async fn kill_sessions(&self) {
        let mut killer = self.connect().await;
        let sessions = sessions(&mut killer).await;
        assert!(!sessions.is_empty());
        for session in sessions {
            execute(&mut killer, &format!("KILL {session}")).await;
        }
    }

    /// Returns the number of connections to the database.
    pub async fn count_sessions(&self) -> usize {
        sessions(&mut self.connect().await).await.len()
    }

    /// Waits until no connection to the database is left.
    pub async fn wait_until_unused(&self) {
        let mut connection = self.connect().await;
        let unused = async { while !sessions(&mut connection).await.is_empty() {} };
        timeout(Duration::from_secs(60), unused).await.expect("the server closes the connections");
    }

    /// Waits until there is a connection to the database, and every one has been idle for `duration`. MariaDB does not say at each moment
    /// which database a connection uses.
    pub async fn wait_until_idle(&self, duration: Duration) {
        let idle_times = "SELECT CAST(COUNT(*) AS SIGNED), \
                          CAST(MIN(IF(COMMAND = 'Sleep', COALESCE(TIME, 0), 0)) AS SIGNED) \
                          FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()";
        let mut connection = self.connect().await;
        let idle = async {
            loop {
                let (count, seconds): (i64, Option<i64>) =
                    list_connections(&mut connection, idle_times).await.remove(0);
                if count > 0 && seconds >= i64::try_from(duration.as_secs()).ok() {
                    return;
                }
            }
        };
        timeout(Duration::from_secs(60), idle).await.expect("all connections become idle");
    }

    /// Waits until the process list of the server has another connection to the database for which `condition` is true.
    pub async fn wait_for_connection(&self, condition: &'static str) {
        let connections = format!(
            "SELECT CAST(COUNT(*) AS SIGNED) FROM information_schema.PROCESSLIST \
             WHERE DB = DATABASE() AND ID <> CONNECTION_ID() AND {condition}"
        );
        let mut observer = self.connect().await;
        let found = async {
            loop {
                let count = sqlx::query_scalar(sqlx::AssertSqlSafe(connections.clone())).fetch_one(&mut observer).await;
                // MySQL cannot list a statement of another test that has a binary value.
                if count.is_ok_and(|count: i64| count > 0) {
                    return;
                }
            }
        };
        let waited = timeout(Duration::from_secs(60), found).await;
        waited.unwrap_or_else(|_| panic!("no connection has {condition} within 60 s"));
    }

    /// Kills the connection with index `choice` (modulo their number), and returns whether it killed one.
    pub async fn kill_one_session(&self, choice: usize) -> bool {
        let mut killer = self.connect().await;
        let sessions = sessions(&mut killer).await;
        let Some(session) = sessions.get(choice % sessions.len().max(1)) else { return false };
        // The connection may have closed since it was listed.
        killer.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!("KILL {session}")))).await.is_ok()
    }
}

/// Lists the ids of the other connections to the same database.
async fn sessions(connection: &mut MySqlConnection) -> Vec<i64> {
    let others = "SELECT CAST(ID AS SIGNED) FROM information_schema.PROCESSLIST \
                  WHERE DB = DATABASE() AND ID <> CONNECTION_ID()";
    let sessions: Vec<(i64,)> = list_connections(connection, others).await;
    sessions.into_iter().map(|(session,)| session).collect()
}

/// Runs `statement`, which reads the process list.
async fn list_connections<T>(connection: &mut MySqlConnection, statement: &'static str) -> Vec<T>
where
    T: for<'r> FromRow<'r, MySqlRow> + Send + Unpin,
{
    let list = async {
        loop {
            match sqlx::query_as(statement).fetch_all(&mut *connection).await {
                Ok(rows) => return rows,
                // MySQL cannot list a statement with a binary value, such as a digest. The statement may be waiting for a lock.
                Err(sqlx::Error::Database(_)) => {}
                Err(error) => panic!("the server does not list its connections: {error}"),
            }
        }
    };
    timeout(Duration::from_secs(60), list).await.expect("the server lists its connections")
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {}", self.name);
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be built").block_on(async { execute(&mut connect().await, &drop).await });
        })
        .join();
        if dropped.is_err() && !thread::panicking() {
            panic!("the test's database was not dropped");
        }
    }
}

/// The databases of an installation on the server under test.
pub fn databases(main: &TestDatabase, inventory: &TestDatabase) -> Databases {
    Databases { server: server().clone(), main: main.name.clone(), inventory: inventory.name.clone() }
}

/// Runs `rotracker migrate`; an error is the text that users see.
pub async fn migrate(main: &TestDatabase, inventory: &TestDatabase, dry_run: bool) -> Result<(), String> {
    let migrated = migrate::migrate_all(&databases(main, inventory), Options { dry_run }).await;
    migrated.map_err(|error| format!("{error:#}"))
}

/// Executes `sql`, one or more statements.
pub async fn execute(connection: &mut MySqlConnection, sql: &str) {
    try_execute(connection, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Executes `sql`, one or more statements, and returns any error.
pub async fn try_execute(connection: &mut MySqlConnection, sql: &str) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))).await.map(|_| ())
}

/// Inserts `count` orders, at most a million, into `active`.
pub async fn fill(database: &TestDatabase, count: u32) {
    let fill = format!(
        "INSERT INTO active (RO, SHOP_NAME, PART_DESCRIPTION, CURENT_STATUS, ESTIMATED_COST, NOTES) \
         SELECT CONCAT('RO', n), 'A repair shop', 'Hydraulic pump', 'APPROVED', n, REPEAT('note ', 40) \
         FROM {} WHERE n < {count}",
        numbers()
    );
    execute(&mut database.connect().await, &fill).await;
}

/// A derived table with a column `n` from 0 to 999,999.
pub fn numbers() -> String {
    let digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL \
                  SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    format!(
        "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 100000 * g.d AS n FROM {digits} a, {digits} b, \
         {digits} c, {digits} e, {digits} f, {digits} g) numbers"
    )
}
