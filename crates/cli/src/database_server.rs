//! Runs a MySQL or MariaDB server for `cargo dev` and the tests. The server program is installed if it is missing. The
//! server has its own data directory, accepts connections from this machine only, unless containers are given access,
//! and stops with this program.
//!
//! Its directory holds `data`, the data directory, and `server.log`. The running server locks `server.log`, so a second
//! server on the same directory waits until the first one has stopped.

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

/// The options of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's directory, which is created if it does not exist.
    pub data_dir: PathBuf,
    /// The port to listen on, or `None` for a free one.
    pub port: Option<u16>,
    /// Another address of this machine to listen on. Clients that connect to it need an account (see
    /// [`DatabaseServer::let_containers_in`]).
    pub also_listen: Option<Ipv4Addr>,
    /// Turns off durability for speed, and removes the directory when the server has stopped.
    pub throw_away: bool,
    /// More command line options of the server program.
    pub arguments: Vec<String>,
    pub progress: Progress,
}

/// A running server. Dropping this stops the server without waiting for its end.
#[derive(Debug)]
pub struct DatabaseServer {
    pub host: &'static str,
    pub port: u16,
    /// A user with all privileges.
    pub user: &'static str,
    /// The password of `user`. It is empty, because the account is limited to connections from this machine.
    pub password: &'static str,
    process: Supervised,
}

const HOST: &str = "127.0.0.1";
const USER: &str = "root";
const PASSWORD: &str = "";

/// The user name of containers.
pub const CONTAINERS: &str = "containers";

/// How long a server may take to accept connections. Recovery after a crash takes longest.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// The retries while the previous server on the same directory stops: 40 seconds in all.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(50);
const LOCK_RETRIES: usize = 800;

const PACKAGE: Package = Package {
    // `mariadb-install-db` needs `my_print_defaults`, which is in the client package.
    apt: &[&["mariadb-server-core", "mariadb-client-core"], &["mysql-server-core-8.0"], &["mysql-server-core"]],
    dnf: "mariadb-server",
    apk: "mariadb",
    pacman: "mariadb",
    brew: "mariadb",
};

impl DatabaseServer {
    /// Starts a server and waits until it accepts connections.
    ///
    /// # Errors
    /// When it cannot be installed or started. The error says why and what to do.
    pub async fn start(options: Options) -> Result<Self> {
        Self::start_program(None, options).await
    }

    /// Starts a server like [`start`](Self::start), with the server program at `path` if there is one.
    ///
    /// # Errors
    /// As [`start`](Self::start), or when `path` is no server program.
    pub async fn start_program(path: Option<&Path>, options: Options) -> Result<Self> {
        let directory = &options.data_dir;
        fs::create_dir_all(directory)
            .with_context(|| format!("the database's directory {} cannot be created", directory.display()))?;
        let directory = &directory.canonicalize()?;
        let log = lock(directory).await?;
        let created_by = created_by(directory)?;
        let program = match path {
            Some(path) => Program::at(path.to_owned())
                .await
                .with_context(|| format!("{} is no MySQL or MariaDB server", path.display()))?,
            None => program(created_by.as_deref(), directory, options.progress).await?,
        };
        if created_by.is_none() {
            (options.progress)(&format!("Creating a database in {}.", directory.display()));
            initialise(&program, directory, &log, options.progress).await?;
        }
        // Another program may take the free port before the server does.
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
            .env(TMPDIR, temporary_directory(directory)?)
            .arg(format!("--port={port}"))
            .arg(match options.also_listen.filter(|address| *address != Ipv4Addr::LOCALHOST) {
                Some(address) => format!("--bind-address={HOST},{address}"),
                None => format!("--bind-address={HOST}"),
            })
            // Relative to the data directory, because the path of a socket is limited to about a hundred bytes.
            .args(["--socket=server.sock", "--pid-file=server.pid"])
            .args(["--character-set-server=utf8mb4", "--skip-log-bin", "--skip-name-resolve"])
            .args(["--performance-schema=OFF", "--max-connections=500"]);
        command.args(match program.kind {
            Kind::MariaDb => &["--skip-ssl"][..],
            Kind::MySql => &["--mysqlx=OFF", "--caching-sha2-password-auto-generate-rsa-keys=OFF"],
        });
        if program.kind == Kind::MySql && options.also_listen.is_none() {
            // Only accounts with a password need TLS, and generating its certificates takes seconds.
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
            _ = server.process.wait() => Err(anyhow!("exited during startup")),
            connected = server.wait_for_connections(&data) => connected,
        };
        match connected {
            Ok(()) => Ok(server),
            Err(error) => {
                let last_messages = last_messages(directory);
                server.process.stop().await;
                let advice = if throw_away {
                    String::new()
                } else {
                    "\nIf the data are damaged, `cargo dev --fresh` starts over; this deletes all orders in the database."
                        .to_owned()
                };
                bail!(
                    "{program}, on the data in {}, {error}. Its last messages:\n{last_messages}{advice}",
                    directory.display()
                )
            }
        }
    }

    /// Returns the options for connecting to the server as `user`.
    pub fn connect_options(&self) -> MySqlConnectOptions {
        // No password is set, because sqlx sends the digest of an empty one, which MariaDB rejects.
        MySqlConnectOptions::new()
            .host(self.host)
            .port(self.port)
            .username(self.user)
            .ssl_mode(sqlx::mysql::MySqlSslMode::Disabled)
    }

    /// Creates the account [`CONTAINERS`], which may connect from any host and read and write `databases`, and returns
    /// its password. Each call sets a new password.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn let_containers_in(&self, databases: &[&str]) -> Result<String> {
        let password = Uuid::new_v4().simple().to_string();
        let mut statements = vec![
            format!("CREATE USER IF NOT EXISTS '{CONTAINERS}'@'%'"),
            format!("ALTER USER '{CONTAINERS}'@'%' IDENTIFIED BY '{password}'"),
        ];
        for database in databases {
            // In GRANT, `_` in a database name is a wildcard.
            let quoted = database.replace('`', "``").replace('_', "\\_");
            statements.push(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON `{quoted}`.* TO '{CONTAINERS}'@'%'"));
        }
        let mut connection = MySqlConnection::connect_with(&self.connect_options()).await?;
        for statement in statements {
            // Names and passwords cannot be bound. These are constants, generated or quoted.
            let done = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement))).await;
            done.context("the database account for containers cannot be created")?;
        }
        Ok(connection.close().await.map(|()| password)?)
    }

    async fn wait_for_connections(&self, data: &Path) -> Result<()> {
        let options = self.connect_options();
        let connect = || async {
            let mut connection = MySqlConnection::connect_with(&options).await?;
            let data_dir: String = sqlx::query_scalar("SELECT @@datadir").fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(data_dir)
        };
        let every = Duration::from_millis(25);
        let retries = ConstantBuilder::new().with_delay(every).without_max_times();
        let connected = tokio::time::timeout(START_TIMEOUT, connect.retry(retries).when(is_not_listening)).await;
        let Ok(connected) = connected else {
            bail!("accepted no connection within {} seconds", START_TIMEOUT.as_secs());
        };
        let data_dir = connected.map_err(|error| anyhow!("refused the connection ({error})"))?;
        if Path::new(&data_dir).canonicalize().ok().as_deref() != Some(data) {
            bail!("cannot listen on port {}, because another server uses it", self.port);
        }
        Ok(())
    }

    /// Waits until the server exits, which is unexpected before [`stop`](Self::stop).
    pub async fn wait(&self) {
        self.process.wait().await;
    }

    /// Stops the server and waits until it has exited.
    pub async fn stop(self) {
        self.process.stop().await;
    }

    /// Waits until no server uses the directory, and removes it.
    ///
    /// # Errors
    /// When the directory stays in use or cannot be removed.
    pub async fn erase(data_dir: &Path) -> Result<()> {
        if !data_dir.exists() {
            return Ok(());
        }
        let _lock = lock(data_dir).await?;
        fs::remove_dir_all(data_dir).with_context(|| format!("{} cannot be removed", data_dir.display()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    MariaDb,
    MySql,
}

impl Kind {
    /// Returns the oldest supported version.
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

/// An installed server program.
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

    /// Returns a command with the options that every start on the data directory `data` needs.
    async fn command(&self, data: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
        if self.kind == Kind::MySql {
            // The default names a directory that only a full installation creates.
            command.arg("--secure-file-priv=NULL");
        }
        if programs::is_root().await {
            command.arg("--user=root");
        }
        command
    }
}

/// Parses `mariadbd  Ver 10.11.6-MariaDB for …` and `mysqld  Ver 8.0.36 for …`.
fn parse_version(text: &str) -> Option<(Kind, (u32, u32))> {
    let version = text.split_once(" Ver ")?.1;
    let mut numbers = version.split(|character: char| !character.is_ascii_digit());
    let version = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    let kind = if text.contains("MariaDB") { Kind::MariaDb } else { Kind::MySql };
    Some((kind, version))
}

/// Returns directories of server programs that may not be in `PATH`: those of the system and of Homebrew.
fn search_directories() -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> =
        ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/bin", "/usr/local/mysql/bin"]
            .map(Into::into)
            .into();
    for homebrew in ["/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"] {
        for directory in ["bin", "opt/mariadb/bin", "opt/mysql/bin"] {
            directories.push(Path::new(homebrew).join(directory));
        }
    }
    directories
}

async fn installed() -> Vec<Program> {
    let mut installed = Vec::new();
    for name in ["mariadbd", "mysqld"] {
        for path in programs::find_all(name, &search_directories()) {
            installed.extend(Program::at(path).await);
        }
    }
    installed
}

/// Returns a server program that can read data created by `created_by`, the name of a [`Kind`]. Installs one if there
/// is none.
async fn program(created_by: Option<&str>, directory: &Path, progress: Progress) -> Result<Program> {
    const ADVICE: &str = "Install MariaDB 10.11 or MySQL 8.0 or newer yourself (on Debian and Ubuntu: `apt-get install \
                           mariadb-server-core mariadb-client-core`), or set DB_HOST, DB_PORT, DB_USER and \
                           DB_PASSWORD to use an existing server";
    let fits = |program: &&Program| program.version >= program.kind.oldest();
    let _turn = programs::turn_to_install().await?;
    let mut installed_before = installed().await;
    if !installed_before.iter().any(|program| fits(&program)) {
        match installed_before.first() {
            Some(program) => progress(&format!("{program} is too old, so a newer server is needed.")),
            None => progress("No MariaDB or MySQL server is installed on this machine."),
        }
        programs::install(&PACKAGE, progress)
            .await
            .map_err(|error| anyhow!("no database server could be installed: {error:#}\n{ADVICE}"))?;
        installed_before = installed().await;
    }
    let mut fitting = installed_before.iter().filter(fits);
    let Some(created_by) = created_by else {
        return fitting
            .next()
            .cloned()
            .with_context(|| format!("the package manager only offers a server that is too old. {ADVICE}"));
    };
    fitting.find(|program| program.kind.to_string() == created_by).cloned().with_context(|| {
        format!(
            "the database in {} was created by {created_by}, which is not installed, and no other server can read it. \
             Install {created_by}, or start over with `cargo dev --fresh`, which deletes all orders in the database",
            directory.display()
        )
    })
}

/// Returns the name of the kind of server that created the data, or `None` if there are no data yet.
fn created_by(directory: &Path) -> Result<Option<String>> {
    let marker = directory.join("data").join(CREATED_BY);
    match fs::read_to_string(&marker) {
        Ok(kind) => Ok(Some(kind.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound && !directory.join("data").exists() => Ok(None),
        Err(error) => bail!(
            "{} cannot be read ({error}), so the database may be damaged. `cargo dev --fresh` starts over; this \
             deletes all orders in the database",
            marker.display()
        ),
    }
}

/// The file in the data directory with the name of the kind of server that created it.
const CREATED_BY: &str = "made-by";

/// Creates an empty data directory. It is renamed to `data` when it is complete, so a crash leaves no partial one.
async fn initialise(program: &Program, directory: &Path, log: &File, progress: Progress) -> Result<()> {
    let new = directory.join("data.new");
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    let mut command = match program.kind {
        Kind::MariaDb => {
            let beside_it = program.path.parent().into_iter().flat_map(|bin| [bin.join("../bin"), bin.to_owned()]);
            let directories: Vec<PathBuf> = beside_it.chain(search_directories()).collect();
            if programs::find_all("my_print_defaults", &directories).is_empty() {
                programs::install(&PACKAGE, progress).await.context("MariaDB's my_print_defaults is missing")?;
            }
            let installer = ["mariadb-install-db", "mysql_install_db"]
                .into_iter()
                .find_map(|name| programs::find_all(name, &directories).into_iter().next())
                .context("mariadb-install-db is missing, though it belongs to the server; reinstall MariaDB")?;
            let mut command = Command::new(installer);
            // A relative path, because this shell script cannot handle spaces in a path. Without the dot, the server
            // would resolve it against its installation directory.
            command.current_dir(directory).args(["--no-defaults", "--datadir=./data.new"]);
            command.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]);
            if programs::is_root().await {
                command.arg("--user=root");
            }
            command
        }
        Kind::MySql => {
            // MySQL creates `root@localhost` only, which does not match 127.0.0.1 with `--skip-name-resolve`.
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
    command.env(TMPDIR, temporary_directory(directory)?);
    let supervision = Supervision { log: Some(log.try_clone()?), ..Supervision::default() };
    let process = Supervised::spawn(&command, supervision).context("the database server cannot be started")?;
    if !process.wait().await.is_some_and(|status| status.success()) {
        bail!(
            "{program} could not create a database in {}. Its last messages:\n{}",
            directory.display(),
            last_messages(directory)
        );
    }
    fs::write(new.join(CREATED_BY), format!("{}\n", program.kind))?;
    fs::rename(&new, directory.join("data"))?;
    Ok(())
}

/// The environment variable that names the directory for temporary files.
const TMPDIR: &str = "TMPDIR";

/// Creates the server's own directory for temporary files. At startup, MariaDB deletes temporary files of earlier runs,
/// and in a shared directory those may belong to another running server.
fn temporary_directory(directory: &Path) -> Result<PathBuf> {
    let temporary = directory.join("tmp");
    fs::create_dir_all(&temporary)?;
    Ok(temporary)
}

/// Returns whether the server is still starting: the error is not a response from it.
fn is_not_listening(error: &sqlx::Error) -> bool {
    error.as_database_error().is_none()
}

fn log_file(directory: &Path) -> PathBuf {
    directory.join("server.log")
}

fn log_of(directory: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log_file(directory)).unwrap_or_default()).into_owned()
}

/// Returns the last errors in the log or, if there are none, its last lines.
fn last_messages(directory: &Path) -> String {
    let log = log_of(directory);
    let errors: Vec<&str> = log.lines().filter(|line| line.to_ascii_uppercase().contains("ERROR")).collect();
    programs::last_lines(if errors.is_empty() { log } else { errors.join("\n") }.as_str(), 8)
}

/// Opens and locks the log. The server inherits the open file and with it the lock.
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
        Err(TryLockError::WouldBlock) => {
            bail!("another server uses the database in {}; stop that server", directory.display())
        }
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
            // Longer than the path of a socket may be.
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
        // A dropped server holds the lock until it has exited.
        drop(server);
        DatabaseServer::erase(&options.data_dir).await.unwrap();
        assert!(!options.data_dir.exists());
    }

    #[tokio::test]
    async fn data_of_another_server_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("data")).unwrap();
        fs::write(directory.path().join("data").join(CREATED_BY), "another kind\n").unwrap();
        let options = Options {
            data_dir: directory.path().to_owned(),
            port: None,
            also_listen: None,
            throw_away: false,
            arguments: Vec::new(),
            progress: crate::output::silent,
        };
        let message = format!("{:#}", DatabaseServer::start(options).await.unwrap_err());
        assert!(message.contains("was created by another kind") && message.contains("cargo dev --fresh"), "{message}");
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
        assert!(message.contains("exited during startup") && message.contains("cargo dev --fresh"), "{message}");
    }
}
