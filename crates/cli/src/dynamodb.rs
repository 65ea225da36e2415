//! A DynamoDB of our own, for `cargo dev` and for the tests: an emulator inside this program, reachable from this
//! machine only, and gone when we are. And the table that the rate limiter needs, there or elsewhere.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use ai::limiter::{LimiterConfig, config::Timeouts, recent_requests, store};
use anyhow::{Context, Result, anyhow};
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

/// Where the emulator keeps its tables.
#[derive(Clone, Debug)]
pub enum Storage {
    /// Below this directory, which is made when it is not there.
    Directory(PathBuf),
    /// Nowhere: they end with it.
    Memory,
}

/// A running emulator. Dropping this stops it, without waiting.
#[derive(Debug)]
pub struct DynamoDb {
    /// Its URL.
    pub endpoint: String,
    // Dropping the sender is the signal to stop.
    _running: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

/// How long requests that are under way may hold up the end.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// What an administrator's calls may take.
const PATIENT: Timeouts = Timeouts { attempt: Duration::from_secs(5), total: Duration::from_secs(15) };

/// How long and how often to wait for a table that is being made: two minutes in all.
const TABLE_RETRY_DELAY: Duration = Duration::from_millis(500);
const TABLE_RETRIES: usize = 240;

impl DynamoDb {
    /// Starts an emulator on `port`, or a free one. It listens when this returns.
    ///
    /// # Errors
    /// A sentence that says what stands in the way.
    pub async fn start(storage: &Storage, port: Option<u16>) -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, storage, port).await
    }

    /// As [`start`](Self::start), on another address of this machine.
    ///
    /// # Errors
    /// A sentence that says what stands in the way.
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
            // It only fails where the listener does, and then everything that needs it says so.
            let _ = dynoxide::server::serve_with_shutdown(listener, database, async move {
                let _ = (&mut stop).await;
            })
            .await;
        });
        Ok(Self { endpoint, _running: running, server })
    }

    /// Stops it and waits until its file is closed.
    pub async fn stop(self) {
        let Self { _running: running, mut server, .. } = self;
        drop(running);
        if timeout(STOP_TIMEOUT, &mut server).await.is_err() {
            server.abort();
        }
    }

    /// Removes the tables below `directory`.
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
    fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
    let file = directory.join("tables.sqlite");
    let path = file.to_str().with_context(|| format!("{} is not a path in Unicode", file.display()))?;
    Database::new(path).with_context(|| {
        format!("the DynamoDB emulator cannot open {path}; `cargo dev --fresh` starts over without it")
    })
}

/// Makes the table of the rate limit, unless it is there, and has expired items removed from it.
///
/// # Errors
/// When DynamoDB cannot be reached or refuses.
pub async fn create_rate_limit_table(config: &LimiterConfig) -> Result<()> {
    let client = store::client(&ai::limiter::StoreConfig { timeouts: PATIENT, ..config.store.clone() });
    let table = &config.table;
    create(&client, table).await.with_context(|| format!("the DynamoDB table {table} cannot be made"))?;
    expire(&client, table).await.with_context(|| format!("the DynamoDB table {table} cannot be made to expire items"))
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
    // On AWS it takes some seconds until the table can be used.
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

async fn expire(client: &Client, table: &str) -> Result<()> {
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
