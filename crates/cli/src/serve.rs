//! `rotracker serve`: all functions in one process, with the layers that they have on Lambda. `cargo dev` runs it.

use std::{collections::BTreeMap, future::IntoFuture, path::PathBuf, pin::pin};

use ai::AiConfig;
use ai_logs::AiLogsConfig;
use anyhow::{Context, Result, anyhow};
use app_core::{
    config::{ConfigError, Env, variables_of_process},
    db::Pool,
    http::with_layers,
    lambda::Delivery,
    telemetry,
};
use axum::{Router, serve::ListenerExt};
use inventory::InventoryConfig;
use ros::RosConfig;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{net::TcpListener, sync::oneshot};
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::{
    docs,
    dynamodb::{self, DynamoDb, Storage},
    migrate::Databases,
    signals::Signals,
};

/// The most connections to each database, unless `DB_MAX_CONNECTIONS` is set.
const MAX_CONNECTIONS: &str = "10";

/// The most requests whose response has not begun. Further ones wait here, before they ask for a connection to the database,
/// because waiting for that fails after some seconds.
const MAX_REQUESTS: usize = 64;

/// The options of `rotracker serve`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Address or name to listen on
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: String,
    /// Port to listen on
    #[arg(long, env = "PORT", default_value_t = 3001)]
    pub port: u16,
    /// Answer below /.netlify/functions/api in the shapes that version 2.6 of the dashboard expects
    #[arg(long)]
    pub legacy_dashboard: bool,
    /// Keep the rate limit in this directory instead of DynamoDB
    #[arg(long, value_name = "DIRECTORY")]
    pub embedded_dynamodb: Option<PathBuf>,
}

/// Serves requests until SIGTERM or SIGINT tells it to stop. Then it accepts no more requests and finishes the running ones. A
/// SIGINT after that breaks them off.
///
/// # Errors
/// When the environment is not complete or the port cannot be used.
pub async fn run(options: Options) -> Result<()> {
    telemetry::init();
    allow_many_connections();
    let mut signals = Signals::listen()?;
    let (dynamodb, routes, listener) = tokio::select! {
        started = start(&options) => started?,
        () = signals.received() => return Ok(()),
    };
    tracing::info!("listening on http://{}", listener.local_addr()?);
    // This fails only if the client has already disconnected.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));

    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, routes).with_graceful_shutdown(async { drop(stopped.await) });
    let mut server = pin!(server.into_future());
    tokio::select! {
        served = &mut server => served?,
        () = signals.received() => {
            tracing::info!("finishing the running requests; Ctrl-C breaks them off");
            drop(stop);
            tokio::select! {
                served = &mut server => served?,
                // Not SIGTERM, which supervisors repeat.
                () = signals.interrupted() => {}
            }
        }
    }
    if let Some(dynamodb) = dynamodb {
        dynamodb.stop().await;
    }
    Ok(())
}

/// Starts the DynamoDB emulator if it is wanted, opens the first connections, and binds the port.
async fn start(options: &Options) -> Result<(Option<DynamoDb>, Router, TcpListener)> {
    let mut variables = variables_of_process();
    let max_connections = variables.entry("DB_MAX_CONNECTIONS".to_owned()).or_default();
    if max_connections.trim().is_empty() {
        MAX_CONNECTIONS.clone_into(max_connections);
    }
    if options.legacy_dashboard {
        variables.insert("LEGACY_DASHBOARD".to_owned(), "true".to_owned());
    }
    let dynamodb = match &options.embedded_dynamodb {
        Some(directory) => {
            let emulator = DynamoDb::start(&Storage::Directory(directory.clone()), None).await?;
            dynamodb::use_emulator(&mut variables, &emulator.endpoint);
            dynamodb::create_rate_limit_table_of(&variables).await?;
            Some(emulator)
        }
        None => None,
    };
    let routes = routes(&variables).await?;
    let Options { host, port, .. } = options;
    let listener =
        TcpListener::bind((&**host, *port)).await.with_context(|| format!("cannot listen on {host}, port {port}"))?;
    Ok((dynamodb, routes, listener))
}

/// Creates the routes of all functions and of the documentation page, and connects to the database, DynamoDB, Anthropic and the
/// issuer.
async fn routes(variables: &BTreeMap<String, String>) -> Result<Router> {
    let new_env = || variables.clone().into_iter().collect::<Env>();
    let configs = (
        Databases::read(new_env()),
        RosConfig::read(new_env()),
        InventoryConfig::read(new_env()),
        AiConfig::read(new_env()),
        AiLogsConfig::read(new_env()),
    );
    let (databases, ros, inventory, ai, ai_logs) = match configs {
        (Ok(databases), Ok(ros), Ok(inventory), Ok(ai), Ok(ai_logs)) => (databases, ros, inventory, ai, ai_logs),
        (databases, ros, inventory, ai, ai_logs) => {
            let errors = [databases.err(), ros.err(), inventory.err(), ai.err(), ai_logs.err()];
            return Err(ConfigError::join(errors.into_iter().flatten()).into());
        }
    };

    let main_pool = Pool::new(&databases.server, &databases.main);
    let inventory_pool = if databases.inventory == databases.main {
        main_pool.clone()
    } else {
        Pool::new(&databases.server, &databases.inventory)
    };
    let ai_state = ai.state_on(|_, _| main_pool.clone()).map_err(|error| anyhow!(error))?;
    tokio::join!(main_pool.warm_up(), inventory_pool.warm_up(), ai_state.warm_up(), ros.http.auth.warm_up());
    let is_legacy_dashboard = ros.http.legacy_dashboard;
    let routes = ros::router(ros.state_on(main_pool.clone()), is_legacy_dashboard)
        .merge(inventory::router(inventory.state_on(inventory_pool), is_legacy_dashboard))
        .merge(ai::router(ai_state))
        .merge(ai_logs::router(ai_logs.state_on(main_pool)));
    let service = with_layers(routes, &ros.http, Delivery::Streaming);
    Ok(docs::router()?.fallback_service(service.layer(GlobalConcurrencyLimitLayer::new(MAX_REQUESTS))))
}

/// Raises the limit of open files to what the system allows. Each connection is one, and many systems start with 1,024.
fn allow_many_connections() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If this fails, the old limit stays, and connections above it wait until others close.
    let _ = setrlimit(Resource::Nofile, limit);
}
