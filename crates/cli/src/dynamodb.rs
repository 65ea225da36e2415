//! Runs a DynamoDB emulator inside this program for `cargo dev` and the tests, and creates the rate limiter's table in
//! an emulator or on AWS.

use std::{
    collections::BTreeMap,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use ai::limiter::{LimiterConfig, config::Timeouts, recent_requests, store};
use anyhow::{Context, Result, anyhow};
use app_core::config::Env;
use aws_sdk_dynamodb::{
    Client,
    error::ProvideErrorMetadata,
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
        TimeToLiveSpecification, TimeToLiveStatus,
    },
};
use backon::{ConstantBuilder, Retryable};
use dynoxide::Database;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

/// Where the emulator stores its tables.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In this directory, which is created if it does not exist.
    Directory(PathBuf),
    /// In memory; the tables are lost when the emulator stops.
    Memory,
}

/// A running emulator. Dropping this stops the emulator without waiting for its end.
#[derive(Debug)]
pub struct DynamoDb {
    pub endpoint: String,
    // Dropping the sender is the signal to stop.
    _running: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

/// How long stopping waits for running requests.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Timeouts for creating tables, which takes longer than the rate limiter's own requests.
const TABLE_TIMEOUTS: Timeouts = Timeouts { attempt: Duration::from_secs(5), total: Duration::from_secs(15) };

/// The retries while a table is being created: two minutes in all.
const TABLE_RETRY_DELAY: Duration = Duration::from_millis(500);
const TABLE_RETRIES: usize = 240;

impl DynamoDb {
    /// Starts an emulator on `port` or a free one. It accepts connections when this returns.
    ///
    /// # Errors
    /// When the tables cannot be opened or the port cannot be used.
    pub async fn start(storage: &Storage, port: Option<u16>) -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, storage, port).await
    }

    /// Starts an emulator like [`start`](Self::start), on another address of this machine.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_at(address: Ipv4Addr, storage: &Storage, port: Option<u16>) -> Result<Self> {
        let database = match storage {
            Storage::Memory => Database::memory().context("the DynamoDB emulator cannot be started")?,
            Storage::Directory(directory) => open(directory)?,
        };
        let listener =
            TcpListener::bind((address, port.unwrap_or(0))).await.context("the DynamoDB emulator cannot listen")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (running, mut stop) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            // This fails only if the listener fails, and then the emulator's clients report errors.
            let _ = dynoxide::server::serve_with_shutdown(listener, database, async move {
                let _ = (&mut stop).await;
            })
            .await;
        });
        Ok(Self { endpoint, _running: running, server })
    }

    /// Stops the emulator and waits until its file is closed.
    pub async fn stop(self) {
        let Self { _running: running, mut server, .. } = self;
        drop(running);
        if timeout(STOP_TIMEOUT, &mut server).await.is_err() {
            server.abort();
        }
    }

    /// Removes the tables in `directory`.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn erase(directory: &Path) -> Result<()> {
        if !directory.exists() {
            return Ok(());
        }
        fs::remove_dir_all(directory).with_context(|| format!("{} cannot be removed", directory.display()))
    }
}

fn open(directory: &Path) -> Result<Database> {
    fs::create_dir_all(directory).with_context(|| format!("{} cannot be created", directory.display()))?;
    let file = directory.join("tables.sqlite");
    let path = file.to_str().with_context(|| format!("{} is not valid UTF-8", file.display()))?;
    Database::new(path).with_context(|| {
        format!("the DynamoDB emulator cannot open {path}; `cargo dev --fresh` starts over without it")
    })
}

/// The variables by which AWS's programs know an account.
const AWS_ACCOUNT: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

/// Sets the variables for the emulator at `endpoint`, and removes those of the account that the shell uses.
pub fn use_emulator(variables: &mut BTreeMap<String, String>, endpoint: &str) {
    variables.retain(|name, _| !AWS_ACCOUNT.contains(&name.as_str()));
    for (name, value) in [
        ("AWS_ENDPOINT_URL_DYNAMODB", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "emulator"),
        ("AWS_SECRET_ACCESS_KEY", "emulator"),
    ] {
        variables.insert(name.to_owned(), value.to_owned());
    }
}

/// Creates the rate limiter's table where `variables` say, as [`create_rate_limit_table`] does.
///
/// # Errors
/// As [`create_rate_limit_table`], and when a variable is malformed.
pub async fn create_rate_limit_table_of(variables: &BTreeMap<String, String>) -> Result<()> {
    let mut env: Env = variables.clone().into_iter().collect();
    let limiter = LimiterConfig::read(&mut env);
    create_rate_limit_table(&env.finish(limiter)?).await
}

/// Creates the rate limiter's table if it does not exist, and turns on the removal of expired items.
///
/// # Errors
/// When DynamoDB cannot be reached or rejects a request.
pub async fn create_rate_limit_table(config: &LimiterConfig) -> Result<()> {
    let client = store::client(&ai::limiter::StoreConfig { timeouts: TABLE_TIMEOUTS, ..config.store.clone() });
    let table = &config.table;
    create(&client, table).await.with_context(|| format!("the DynamoDB table {table} cannot be created"))?;
    enable_time_to_live(&client, table)
        .await
        .with_context(|| format!("time to live cannot be turned on for the DynamoDB table {table}"))
}

async fn create(client: &Client, table: &str) -> Result<()> {
    let key = KeySchemaElement::builder().attribute_name(store::KEY).key_type(KeyType::Hash).build()?;
    let attribute =
        AttributeDefinition::builder().attribute_name(store::KEY).attribute_type(ScalarAttributeType::S).build()?;
    let created = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key)
        .attribute_definitions(attribute)
        .send()
        .await;
    match created {
        Ok(_) => {}
        Err(error) if error.code() == Some("ResourceInUseException") => {}
        Err(error) => return Err(error.into()),
    }
    // On AWS, a new table is not usable for some seconds.
    let is_active = || async {
        let description = client.describe_table().table_name(table).send().await?;
        match description.table.and_then(|table| table.table_status) {
            Some(TableStatus::Active) => Ok(()),
            status => Err(anyhow!("the table is not active but {status:?}")),
        }
    };
    let pauses = ConstantBuilder::default().with_delay(TABLE_RETRY_DELAY).with_max_times(TABLE_RETRIES);
    is_active.retry(pauses).await
}

async fn enable_time_to_live(client: &Client, table: &str) -> Result<()> {
    let described = client.describe_time_to_live().table_name(table).send().await?;
    let status = described.time_to_live_description.and_then(|description| description.time_to_live_status);
    if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let expiry =
        TimeToLiveSpecification::builder().enabled(true).attribute_name(recent_requests::EXPIRES_AT).build()?;
    client.update_time_to_live().table_name(table).time_to_live_specification(expiry).send().await?;
    Ok(())
}
