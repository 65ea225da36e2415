//! Runs the real function binaries under the runtime API emulated by `cargo lambda watch`.

use std::{
    collections::BTreeSet,
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use rotracker_cli::{
    cargo_lambda,
    dynamodb::DynamoDb,
    output::progress,
    supervise::{self, Supervised, Supervision},
};
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{TestDatabase, anthropic::FakeAnthropic, assistant::CANARY_KEY, database::server};

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package is below the workspace")
}

/// Returns a free port that no other test of this process was given.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return port;
        }
    }
}

/// The folder with the binaries of this build.
fn binaries() -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    // …/target/debug/deps/suite-…
    test.ancestors().nth(2).expect("the test is two folders below").to_owned()
}

/// The path of a workspace binary; builds it first if necessary.
pub async fn binary(name: &str) -> PathBuf {
    build().await;
    binaries().join(name)
}

/// The path of an example of this package; builds it first if necessary.
pub async fn example(name: &str) -> PathBuf {
    build().await;
    binaries().join("examples").join(name)
}

async fn build() {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    BUILT
        .get_or_init(|| async {
            let mut cargo = Command::new(env!("CARGO"));
            cargo
                .args(["build", "--quiet", "--bins", "--examples"])
                .args((!cfg!(debug_assertions)).then_some("--release"))
                .current_dir(workspace());
            supervise::forget_cargo(&mut cargo);
            let status = supervise::run(&cargo).await.expect("cargo starts");
            assert!(status.is_some_and(|status| status.success()), "the binaries are built");
        })
        .await;
}

/// The emulated runtime API.
pub struct Emulator {
    /// The base URL for requests, without a trailing slash.
    pub url: String,
    _process: Supervised,
}

/// A running function process.
pub struct Instance {
    process: Supervised,
    folder: TempDir,
    /// The process id, once it was looked up.
    id: OnceLock<i32>,
}

impl Emulator {
    /// Starts the emulator and waits until it accepts connections.
    pub async fn start() -> Self {
        let tools = workspace().join("target/dev/tools");
        static CARGO_LAMBDA: OnceCell<PathBuf> = OnceCell::const_new();
        let program = CARGO_LAMBDA
            .get_or_init(|| async {
                let found = cargo_lambda::find_or_install(&tools, progress).await;
                found.unwrap_or_else(|error| panic!("{error:#}"))
            })
            .await;
        let port = free_port();
        let mut command = Command::new(program);
        command
            .args(["lambda", "watch", "--quiet", "--only-lambda-apis", "--disable-cors"])
            .args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()])
            .env("RUST_LOG", "error")
            .current_dir(workspace());
        supervise::forget_cargo(&mut command);
        let supervision = Supervision { grace: Duration::ZERO, ..Supervision::default() };
        let process = Supervised::spawn(&command, supervision).expect("cargo-lambda starts");
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(!process.has_ended(), "cargo-lambda ended at its start");
            tokio::task::yield_now().await;
        }
        Self { url: format!("http://127.0.0.1:{port}"), _process: process }
    }

    /// Starts `binary` as an instance of the function `name`. The emulator accepts only names of workspace binaries,
    /// but any binary may use such a name. Paths begin with `/lambda-url/` and the name.
    pub fn instance(&self, name: &str, binary: &Path, variables: &[(&str, String)]) -> Instance {
        Instance::start(&format!("{}/.rt/{name}", self.url), binary, variables)
    }

    /// Starts an instance of `ros` on `database`.
    pub async fn ros(&self, database: &TestDatabase, variables: &[(&str, String)]) -> Instance {
        self.function("ros", database, variables).await
    }

    /// Starts an instance of `inventory` on `database`.
    pub async fn inventory(&self, database: &TestDatabase) -> Instance {
        self.function("inventory", database, &[]).await
    }

    /// Starts an instance of `ai-logs` on `database`.
    pub async fn ai_logs(&self, database: &TestDatabase, variables: &[(&str, String)]) -> Instance {
        self.function("ai-logs", database, variables).await
    }

    /// Starts an instance of `ai` with `anthropic`, the rate limit in `dynamodb`, and the conversation log in
    /// `database`.
    pub async fn ai(
        &self,
        database: &TestDatabase,
        anthropic: &FakeAnthropic,
        dynamodb: &DynamoDb,
        variables: &[(&str, String)],
    ) -> Instance {
        let ours = assistant_variables(&anthropic.url, &dynamodb.endpoint);
        self.function("ai", database, &[ours.as_slice(), variables].concat()).await
    }

    async fn function(&self, name: &str, database: &TestDatabase, variables: &[(&str, String)]) -> Instance {
        let variables = [database_variables(database).as_slice(), variables].concat();
        self.instance(name, &binary(name).await, &variables)
    }
}

/// The environment variables of a function that uses `database`.
pub fn database_variables(database: &TestDatabase) -> Vec<(&'static str, String)> {
    let server = server();
    vec![
        ("DB_HOST", server.host.clone()),
        ("DB_PORT", server.port.to_string()),
        ("DB_USER", server.user.clone()),
        ("DB_PASSWORD", server.password.expose_secret().to_owned()),
        ("DB_NAME_DEV", database.name.clone()),
        ("DB_NAME_INVENTORY", database.name.clone()),
        ("APP_ENV", "development".to_owned()),
    ]
}

/// The variables that the SAM template and Lambda set for every function.
pub fn template_variables() -> Vec<(&'static str, String)> {
    vec![
        ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true".to_owned()),
        ("LAMBDA_TASK_ROOT", "/var/task".to_owned()),
        ("FRONTEND_URL", "https://repairs.example".to_owned()),
        // Disabling authentication must be explicit outside development.
        ("AUTH_MODE", "none".to_owned()),
    ]
}

/// The variables that `ai` needs in addition to those of a database: Anthropic, DynamoDB and logging.
pub fn assistant_variables(anthropic_url: &str, dynamodb_url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("ANTHROPIC_BASE_URL", anthropic_url.to_owned()),
        ("ANTHROPIC_API_KEY", CANARY_KEY.to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_url.to_owned()),
        ("AI_LOG_CONVERSATIONS", "true".to_owned()),
    ]
}

impl Instance {
    /// Starts `binary` with the runtime API at `runtime_api`.
    pub fn start(runtime_api: &str, binary: &Path, variables: &[(&str, String)]) -> Self {
        Self::start_command(runtime_api, Command::new(binary), variables)
    }

    /// Starts a function by `command`, with the runtime API at `runtime_api`.
    pub fn start_command(runtime_api: &str, mut command: Command, variables: &[(&str, String)]) -> Self {
        command
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
            .env("AWS_LAMBDA_FUNCTION_NAME", "function")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512");
        Self::spawn(command, variables)
    }

    /// Starts `command`, which may be another program than a function.
    pub fn spawn(mut command: Command, variables: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = File::create(folder.path().join("log")).expect("a log file");
        // Our own `DB_*` variables may name the server under test.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DB_")) {
            command.env_remove(name);
        }
        command.envs(variables.iter().map(|(name, value)| (*name, value)));
        let supervision = Supervision { log: Some(log), grace: Duration::ZERO, ..Supervision::default() };
        let process = Supervised::spawn(&command, supervision).expect("the program starts");
        Self { process, folder, id: OnceLock::new() }
    }

    /// Returns the log lines so far.
    pub fn log(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).expect("the log can be read");
        log.lines().map(str::to_owned).collect()
    }

    /// Waits for at least `count` metric lines and returns all of them.
    pub async fn metrics(&self, count: usize) -> Vec<serde_json::Value> {
        loop {
            let lines = crate::metrics::lines_of(&self.log());
            if lines.len() >= count {
                return lines;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Kills the process.
    pub async fn stop(self) {
        self.process.stop().await;
    }

    /// Returns whether the process has exited.
    pub fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    /// Waits until the process exits and returns its exit code.
    pub async fn end(&self) -> Option<i32> {
        self.process.wait().await.and_then(|status| status.code())
    }

    /// Returns the peak resident memory in bytes.
    ///
    /// # Errors
    /// When the process does not run.
    pub fn peak_memory(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    /// Returns the resident memory in bytes.
    ///
    /// # Errors
    /// When the process does not run.
    pub fn resident_memory(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// Returns the number of open files.
    ///
    /// # Errors
    /// When the process does not run.
    pub fn open_files(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.process_id()?))?.count())
    }

    fn memory(&self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024)
    }

    /// Kills the process, whose log can still be read.
    pub async fn kill(&self) {
        self.signal(Signal::KILL);
        self.process.wait().await;
    }

    /// Suspends the process, as Lambda does between two invocations.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Resumes a frozen process.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends `signal` to the process, if it has not ended.
    pub fn signal(&self, signal: Signal) {
        let id = self.process_id().expect("the function runs");
        let process = Pid::from_raw(id).expect("no process has the number 0");
        match kill_process(process, signal) {
            // It has ended already.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => panic!("the function is ours: {error}"),
        }
    }

    /// Returns the process id.
    ///
    /// # Errors
    /// When the program does not run yet.
    pub fn process_id(&self) -> Result<i32> {
        if let Some(id) = self.id.get() {
            return Ok(*id);
        }
        let folder = self.folder.path().to_string_lossy().into_owned();
        // The function is the process that writes our log file; the guard's shell writes it, too.
        for entry in std::fs::read_dir("/proc")? {
            let process = entry?.path();
            let Ok(output) = std::fs::read_link(process.join("fd/1")) else { continue };
            let Ok(name) = std::fs::read_to_string(process.join("comm")) else { continue };
            let id = process.file_name().and_then(|name| name.to_str()?.parse().ok());
            if let Some(id) = id.filter(|_| output.starts_with(&folder) && name.trim() != "sh") {
                return Ok(*self.id.get_or_init(|| id));
            }
        }
        anyhow::bail!("the function does not run")
    }
}
