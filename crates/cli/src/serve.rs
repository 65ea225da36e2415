//! `rotracker serve`: all functions in one process, with the layers that they have on Lambda. `cargo dev` runs it.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, time::Duration};

use ai::AiConfig;
use ai_logs::AiLogsConfig;
use anyhow::{Context, Result, anyhow};
use app_core::{
    config::{ConfigError, Env, variables_of_process},
    db::Pool,
    http::{BODY_LIMIT_BYTES, is_announced_too_large, with_layers},
    lambda::Delivery,
    telemetry,
};
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use futures_util::stream;
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use inventory::InventoryConfig;
use ros::RosConfig;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
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

/// The most bodies that are read at once, so that 10,000 clients cannot fill the memory with them.
const MAX_BODIES: usize = 64;

/// The longest head of a request. What is not refused here is refused by `guards` of the core, with an answer.
const MAX_HEAD_BYTES: usize = 64 * 1024;

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
    /// The most seconds in which a client sends the head of its next request, sends a body, or takes a part of a response. Proxies
    /// keep idle connections for less than the default
    #[arg(long, value_name = "SECONDS", default_value_t = 75, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub client_timeout: u32,
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
    let connections = accept(listener, routes, &options, &mut signals).await;
    tracing::info!("finishing the running requests; Ctrl-C breaks them off");
    tokio::select! {
        () = connections.shutdown() => {}
        // Not SIGTERM, which supervisors repeat.
        () = signals.interrupted() => {}
    }
    if let Some(dynamodb) = dynamodb {
        dynamodb.stop().await;
    }
    Ok(())
}

/// Serves connections until a signal comes. Returns those that are open then.
async fn accept(listener: TcpListener, routes: Router, options: &Options, signals: &mut Signals) -> GracefulShutdown {
    let mut http = http1::Builder::new();
    // The head of a request must be there in this time, also that of the next one on the same connection.
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(options.client_timeout.into()));
    http.max_buf_size(MAX_HEAD_BYTES);
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = signals.received() => return connections,
        };
        let Ok((stream, _)) = accepted else {
            // There may be no file left until other connections end.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        set_options(&stream, options.client_timeout);
        let service = TowerToHyperService::new(routes.clone());
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service));
        // An error says that the client has gone or was too slow.
        tokio::spawn(async move { drop(connection.await) });
    }
}

/// Sets the options of a client's connection. This fails only if the client has already disconnected.
fn set_options(stream: &TcpStream, client_timeout: u32) {
    let _ = stream.set_nodelay(true);
    // A client that reads nothing would hold its response, and with a list a connection to the database, for ever.
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, client_timeout * 1000);
}

/// The limits on reading bodies.
#[derive(Clone)]
struct BodyReading {
    places: Arc<Semaphore>,
    client_timeout: Duration,
}

/// Reads the body of a request before the request takes a place among the running ones, so that slow clients hold none. A body that
/// does not come in time breaks off, and one that is announced as too large is not read.
async fn read_body(State(reading): State<BodyReading>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = if body.is_end_stream() || is_announced_too_large(&parts.headers) {
        body
    } else {
        let read = async {
            let _place = reading.places.acquire().await;
            collect(body).await
        };
        let too_slow = |_| Err(axum::Error::new(io::Error::from(io::ErrorKind::TimedOut)));
        match timeout(reading.client_timeout, read).await.unwrap_or_else(too_slow) {
            Ok(bytes) => Body::from(bytes),
            Err(error) => Body::from_stream(stream::iter([Err::<Bytes, _>(error)])),
        }
    };
    next.run(Request::from_parts(parts, body)).await
}

/// Reads a body, or as much of it as shows the handler that it is too large. (axum would not recognize the error of `to_bytes` as one of
/// size once it is the error of another body.)
async fn collect(mut body: Body) -> Result<Vec<u8>, axum::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            bytes.extend_from_slice(data);
        }
        if bytes.len() > BODY_LIMIT_BYTES {
            break;
        }
    }
    Ok(bytes)
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
    let Options { host, port, client_timeout, .. } = options;
    let reading = BodyReading {
        places: Arc::new(Semaphore::new(MAX_BODIES)),
        client_timeout: Duration::from_secs((*client_timeout).into()),
    };
    let routes = routes(&variables, reading).await?;
    let listener =
        TcpListener::bind((&**host, *port)).await.with_context(|| format!("cannot listen on {host}, port {port}"))?;
    Ok((dynamodb, routes, listener))
}

/// Creates the routes of all functions and of the documentation page, and connects to the database, DynamoDB, Anthropic and the
/// issuer.
async fn routes(variables: &BTreeMap<String, String>, reading: BodyReading) -> Result<Router> {
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
    let service =
        service.layer(GlobalConcurrencyLimitLayer::new(MAX_REQUESTS)).layer(from_fn_with_state(reading, read_body));
    Ok(docs::router()?.fallback_service(service))
}

/// Raises the limit of open files to what the system allows. Each connection is one, and many systems start with 1,024.
fn allow_many_connections() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If this fails, the old limit stays, and connections above it wait until others close.
    let _ = setrlimit(Resource::Nofile, limit);
}
