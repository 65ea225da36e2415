//! `cargo dev`: the whole system on this machine, from a database server to the real function binaries behind
//! `cargo lambda watch`, which sends each path to its function as the root `Cargo.toml` says.
//!
//! Everything it starts ends with it, however it ends (see [`supervise`]).

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File, TryLockError},
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use ai::limiter::LimiterConfig;
use anyhow::{Context, Result, bail};
use app_core::{
    clock::Clock,
    config::{self, Env},
};
use reqwest::StatusCode;
use tokio::{
    process::Command,
    signal::unix::{Signal, SignalKind, signal},
    time::{sleep, timeout},
};

use crate::{
    cargo_lambda,
    database_server::{self, CONTAINERS, DatabaseServer},
    dynamodb::{self, DynamoDb, Storage},
    fake_anthropic::{self, FakeAnthropic},
    fake_issuer::{self, FakeIssuer},
    local_client::local_client,
    migrate::{self, Databases},
    output::{print, progress},
    programs, sam_local,
    sam_local::Containers,
    seed,
    supervise::{self, Supervised, Supervision},
};

/// A Lambda function, and the path on which it says that it works.
struct Function {
    name: &'static str,
    health: &'static str,
}

/// The functions that run. The router in the root `Cargo.toml` must know them too.
const FUNCTIONS: &[Function] = &[
    Function { name: "ros", health: "/health" },
    Function { name: "inventory", health: "/api/inventory/tables" },
    Function { name: "ai", health: "/api/ai/health" },
    Function { name: "ai-logs", health: "/api/ai-logs/stats" },
    // Not deployed: the documentation page.
    Function { name: "docs", health: "/openapi.json" },
];

/// What a function's environment holds where ours says nothing else.
const DEFAULTS: &[(&str, &str)] = &[
    ("DB_NAME_DEV", "ro_tracker_dev"),
    ("DB_NAME_PROD", "ro_tracker_prod"),
    ("DB_NAME_INVENTORY", "genthrust_inventory"),
    ("FRONTEND_URL", "http://localhost:5173"),
    ("RUST_LOG", "info"),
    ("AI_LOG_CONVERSATIONS", "true"),
];

/// The variables by which AWS's programs know an account. The functions get none of the shell's, unless they are to
/// use the DynamoDB that it names.
const AWS_ACCOUNT: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

/// How long a function may take to answer once it is compiled.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(60);

/// What `cargo dev` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Port of the API on 127.0.0.1
    #[arg(long, env = "PORT", default_value_t = 3001, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Start over with a new database; the old one is lost
    #[arg(long)]
    pub fresh: bool,
    /// Build the functions optimised
    #[arg(long)]
    pub release: bool,
    /// Leave empty tables empty
    #[arg(long)]
    pub no_sample_data: bool,
    /// Let the assistant be answered by a stand-in for Anthropic, without a key
    #[arg(long)]
    pub fake_anthropic: bool,
    /// Ask callers for tokens, of an issuer on this machine that makes them for anybody; containers do not reach it
    #[arg(long, conflicts_with = "sam_local")]
    pub auth: bool,
    /// How many instances of each function may run at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub instances: u16,
    /// Let `sam local start-api` use the database and the emulators: listen where containers reach this machine,
    /// at Docker's default network or ADDRESS, and write target/dev/sam-local.json
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, value_parser = sam_local::parse_address)]
    pub sam_local: Option<Option<Ipv4Addr>>,
    /// Where its data live; `target/dev` in the workspace unless set
    #[arg(long, hide = true)]
    pub data_dir: Option<PathBuf>,
}

/// Runs the system until it is told to stop.
///
/// # Errors
/// A sentence that says what stands in the way, or what ended unasked, and what to do about it.
pub async fn run(options: Options) -> Result<()> {
    let mut signals = Signals::listen()?;
    let mut system = System::default();
    let outcome = tokio::select! {
        () = signals.received() => {
            progress("Stopping.");
            Ok(())
        }
        outcome = system.run(&options) => outcome,
    };
    // From here on further signals change nothing; each step takes a limited time.
    system.stop().await;
    // What was being started when the signal came was dropped, and may still be on its way out.
    supervise::all_ended().await;
    outcome
}

/// The signals by which we are told to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// What is running.
#[derive(Default)]
struct System {
    lock: Option<File>,
    database: Option<DatabaseServer>,
    dynamodb: Option<DynamoDb>,
    anthropic: Option<FakeAnthropic>,
    issuer: Option<FakeIssuer>,
    functions: Option<Supervised>,
    /// Where the file for `sam local` is, while there is one.
    sam_local: Option<PathBuf>,
}

impl System {
    /// Starts everything and watches over it; returns when something ended that should not.
    async fn run(&mut self, options: &Options) -> Result<()> {
        let workspace = workspace_root().await?;
        let default_data_dir = workspace.join("target").join("dev");
        let data_dir = options.data_dir.clone().unwrap_or_else(|| default_data_dir.clone());
        fs::create_dir_all(&data_dir).with_context(|| format!("{} cannot be made", data_dir.display()))?;
        self.lock = Some(lock(&data_dir)?);
        expect_free(options.port)?;
        // What a run that was killed left would lead nowhere.
        sam_local::remove(&data_dir)?;
        let containers = match options.sam_local {
            Some(address) => Some(Containers::find(address).await?),
            None => None,
        };
        let listen = containers.as_ref().map_or(Ipv4Addr::LOCALHOST, |containers| containers.listen);
        let cargo_lambda = cargo_lambda::find_or_install(&default_data_dir.join("tools"), progress).await?;

        let mut environment = self.start_database(options, &data_dir, listen).await?;
        let databases = Databases::read(environment.clone().into_iter().collect())?;
        migrate::migrate_all(&databases, migrate::Options { dry_run: false }).await?;
        if !options.no_sample_data {
            seed_if_empty(&databases, &environment).await?;
        }
        self.start_dynamodb(options, &data_dir, listen, &mut environment).await?;
        self.start_anthropic(options, listen, &mut environment).await?;
        self.start_issuer(options, &mut environment).await?;

        build(&workspace, options).await?;
        let functions = watch(&cargo_lambda, &workspace, options, &environment)?;
        let functions = self.functions.insert(functions);
        tokio::select! {
            _ = functions.wait() => bail!("`cargo lambda watch` ended at its start; its messages are above"),
            healthy = healthy(options.port) => healthy?,
        }
        if let Some(containers) = containers {
            self.sam_local = Some(data_dir.clone());
            let_sam_in(&containers, self.database.as_ref(), &data_dir, &databases, environment).await?;
        }
        print(&format!("ready: http://127.0.0.1:{}", options.port));

        let database_ended = async {
            match &self.database {
                Some(database) => database.wait().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = functions.wait() => bail!("`cargo lambda watch` ended unasked; its messages are above"),
            () = database_ended => {
                let log = data_dir.join("database").join("server.log");
                bail!("the database server ended unasked; its messages are in {}", log.display())
            }
        }
    }

    /// Starts a database server unless the environment names one. Returns the functions' environment.
    async fn start_database(
        &mut self,
        options: &Options,
        data_dir: &Path,
        listen: Ipv4Addr,
    ) -> Result<BTreeMap<String, String>> {
        let mut environment: BTreeMap<String, String> = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        for (name, value) in DEFAULTS {
            if is_blank(environment.get(*name)) {
                environment.insert((*name).to_owned(), (*value).to_owned());
            }
        }
        // Never the production database, whatever the shell says.
        environment.remove("NODE_ENV");
        environment.insert("APP_ENV".to_owned(), "development".to_owned());

        let database_dir = data_dir.join("database");
        if !is_blank(environment.get("DB_HOST")) {
            if options.fresh {
                bail!("--fresh starts over with a database server of our own, but DB_HOST names another; unset one");
            }
            return Ok(environment);
        }
        if options.fresh && database_dir.exists() {
            progress(&format!("Removing the database in {}.", database_dir.display()));
            DatabaseServer::erase(&database_dir).await?;
        }
        let server_options = database_server::Options {
            data_dir: database_dir,
            port: None,
            also_listen: options.sam_local.is_some().then_some(listen),
            throw_away: false,
            arguments: Vec::new(),
            progress,
        };
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

    /// Starts a DynamoDB emulator unless the environment names an endpoint, and makes the table of the rate limit.
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
            // Whatever account the shell is signed in to, it has no business here.
            environment.retain(|name, _| !AWS_ACCOUNT.contains(&name.as_str()));
            for (name, value) in [
                ("AWS_ENDPOINT_URL_DYNAMODB", emulator.endpoint.as_str()),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "emulator"),
                ("AWS_SECRET_ACCESS_KEY", "emulator"),
            ] {
                environment.insert(name.to_owned(), value.to_owned());
            }
        }
        let mut env: Env = environment.clone().into_iter().collect();
        let limiter = LimiterConfig::read(&mut env);
        dynamodb::create_rate_limit_table(&env.finish(limiter)?).await
    }

    /// Starts a stand-in for Anthropic, if it is wanted, and says what becomes of chats otherwise.
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
            progress("No ANTHROPIC_API_KEY is set: chats are answered 503. `cargo dev --fake-anthropic` answers them.");
        }
        Ok(())
    }

    /// Starts an issuer of tokens, if one is wanted.
    async fn start_issuer(&mut self, options: &Options, environment: &mut BTreeMap<String, String>) -> Result<()> {
        if options.auth {
            if !is_blank(environment.get("AUTH_ISSUER")) {
                bail!("--auth starts an issuer of our own, but AUTH_ISSUER names another; unset one");
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

    /// Stops what runs: first those that use the databases.
    async fn stop(self) {
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

/// Lets the functions that `sam local` runs in containers use what runs, and says how to start it.
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
        // A MySQL server of our own wants TLS, a MariaDB server has none.
        environment.insert("DB_SSL_MODE".to_owned(), "PREFERRED".to_owned());
    }
    containers.write(data_dir, &environment)?;
    // SAM takes arm64 unless told otherwise, as the template does.
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

/// Compiles the functions now, so that the compiler's messages are readable and the first request is quick.
async fn build(workspace: &Path, options: &Options) -> Result<()> {
    // The same selection as that of `cargo lambda watch`, which cannot name several packages: crates are then built
    // with the same features and only once.
    let mut cargo = process::Command::new("cargo");
    cargo.arg("build").args(FUNCTIONS.iter().flat_map(|function| ["--bin", function.name]));
    cargo.args(options.release.then_some("--release")).current_dir(workspace);
    supervise::forget_cargo(&mut cargo);
    let status = supervise::run(&cargo).await.context("cargo cannot be started")?;
    if !status.is_some_and(|status| status.success()) {
        bail!("the functions could not be built; the compiler's messages are above");
    }
    Ok(())
}

/// Starts the emulator, which starts instances of the functions as requests come, and anew when the code changes.
fn watch(
    cargo_lambda: &Path,
    workspace: &Path,
    options: &Options,
    environment: &BTreeMap<String, String>,
) -> Result<Supervised> {
    let mut command = process::Command::new(cargo_lambda);
    command.args(["lambda", "watch", "--quiet", "--invoke-address", "127.0.0.1"]);
    command.args(["--invoke-port", &options.port.to_string(), "--concurrency", &options.instances.to_string()]);
    // The functions answer CORS themselves, here as on AWS.
    command.arg("--disable-cors").args(options.release.then_some("--release"));
    command.current_dir(workspace).env_remove("NODE_ENV").envs(environment);
    let is_ours = |name: &str| name.starts_with("DB_SSL_") || AWS_ACCOUNT.contains(&name);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_ours)) {
        if !environment.contains_key(&*name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    // One variable filters the logs of the functions and of the emulator, which calls each reload an error.
    if let Some(filter) = environment.get("RUST_LOG").filter(|filter| !filter.contains("cargo_lambda")) {
        command.env("RUST_LOG", format!("{filter},cargo_lambda=off,watchexec=off"));
    }
    supervise::forget_cargo(&mut command);
    // As on Lambda, nothing in an instance is worth an orderly end, which the emulator makes a noisy one.
    let supervision = Supervision { grace: Duration::ZERO, ..Supervision::default() };
    Supervised::spawn(&command, supervision).context("cargo-lambda cannot be started")
}

/// Waits until every function answers.
async fn healthy(port: u16) -> Result<()> {
    let client = local_client().timeout(Duration::from_secs(5)).build()?;
    for Function { name, health } in FUNCTIONS {
        let url = format!("http://127.0.0.1:{port}{health}");
        let mut answer = "no answer".to_owned();
        let answered = timeout(HEALTH_TIMEOUT, async {
            loop {
                match client.get(&url).send().await {
                    // Whoever wants a token works, too.
                    Ok(response) if response.status().is_success() || response.status() == StatusCode::UNAUTHORIZED => {
                        // Leaving before the end of the answer would cost the function its instance.
                        let _ = response.bytes().await;
                        return;
                    }
                    Ok(response) => answer = response.status().to_string(),
                    Err(_) => {}
                }
                sleep(Duration::from_millis(50)).await;
            }
        });
        if answered.await.is_err() {
            let seconds = HEALTH_TIMEOUT.as_secs();
            bail!(
                "the function {name} was not healthy within {seconds} seconds ({url}: {answer}); its messages are above"
            );
        }
    }
    Ok(())
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
