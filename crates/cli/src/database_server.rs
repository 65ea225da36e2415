//! A MySQL or MariaDB server of our own, for `cargo dev` and for the tests: found or installed, on a data directory of
//! its own, reachable from this machine only unless containers are let in, and gone when we are.
//!
//! Below its directory: `data`, what the server keeps; `server.log`, locked by whoever uses the directory, so that a
//! second server, or one started while the last is still stopping, waits.

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use backon::{ConstantBuilder, Retryable};
use sqlx::{Connection, Executor, MySqlConnection, mysql::MySqlConnectOptions};
use uuid::Uuid;

use crate::{
    output::Progress,
    programs::{self, Package},
    supervise::{Supervised, Supervision},
};

/// How a server is to be started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its directory; made when it is not there.
    pub data_dir: PathBuf,
    /// The port it listens on; a free one when `None`.
    pub port: Option<u16>,
    /// An address of this machine that it listens on, too. Whoever comes there needs an account (see
    /// [`DatabaseServer::let_containers_in`]).
    pub also_listen: Option<Ipv4Addr>,
    /// Trade safety of the data for speed, and remove the directory at the end.
    pub throw_away: bool,
    /// Further options of the server, after ours.
    pub arguments: Vec<String>,
    /// Hears what happens.
    pub progress: Progress,
}

/// A running server. Dropping this stops it without waiting.
#[derive(Debug)]
pub struct DatabaseServer {
    /// The address it listens on.
    pub host: &'static str,
    /// The port it listens on.
    pub port: u16,
    /// A user who may do everything.
    pub user: &'static str,
    /// That user's password, which is empty: only this machine can connect.
    pub password: &'static str,
    process: Supervised,
}

const HOST: &str = "127.0.0.1";
const USER: &str = "root";
const PASSWORD: &str = "";

/// The account of containers.
pub const CONTAINERS: &str = "containers";

/// How long a server may take to accept connections; recovering after a crash takes longest.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// How long and how often to wait for the previous server on the same directory: 40 seconds in all.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(50);
const LOCK_RETRIES: usize = 800;

const PACKAGE: Package = Package {
    // MariaDB's installer needs `my_print_defaults`, which is among the client's programs.
    apt: &[&["mariadb-server-core", "mariadb-client-core"], &["mysql-server-core-8.0"], &["mysql-server-core"]],
    dnf: "mariadb-server",
    apk: "mariadb",
    pacman: "mariadb",
    brew: "mariadb",
};

impl DatabaseServer {
    /// Starts a server and waits until it can be connected to.
    ///
    /// # Errors
    /// A sentence that says what stands in the way and what to do about it.
    pub async fn start(options: Options) -> Result<Self> {
        let directory = &options.data_dir;
        fs::create_dir_all(directory)
            .with_context(|| format!("the database's directory {} cannot be made", directory.display()))?;
        let directory = &directory.canonicalize()?;
        let log = lock(directory).await?;
        let made_by = made_by(directory)?;
        let program = program(made_by.as_deref(), directory, options.progress).await?;
        if made_by.is_none() {
            (options.progress)(&format!("Making a database in {}.", directory.display()));
            initialise(&program, directory, &log, options.progress).await?;
        }
        // Somebody else may take a free port before the server does.
        let mut attempts = if options.port.is_some() { 1 } else { 3 };
        loop {
            let port = match options.port {
                Some(port) => port,
                None => free_port().context("no port is free for the database server")?,
            };
            log.set_len(0)?;
            (options.progress)(&format!("Starting {program} on {HOST}:{port}."));
            let started = Self::start_on(port, &program, directory, &log, &options).await;
            attempts -= 1;
            if started.is_ok() || attempts == 0 || !log_of(directory).contains("ddress already in use") {
                return started;
            }
        }
    }

    async fn start_on(port: u16, program: &Program, directory: &Path, log: &File, options: &Options) -> Result<Self> {
        let throw_away = options.throw_away;
        let data = directory.join("data");
        let mut command = program.command(&data).await;
        command
            .env(TEMPORARY, temporary_directory(directory)?)
            .arg(format!("--port={port}"))
            .arg(match options.also_listen.filter(|address| *address != Ipv4Addr::LOCALHOST) {
                Some(address) => format!("--bind-address={HOST},{address}"),
                None => format!("--bind-address={HOST}"),
            })
            // Relative to the data directory: the path of a socket may have about a hundred bytes only.
            .args(["--socket=server.sock", "--pid-file=server.pid"])
            .args(["--character-set-server=utf8mb4", "--skip-log-bin", "--skip-name-resolve"])
            .args(["--performance-schema=OFF", "--max-connections=500"]);
        command.args(match program.kind {
            Kind::MariaDb => &["--skip-ssl"][..],
            Kind::MySql => &["--mysqlx=OFF", "--caching-sha2-password-auto-generate-rsa-keys=OFF"],
        });
        if program.kind == Kind::MySql && options.also_listen.is_none() {
            // With a password, MySQL wants TLS; without one it takes seconds for nothing.
            command.arg("--auto-generate-certs=OFF");
        }
        if throw_away {
            command.args(["--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"]);
            command.args(["--innodb-doublewrite=OFF", "--innodb-fast-shutdown=2"]);
        }
        command.args(&options.arguments);
        let supervision = Supervision {
            log: Some(log.try_clone()?),
            grace: if throw_away { Duration::ZERO } else { Duration::from_secs(60) },
            remove_afterwards: throw_away.then(|| directory.to_owned()),
        };
        let process = Supervised::spawn(&command, supervision).context("the database server cannot be started")?;
        let server = Self { host: HOST, port, user: USER, password: PASSWORD, process };
        let connected = tokio::select! {
            _ = server.process.wait() => Err(anyhow!("ended at its start")),
            connected = server.wait_for_connections(&data) => connected,
        };
        match connected {
            Ok(()) => Ok(server),
            Err(error) => {
                let last_words = last_words(directory);
                server.process.stop().await;
                let way_out = if throw_away {
                    String::new()
                } else {
                    "\nIf the data are damaged, `cargo dev --fresh` starts over; the orders in them are lost then."
                        .to_owned()
                };
                bail!(
                    "{program}, on the data in {}, {error}. Its last messages:\n{last_words}{way_out}",
                    directory.display()
                )
            }
        }
    }

    /// How to connect to the server.
    pub fn connect_options(&self) -> MySqlConnectOptions {
        // Without a password: sqlx would send the digest of an empty one, which MariaDB refuses.
        MySqlConnectOptions::new()
            .host(self.host)
            .port(self.port)
            .username(self.user)
            .ssl_mode(sqlx::mysql::MySqlSslMode::Disabled)
    }

    /// Makes the account [`CONTAINERS`], which may come from anywhere and read and write `databases`, and returns its
    /// password, a new one each time.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn let_containers_in(&self, databases: &[&str]) -> Result<String> {
        let password = Uuid::new_v4().simple().to_string();
        let mut statements = vec![
            format!("CREATE USER IF NOT EXISTS '{CONTAINERS}'@'%'"),
            format!("ALTER USER '{CONTAINERS}'@'%' IDENTIFIED BY '{password}'"),
        ];
        for database in databases {
            // `_` stands for any character here.
            let quoted = database.replace('`', "``").replace('_', "\\_");
            statements.push(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON `{quoted}`.* TO '{CONTAINERS}'@'%'"));
        }
        let mut connection = MySqlConnection::connect_with(&self.connect_options()).await?;
        for statement in statements {
            // Neither names nor passwords can be bound; these are ours or quoted.
            let done = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement))).await;
            done.context("the database server makes no account for containers")?;
        }
        Ok(connection.close().await.map(|()| password)?)
    }

    async fn wait_for_connections(&self, data: &Path) -> Result<()> {
        let options = self.connect_options();
        let connect = || async {
            let mut connection = MySqlConnection::connect_with(&options).await?;
            let answer: String = sqlx::query_scalar("SELECT @@datadir").fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(answer)
        };
        let every = Duration::from_millis(25);
        let retries = ConstantBuilder::new().with_delay(every).without_max_times();
        let answered = tokio::time::timeout(START_TIMEOUT, connect.retry(retries).when(is_not_listening)).await;
        let Ok(answer) = answered else {
            bail!("took no connections for {} seconds", START_TIMEOUT.as_secs());
        };
        let answer = answer.map_err(|error| anyhow!("does not let us in ({error})"))?;
        if Path::new(&answer).canonicalize().ok().as_deref() != Some(data) {
            bail!("cannot listen on port {}, where another server answers", self.port);
        }
        Ok(())
    }

    /// Waits until the server ends, which it does not do unasked.
    pub async fn wait(&self) {
        self.process.wait().await;
    }

    /// Stops the server and waits for its end.
    pub async fn stop(self) {
        self.process.stop().await;
    }

    /// Removes a server's directory, once no server uses it any more.
    ///
    /// # Errors
    /// When it is in use or cannot be removed.
    pub async fn erase(data_dir: &Path) -> Result<()> {
        if !data_dir.exists() {
            return Ok(());
        }
        let _lock = lock(data_dir).await?;
        fs::remove_dir_all(data_dir).with_context(|| format!("{} cannot be removed", data_dir.display()))
    }
}

/// The two kinds of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    MariaDb,
    MySql,
}

impl Kind {
    /// The oldest version we support.
    fn oldest(self) -> (u32, u32) {
        match self {
            Self::MariaDb => (10, 11),
            Self::MySql => (8, 0),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
        })
    }
}

/// A server program on this machine.
#[derive(Clone, Debug)]
struct Program {
    path: PathBuf,
    kind: Kind,
    version: (u32, u32),
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}.{}", self.kind, self.version.0, self.version.1)
    }
}

impl Program {
    async fn at(path: PathBuf) -> Option<Self> {
        let text =
            programs::output_of(tokio::process::Command::new(&path).args(["--no-defaults", "--version"])).await?;
        let (kind, version) = parse_version(&text)?;
        Some(Self { path, kind, version })
    }

    /// The server on `data`, with what every start of it needs.
    async fn command(&self, data: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
        if self.kind == Kind::MySql {
            // Its default names a directory that only a full installation has.
            command.arg("--secure-file-priv=NULL");
        }
        if programs::is_root().await {
            command.arg("--user=root");
        }
        command
    }
}

/// Reads `mariadbd  Ver 10.11.6-MariaDB for …` and `mysqld  Ver 8.0.36 for …`.
fn parse_version(text: &str) -> Option<(Kind, (u32, u32))> {
    let version = text.split_once(" Ver ")?.1;
    let mut numbers = version.split(|character: char| !character.is_ascii_digit());
    let version = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    let kind = if text.contains("MariaDB") { Kind::MariaDb } else { Kind::MySql };
    Some((kind, version))
}

/// Where servers are that are not in `PATH`: system directories that only root has there, and Homebrew's.
fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> =
        ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/bin", "/usr/local/mysql/bin"]
            .map(Into::into)
            .into();
    for homebrew in ["/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"] {
        for directory in ["bin", "opt/mariadb/bin", "opt/mysql/bin"] {
            places.push(Path::new(homebrew).join(directory));
        }
    }
    places
}

async fn installed() -> Vec<Program> {
    let mut installed = Vec::new();
    for name in ["mariadbd", "mysqld"] {
        for path in programs::find_all(name, &places()) {
            installed.extend(Program::at(path).await);
        }
    }
    installed
}

/// The server program for data that `made_by` (a kind's name) made, installed if there is none.
async fn program(made_by: Option<&str>, directory: &Path, progress: Progress) -> Result<Program> {
    const BY_HAND: &str = "Install MariaDB 10.11 or MySQL 8.0 or newer by hand (on Debian and Ubuntu: `apt-get install \
                           mariadb-server-core mariadb-client-core`), or set DB_HOST, DB_PORT, DB_USER and \
                           DB_PASSWORD to use a server that you have";
    let fits = |program: &&Program| program.version >= program.kind.oldest();
    let _turn = programs::turn_to_install().await?;
    let mut installed_before = installed().await;
    if !installed_before.iter().any(|program| fits(&program)) {
        match installed_before.first() {
            Some(program) => progress(&format!("{program} is too old; a newer server is needed.")),
            None => progress("There is no MariaDB or MySQL server on this machine."),
        }
        programs::install(&PACKAGE, progress)
            .await
            .map_err(|error| anyhow!("no database server could be installed: {error:#}\n{BY_HAND}"))?;
        installed_before = installed().await;
    }
    let mut fitting = installed_before.iter().filter(fits);
    let Some(made_by) = made_by else {
        return fitting
            .next()
            .cloned()
            .with_context(|| format!("the package manager has only a server that is too old. {BY_HAND}"));
    };
    fitting.find(|program| program.kind.to_string() == made_by).cloned().with_context(|| {
        format!(
            "the database in {} was made by {made_by}, which is not on this machine, and no other server can read it. \
             Install {made_by}, or start over with `cargo dev --fresh`; the orders in it are lost then",
            directory.display()
        )
    })
}

/// Which kind of server made the data; `None` where there are no data yet.
fn made_by(directory: &Path) -> Result<Option<String>> {
    let marker = directory.join("data").join(MADE_BY);
    match fs::read_to_string(&marker) {
        Ok(kind) => Ok(Some(kind.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound && !directory.join("data").exists() => Ok(None),
        Err(error) => bail!(
            "{} cannot be read ({error}), so the data beside it may be damaged. `cargo dev --fresh` starts over; the \
             orders in them are lost then",
            marker.display()
        ),
    }
}

/// In the data directory, the name of the kind of server that made it.
const MADE_BY: &str = "made-by";

/// Makes an empty data directory. It gets its name when it is complete, so a crash half-way leaves none.
async fn initialise(program: &Program, directory: &Path, log: &File, progress: Progress) -> Result<()> {
    let new = directory.join("data.new");
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    let mut command = match program.kind {
        Kind::MariaDb => {
            let beside_it = program.path.parent().into_iter().flat_map(|bin| [bin.join("../bin"), bin.to_owned()]);
            let places: Vec<PathBuf> = beside_it.chain(places()).collect();
            if programs::find_all("my_print_defaults", &places).is_empty() {
                programs::install(&PACKAGE, progress).await.context("MariaDB's my_print_defaults is missing")?;
            }
            let installer = ["mariadb-install-db", "mysql_install_db"]
                .into_iter()
                .find_map(|name| programs::find_all(name, &places).into_iter().next())
                .context("mariadb-install-db is missing, though it belongs to the server; reinstall MariaDB")?;
            let mut command = Command::new(installer);
            // Relative: this shell script trips over spaces in a path. Without the dot the server would take it as
            // relative to where it is installed.
            command.current_dir(directory).args(["--no-defaults", "--datadir=./data.new"]);
            command.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]);
            if programs::is_root().await {
                command.arg("--user=root");
            }
            command
        }
        Kind::MySql => {
            // MySQL makes `root` for connections by name, and our server does not resolve names.
            let accounts = directory.join("accounts.sql");
            fs::write(
                &accounts,
                "CREATE USER 'root'@'127.0.0.1' IDENTIFIED BY '';\n\
                 GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n",
            )?;
            let mut command = program.command(&new).await;
            command.arg("--initialize-insecure").arg(format!("--init-file={}", accounts.display()));
            command.args(["--auto-generate-certs=OFF", "--caching-sha2-password-auto-generate-rsa-keys=OFF"]);
            command
        }
    };
    command.env(TEMPORARY, temporary_directory(directory)?);
    let supervision = Supervision { log: Some(log.try_clone()?), ..Supervision::default() };
    let process = Supervised::spawn(&command, supervision).context("the database server cannot be started")?;
    if !process.wait().await.is_some_and(|status| status.success()) {
        bail!(
            "{program} could not make a database in {}. Its last messages:\n{}",
            directory.display(),
            last_words(directory)
        );
    }
    fs::write(new.join(MADE_BY), format!("{}\n", program.kind))?;
    fs::rename(&new, directory.join("data"))?;
    Ok(())
}

/// The variable that says where temporary tables and the like go.
const TEMPORARY: &str = "TMPDIR";

/// A directory of the server's own for them: at its start, MariaDB deletes what it takes for the leftovers of an earlier
/// run, and in a shared directory that may be what another server is just using.
fn temporary_directory(directory: &Path) -> Result<PathBuf> {
    let temporary = directory.join("tmp");
    fs::create_dir_all(&temporary)?;
    Ok(temporary)
}

/// Anything but an answer of the server: it is still starting.
fn is_not_listening(error: &sqlx::Error) -> bool {
    error.as_database_error().is_none()
}

fn log_file(directory: &Path) -> PathBuf {
    directory.join("server.log")
}

fn log_of(directory: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log_file(directory)).unwrap_or_default()).into_owned()
}

/// The last errors in the log, or, where nothing calls itself an error, its last lines.
fn last_words(directory: &Path) -> String {
    let log = log_of(directory);
    let errors: Vec<&str> = log.lines().filter(|line| line.to_ascii_uppercase().contains("ERROR")).collect();
    programs::last_lines(if errors.is_empty() { log } else { errors.join("\n") }.as_str(), 8)
}

/// Opens the log and locks it. The server inherits the file and with it the lock.
async fn lock(directory: &Path) -> Result<File> {
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log_file(directory))
        .with_context(|| format!("{} cannot be written", log_file(directory).display()))?;
    let try_lock = || async { log.try_lock() };
    let locked = try_lock
        .retry(ConstantBuilder::new().with_delay(LOCK_RETRY_DELAY).with_max_times(LOCK_RETRIES))
        .when(|error| matches!(error, TryLockError::WouldBlock))
        .await;
    match locked {
        Ok(()) => {
            log.flush()?;
            Ok(log)
        }
        Err(TryLockError::WouldBlock) => bail!("another server uses the database in {}; stop it", directory.display()),
        Err(TryLockError::Error(error)) => Err(error).context("the server's log cannot be locked"),
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mysql_and_mariadb_versions_are_parsed() {
        let read = |text: &str| parse_version(text).map(|(kind, version)| (kind.to_string(), version));
        assert_eq!(
            read("mariadbd  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)\n"),
            Some(("MariaDB".to_owned(), (10, 11)))
        );
        assert_eq!(
            read("/usr/sbin/mysqld  Ver 8.0.36-0ubuntu0.22.04.1 for Linux on x86_64 ((Ubuntu))\n"),
            Some(("MySQL".to_owned(), (8, 0)))
        );
        assert_eq!(read("mysqld: cannot execute"), None);
    }

    #[tokio::test]
    async fn data_survive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            // Longer than a socket's path may be.
            data_dir: directory.path().join("long".repeat(30)),
            port: None,
            also_listen: None,
            throw_away: false,
            arguments: Vec::new(),
            progress: crate::output::silent,
        };
        let server = DatabaseServer::start(options.clone()).await.unwrap();
        let mut connection = MySqlConnection::connect_with(&server.connect_options()).await.unwrap();
        sqlx::query("CREATE DATABASE kept").execute(&mut connection).await.unwrap();
        server.stop().await;

        let server = DatabaseServer::start(options.clone()).await.unwrap();
        let mut connection = MySqlConnection::connect_with(&server.connect_options()).await.unwrap();
        let kept: i64 =
            sqlx::query_scalar("SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'kept'")
                .fetch_one(&mut connection)
                .await
                .unwrap();
        assert_eq!(kept, 1);
        // Dropped, it still holds the directory until it ended.
        drop(server);
        DatabaseServer::erase(&options.data_dir).await.unwrap();
        assert!(!options.data_dir.exists());
    }

    #[tokio::test]
    async fn data_of_another_server_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("data")).unwrap();
        fs::write(directory.path().join("data").join(MADE_BY), "another kind\n").unwrap();
        let options = Options {
            data_dir: directory.path().to_owned(),
            port: None,
            also_listen: None,
            throw_away: false,
            arguments: Vec::new(),
            progress: crate::output::silent,
        };
        let message = format!("{:#}", DatabaseServer::start(options).await.unwrap_err());
        assert!(message.contains("was made by another kind") && message.contains("cargo dev --fresh"), "{message}");
    }

    #[tokio::test]
    async fn damaged_data_are_reported_with_the_servers_log() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            data_dir: directory.path().to_owned(),
            port: None,
            also_listen: None,
            throw_away: false,
            arguments: Vec::new(),
            progress: crate::output::silent,
        };
        DatabaseServer::start(options.clone()).await.unwrap().stop().await;
        fs::write(directory.path().join("data").join("ibdata1"), "not a tablespace").unwrap();
        let message = format!("{:#}", DatabaseServer::start(options).await.unwrap_err());
        assert!(message.contains("ended at its start") && message.contains("cargo dev --fresh"), "{message}");
    }
}
