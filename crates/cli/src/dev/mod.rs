//! `cargo dev`: the whole system on this machine. It starts a database server and emulators, migrates and fills the databases,
//! and runs the service, in one process or with `--lambda` as the real function binaries.
//!
//! All programs that it starts are stopped when it ends, even if it is killed (see [`supervise`]).

mod lambda;
mod service;

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File, TryLockError},
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use app_core::{
    clock::Clock,
    config::{self, Env},
};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

use crate::{
    cargo_lambda,
    database_server::{self, CONTAINERS, DatabaseServer},
    dynamodb::{self, DynamoDb, Storage},
    fake_anthropic::{self, FakeAnthropic},
    fake_issuer::{self, FakeIssuer},
    migrate::{self, Databases},
    output::{print, progress},
    programs, sam_local,
    sam_local::Containers,
    seed,
    signals::Signals,
    supervise,
};
use lambda::Functions;
use service::{Service, Sources};

/// Whether this program was built in release mode, as `cargo dev --release` does. It builds the service and the functions in the
/// same mode.
const IS_RELEASE: bool = !cfg!(debug_assertions);

/// Defaults for variables that the environment does not set.
const DEFAULTS: &[(&str, &str)] = &[
    ("DB_NAME_DEV", "ro_tracker_dev"),
    ("DB_NAME_PROD", "ro_tracker_prod"),
    ("DB_NAME_INVENTORY", "genthrust_inventory"),
    ("FRONTEND_URL", "http://localhost:5173"),
    ("RUST_LOG", "info"),
    ("AI_LOG_CONVERSATIONS", "true"),
];

/// If the database server ends this soon after its start, this many times in a row, it is not started again.
const STABLE_AFTER: Duration = Duration::from_secs(10);
const MAX_EARLY_ENDS: usize = 3;

/// The options of `cargo dev`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Port of the API on 127.0.0.1
    #[arg(long, env = "PORT", default_value_t = 3001, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Start over with a new database; the old one is deleted
    #[arg(long)]
    pub fresh: bool,
    /// Build with optimisations
    // Read by the launcher. It is here so that it is accepted and listed in `--help`.
    #[arg(long)]
    pub release: bool,
    /// Run the real Lambda binaries under `cargo lambda watch`
    #[arg(long)]
    pub lambda: bool,
    /// Do not fill empty tables with sample data
    #[arg(long)]
    pub no_sample_data: bool,
    /// Answer below /.netlify/functions/api in the shapes that version 2.6 of the dashboard expects
    #[arg(long)]
    pub legacy_dashboard: bool,
    /// Use a stand-in for Anthropic, which needs no key
    #[arg(long)]
    pub fake_anthropic: bool,
    /// Require tokens. A test issuer on this machine gives one to anybody; containers cannot reach it
    #[arg(long, conflicts_with = "sam_local")]
    pub auth: bool,
    /// With --lambda, the most instances of each function
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub instances: u16,
    /// Let `sam local start-api` use the database and the emulators: listen where containers reach this machine,
    /// on Docker's default network or ADDRESS, and write target/dev/sam-local.json
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, value_parser = sam_local::parse_address)]
    pub sam_local: Option<Option<Ipv4Addr>>,
    /// Directory for the data of `cargo dev`; `target/dev` in the workspace by default
    #[arg(long, hide = true)]
    pub data_dir: Option<PathBuf>,
}

/// Runs the system until it is told to stop.
///
/// # Errors
/// When something is missing or a part fails. The text says what to do.
pub async fn run(options: Options) -> Result<()> {
    let mut signals = Signals::listen()?;
    // The terminal closes.
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut system = System::default();
    let outcome = tokio::select! {
        () = signals.received() => {
            progress("Stopping.");
            Ok(())
        }
        _ = hang_up.recv() => Ok(()),
        outcome = system.run(&options) => outcome,
    };
    // From here on signals are ignored. Each step has a time limit.
    system.stop().await;
    // A program that was being started when the signal came may still be ending.
    supervise::all_ended().await;
    outcome
}

/// The running parts of the system.
#[derive(Default)]
struct System {
    lock: Option<File>,
    database: Option<DatabaseServer>,
    dynamodb: Option<DynamoDb>,
    anthropic: Option<FakeAnthropic>,
    issuer: Option<FakeIssuer>,
    service: Option<Service>,
    functions: Option<Functions>,
    /// The directory with the file for `sam local`, while there is one.
    sam_local: Option<PathBuf>,
}

impl System {
    /// Starts everything, and keeps the service and the database running. Returns only with an error.
    async fn run(&mut self, options: &Options) -> Result<()> {
        let workspace = workspace_root().await?;
        let default_data_dir = workspace.join("target").join("dev");
        let data_dir = options.data_dir.clone().unwrap_or_else(|| default_data_dir.clone());
        fs::create_dir_all(&data_dir).with_context(|| format!("{} cannot be made", data_dir.display()))?;
        self.lock = Some(lock(&data_dir)?);
        expect_free(options.port)?;
        // A killed run may have left its file for `sam local` behind.
        sam_local::remove(&data_dir)?;
        let containers = match options.sam_local {
            Some(address) => Some(Containers::find(address).await?),
            None => None,
        };
        let listen = containers.as_ref().map_or(Ipv4Addr::LOCALHOST, |containers| containers.listen);

        // Begins here, so that no change is missed while the database starts.
        let sources = Sources::watch(&workspace)?;
        let mut variables = self.start_database(options, &data_dir, listen).await?;
        let databases = Databases::read(variables.clone().into_iter().collect())?;
        migrate::migrate_all(&databases, migrate::Options { dry_run: false }).await?;
        if !options.no_sample_data {
            seed_if_empty(&databases, &variables).await?;
        }
        self.start_dynamodb(options, &data_dir, listen, &mut variables).await?;
        self.start_anthropic(options, listen, &mut variables).await?;
        self.start_issuer(options, &mut variables).await?;

        if options.lambda {
            let cargo_lambda = cargo_lambda::find_or_install(&default_data_dir.join("tools"), progress).await?;
            self.functions = Some(Functions::start(&cargo_lambda, &workspace, options, &variables).await?);
        } else {
            let mut variables = variables.clone();
            if is_blank(variables.get("AUTH_ISSUER")) {
                variables.insert("AUTH_MODE".to_owned(), "none".to_owned());
            }
            self.service = Some(Service::start(&workspace, options, variables, sources).await?);
        }
        if let Some(containers) = containers {
            self.sam_local = Some(data_dir.clone());
            let_sam_in(&containers, self.database.as_ref(), &data_dir, &databases, variables).await?;
        }
        print(&format!("ready: http://127.0.0.1:{}", options.port));

        let Self { database, service, functions, .. } = self;
        let keep_service = async {
            match (service, functions) {
                (Some(service), _) => service.keep_current().await,
                (None, Some(functions)) => {
                    functions.wait().await;
                    bail!("`cargo lambda watch` ended unexpectedly; its messages are above")
                }
                (None, None) => std::future::pending().await,
            }
        };
        let keep_database = async {
            match database {
                Some(database) => keep_running(database, || server_options(options, &data_dir, listen)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = keep_service => ended,
            ended = keep_database => ended,
        }
    }

    /// Starts a database server, unless the environment names one. Returns the variables of the service.
    async fn start_database(
        &mut self,
        options: &Options,
        data_dir: &Path,
        listen: Ipv4Addr,
    ) -> Result<BTreeMap<String, String>> {
        let mut environment = config::variables_of_process();
        for (name, value) in DEFAULTS {
            if is_blank(environment.get(*name)) {
                environment.insert((*name).to_owned(), (*value).to_owned());
            }
        }
        // Never the production database, whatever the shell says.
        environment.remove("NODE_ENV");
        environment.insert("APP_ENV".to_owned(), "development".to_owned());

        let server_options = server_options(options, data_dir, listen);
        let database_dir = &server_options.data_dir;
        if options.legacy_dashboard {
            environment.insert("LEGACY_DASHBOARD".to_owned(), "true".to_owned());
        }
        // Requests come without the proxy that knows the secret.
        environment.remove("PROXY_SECRET");
        if !is_blank(environment.get("DB_HOST")) {
            if options.fresh {
                bail!(
                    "--fresh deletes the database that `cargo dev` runs itself, but DB_HOST names another server. Unset DB_HOST or leave out --fresh"
                );
            }
            return Ok(environment);
        }
        if options.fresh && database_dir.exists() {
            progress(&format!("Removing the database in {}.", database_dir.display()));
            DatabaseServer::erase(database_dir).await?;
        }
        let server = self.database.insert(DatabaseServer::start(server_options).await?);
        environment.retain(|name, _| !name.starts_with("DB_SSL_"));
        for (name, value) in [
            ("DB_HOST", server.host.to_owned()),
            ("DB_PORT", server.port.to_string()),
            ("DB_USER", server.user.to_owned()),
            ("DB_PASSWORD", server.password.to_owned()),
        ] {
            environment.insert(name.to_owned(), value);
        }
        Ok(environment)
    }

    /// Starts a DynamoDB emulator, unless the environment names an endpoint, and creates the table of the rate limit.
    async fn start_dynamodb(
        &mut self,
        options: &Options,
        data_dir: &Path,
        listen: Ipv4Addr,
        environment: &mut BTreeMap<String, String>,
    ) -> Result<()> {
        if is_blank(environment.get("AWS_ENDPOINT_URL_DYNAMODB")) {
            let directory = data_dir.join("dynamodb");
            if options.fresh {
                DynamoDb::erase(&directory)?;
            }
            let emulator = DynamoDb::start_at(listen, &Storage::Directory(directory), None).await?;
            let emulator = self.dynamodb.insert(emulator);
            progress(&format!("A DynamoDB emulator listens on {}.", emulator.endpoint));
            dynamodb::use_emulator(environment, &emulator.endpoint);
        }
        dynamodb::create_rate_limit_table_of(environment).await
    }

    /// Starts a stand-in for Anthropic if it is wanted. Otherwise says what happens to chats without a key.
    async fn start_anthropic(
        &mut self,
        options: &Options,
        listen: Ipv4Addr,
        environment: &mut BTreeMap<String, String>,
    ) -> Result<()> {
        if options.fake_anthropic {
            let anthropic = self.anthropic.insert(FakeAnthropic::start(listen).await?);
            progress(&format!("A stand-in for Anthropic listens on {}.", anthropic.url));
            environment.insert("ANTHROPIC_BASE_URL".to_owned(), anthropic.url.clone());
            environment.insert("ANTHROPIC_API_KEY".to_owned(), fake_anthropic::KEY.to_owned());
        } else if is_blank(environment.get("ANTHROPIC_API_KEY")) {
            progress(
                "ANTHROPIC_API_KEY is not set, so chats are answered 503. `cargo dev --fake-anthropic` works without a key.",
            );
        }
        Ok(())
    }

    /// Starts an issuer of tokens if one is wanted.
    async fn start_issuer(&mut self, options: &Options, environment: &mut BTreeMap<String, String>) -> Result<()> {
        if options.auth {
            if !is_blank(environment.get("AUTH_ISSUER")) {
                bail!(
                    "--auth starts a test issuer, but AUTH_ISSUER names another. Unset AUTH_ISSUER or leave out --auth"
                );
            }
            let issuer = self.issuer.insert(FakeIssuer::start().await?);
            progress(&format!(
                "An issuer of tokens listens on {url}. `curl '{url}/token?sub=me'` prints a token, and \
                 `curl '{url}/token?sub=me&role={role}'` one of an administrator.",
                url = issuer.url,
                role = fake_issuer::ADMIN_ROLE
            ));
            for (name, value) in [
                ("AUTH_ISSUER", issuer.url.as_str()),
                ("AUTH_AUDIENCE", fake_issuer::AUDIENCE),
                ("AUTH_ADMIN_ROLE", fake_issuer::ADMIN_ROLE),
                ("AUTH_MODE", ""),
            ] {
                environment.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }

    /// Stops everything, the users of the databases first.
    async fn stop(self) {
        if let Some(service) = self.service {
            service.stop().await;
        }
        if let Some(functions) = self.functions {
            functions.stop().await;
        }
        if let Some(database) = self.database {
            database.stop().await;
        }
        if let Some(dynamodb) = self.dynamodb {
            dynamodb.stop().await;
        }
        if let Some(Err(error)) = self.sam_local.as_deref().map(sam_local::remove) {
            progress(&format!("{error:#}"));
        }
        drop(self.lock);
    }
}

/// Lets the functions that `sam local` runs in containers use the running system, and says how to start `sam local`.
async fn let_sam_in(
    containers: &Containers,
    database: Option<&DatabaseServer>,
    data_dir: &Path,
    databases: &Databases,
    mut environment: BTreeMap<String, String>,
) -> Result<()> {
    if let Some(database) = database {
        let password = database.let_containers_in(&[&databases.main, &databases.inventory]).await?;
        environment.insert("DB_USER".to_owned(), CONTAINERS.to_owned());
        environment.insert("DB_PASSWORD".to_owned(), password);
        // Our own MySQL server requires TLS, and our own MariaDB server does not offer it.
        environment.insert("DB_SSL_MODE".to_owned(), "PREFERRED".to_owned());
    }
    containers.write(data_dir, &environment)?;
    // The template's default is arm64.
    let architecture = if env::consts::ARCH == "x86_64" { " --parameter-overrides Architecture=x86_64" } else { "" };
    progress(&format!(
        "Containers reach this machine as {}. For sam local, in another terminal:\n  sam build{architecture}\n  sam local start-api{architecture}",
        containers.host
    ));
    Ok(())
}

fn is_blank(value: Option<&String>) -> bool {
    value.is_none_or(|value| value.trim().is_empty())
}

async fn workspace_root() -> Result<PathBuf> {
    let mut command = Command::new("cargo");
    command.args(["locate-project", "--workspace", "--message-format", "plain"]);
    if let Some(directory) = env::var_os("CARGO_MANIFEST_DIR") {
        command.current_dir(directory);
    }
    let manifest = programs::output_of(&mut command).await.map(|output| PathBuf::from(output.trim_end()));
    manifest
        .as_deref()
        .and_then(Path::parent)
        .map(Path::to_owned)
        .context("no Cargo workspace is here; run this as `cargo dev` inside the repository")
}

/// Two systems on the same data would disturb each other.
fn lock(data_dir: &Path) -> Result<File> {
    let file =
        File::create(data_dir.join("lock")).with_context(|| format!("{} cannot be written", data_dir.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("`cargo dev` is already running on {}; stop it first", data_dir.display())
        }
        Err(TryLockError::Error(error)) => Err(error).context("the data directory cannot be locked"),
    }
}

fn expect_free(port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!(
                "port {port} is taken by another program; stop that, or choose another: `PORT={} cargo dev`",
                port.checked_add(1).unwrap_or(3002)
            )
        }
        Err(error) => bail!("port {port} cannot be used ({error}); choose another: `PORT=3002 cargo dev`"),
    }
}

async fn seed_if_empty(databases: &Databases, environment: &BTreeMap<String, String>) -> Result<()> {
    let mut env: Env = environment.clone().into_iter().collect();
    let zone = config::business_time_zone(&mut env);
    let today = Clock::system(env.finish(zone)?).today();
    seed::fill_empty(databases, today).await
}

/// Builds programs of the workspace. Returns whether that succeeded.
async fn build(workspace: &Path, programs: &[&str]) -> Result<bool> {
    let mut cargo = process::Command::new("cargo");
    // Selects all packages, as the launcher and `cargo lambda watch` do, so that nothing is compiled twice.
    cargo.args(["build", "--workspace"]).args(programs.iter().flat_map(|program| ["--bin", program]));
    cargo.args(IS_RELEASE.then_some("--release")).current_dir(workspace);
    supervise::forget_cargo(&mut cargo);
    let status = supervise::run(&cargo).await.context("cargo cannot be started")?;
    Ok(status.is_some_and(|status| status.success()))
}

/// Gives `command` exactly `variables` as its environment. What it lacks, such as the variables of an AWS account, is not inherited.
fn set_environment(command: &mut process::Command, variables: &BTreeMap<String, String>) {
    command.envs(variables);
    for (name, _) in env::vars_os() {
        if !variables.contains_key(&*name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
}

fn server_options(options: &Options, data_dir: &Path, listen: Ipv4Addr) -> database_server::Options {
    database_server::Options {
        data_dir: data_dir.join("database"),
        port: None,
        also_listen: options.sam_local.is_some().then_some(listen),
        throw_away: false,
        arguments: Vec::new(),
        progress,
    }
}

/// Starts the database server again, on the same port, whenever it ends.
async fn keep_running(server: &mut DatabaseServer, options: impl Fn() -> database_server::Options) -> Result<()> {
    let mut early_ends = 0;
    loop {
        let started = Instant::now();
        server.wait().await;
        let options = options();
        let log = options.data_dir.join("server.log");
        early_ends = if started.elapsed() < STABLE_AFTER { early_ends + 1 } else { 0 };
        if early_ends >= MAX_EARLY_ENDS {
            let seconds = STABLE_AFTER.as_secs();
            bail!(
                "the database server ended {early_ends} times within {seconds} seconds of its start; its messages are in {}",
                log.display()
            );
        }
        progress("The database server ended unexpectedly. It starts again.");
        *server = DatabaseServer::start(database_server::Options { port: Some(server.port), ..options }).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_reported() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let message = expect_free(port).unwrap_err().to_string();
        assert!(message.contains(&format!("port {port} is taken")) && message.contains("PORT="), "{message}");
    }

    #[test]
    fn a_second_run_on_the_same_data_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let _first = lock(directory.path()).unwrap();
        assert!(lock(directory.path()).unwrap_err().to_string().contains("already running"));
    }
}
