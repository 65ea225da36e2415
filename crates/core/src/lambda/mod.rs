//! The Lambda runner, which serves invocations with a router.

mod framing;

use std::{
    future::ready,
    net::{SocketAddr, ToSocketAddrs},
    process::ExitCode,
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    middleware::{map_request, map_response},
    response::Response,
};
use backon::{ConstantBuilder, Retryable};
pub use lambda_http::Error;
use tokio::task::yield_now;

use crate::{config::HttpConfig, http::with_layers, metrics, nodelay::set_nodelay, telemetry};

/// How responses are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Streamed, on AWS Lambda and under `cargo lambda watch`.
    Streaming,
    /// Whole and uncompressed, under `sam local`, which can neither stream nor pass on compressed bytes.
    Buffered,
}

impl Delivery {
    /// Reads `AWS_SAM_LOCAL`, which only `sam local` sets to `true` in its containers.
    pub fn of_process() -> Self {
        if std::env::var("AWS_SAM_LOCAL").is_ok_and(|value| value == "true") { Self::Buffered } else { Self::Streaming }
    }
}

/// Returns the number of requests that the instance may have at once. Lambda sets `AWS_LAMBDA_MAX_CONCURRENCY` if it is more than one.
pub(crate) fn concurrency() -> u32 {
    let concurrency = std::env::var("AWS_LAMBDA_MAX_CONCURRENCY").ok();
    concurrency.and_then(|number| number.parse().ok()).unwrap_or(1).max(1)
}

/// Runs a function: starts its logs and metrics, and then `serve`. Returns the exit code of `main`, after logging the error of an
/// instance that cannot start or go on.
pub async fn start(serve: impl Future<Output = Result<(), Error>>) -> ExitCode {
    telemetry::init();
    match serve.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the function ends: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How often an instance restarts its runtime. It is more often than clients disconnect, and still lets an instance whose runtime
/// API is gone end within seconds.
const MAX_RESUMPTIONS: usize = 500;

/// Serves the routes of a function, with the layers of every function, until the instance ends. Before the first request it waits
/// for `warm_up`, which opens the function's connections, and fetches the issuer's keys meanwhile.
///
/// # Errors
/// As [`run`].
pub async fn serve(routes: Router, config: &HttpConfig, warm_up: impl Future<Output = ()>) -> Result<(), Error> {
    let delivery = Delivery::of_process();
    let router = async {
        // Connections are opened in the first turn of all three, and requests sent on them in the second. The layers are put
        // together in the third, while the servers respond.
        for _ in 0..2 {
            yield_now().await;
        }
        with_layers(routes, config, delivery)
    };
    let ((), (), router) = tokio::join!(warm_up, config.auth.warm_up(), router);
    run(router, delivery).await
}

/// Serves invocations with `router` until the instance ends.
///
/// The runtime ends when a response cannot be delivered, for example because the client disconnects in the middle of it. The
/// instance is sound then, so the runtime is started again.
///
/// # Errors
/// When the runtime API cannot be reached; the instance is then lost.
pub async fn run(router: Router, delivery: Delivery) -> Result<(), Error> {
    metrics::ready();
    let router = router.layer(map_response(|response: Response| ready(framing::join_headers(response))));
    // Outside the router, because it changes the path before routing.
    let router = Router::new()
        .fallback_service(router)
        .layer(map_request(|request: Request| ready(framing::restore_path(request))));
    let addresses = runtime_addresses();
    let router = router.layer(map_request(move |request: Request| {
        // The runtime's client writes a streamed response in several small pieces.
        let _ = set_nodelay(|peer| addresses.contains(&peer));
        ready(request)
    }));
    let serve = || async {
        match delivery {
            // One invocation at a time, unless the environment asks for more.
            Delivery::Streaming => lambda_http::run_with_streaming_response_concurrent(router.clone()).await,
            Delivery::Buffered => lambda_http::run(router.clone()).await,
        }
    };
    let again = ConstantBuilder::new().with_delay(Duration::from_millis(10)).with_max_times(MAX_RESUMPTIONS);
    serve.retry(again).notify(|error, _| tracing::warn!(error = %error, "a response could not be delivered")).await
}

/// Returns the addresses of the runtime API, which `AWS_LAMBDA_RUNTIME_API` names.
fn runtime_addresses() -> Vec<SocketAddr> {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap_or_default();
    let authority = api.rsplit("//").next().unwrap_or_default().split('/').next().unwrap_or_default();
    authority.to_socket_addrs().map(Iterator::collect).unwrap_or_default()
}
