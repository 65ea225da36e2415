//! The Lambda runner, which serves invocations with a router.

mod deployment_check;
mod framing;

use std::{
    future::ready,
    net::{SocketAddr, ToSocketAddrs},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    middleware::{map_request, map_response},
    response::Response,
};
use backon::{ConstantBuilder, Retryable};
use bytes::Bytes;
use deployment_check::Report;
pub use deployment_check::{CheckResult, DeploymentCheck};
use futures_util::Stream;
pub use lambda_http::Error;
use lambda_http::{
    Adapter, LambdaEvent, Service, StreamAdapter,
    lambda_runtime::{self, FunctionResponse},
    request::LambdaRequest,
    service_fn,
};
use serde::Serialize;
use tokio::task::yield_now;

use crate::{
    config::HttpConfig,
    http::with_layers,
    metrics,
    sockets::{Wanted, set_nodelay},
    telemetry,
};

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

/// Runs a function: starts its logs and metrics at once, and then `serve`. Returns the exit code of `main`, after logging the error of an
/// instance that cannot start or go on.
pub fn start(serve: impl Future<Output = Result<(), Error>>) -> impl Future<Output = ExitCode> {
    telemetry::init();
    // Boxed, since a large future is otherwise moved on the stack several times, and each time to pages that were not used before.
    // An `async fn` would hold it before it is boxed.
    let serve = Box::pin(serve);
    async {
        match serve.await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!("the function ends: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

/// How often an instance restarts its runtime. It is more often than clients disconnect, and still lets an instance whose runtime
/// API is gone end within seconds.
const MAX_RESUMPTIONS: usize = 500;

/// Serves the routes of a function, with the layers of every function, until the instance ends. Before the first request it waits
/// for `warm_up`, which opens the function's connections, and fetches the issuer's keys meanwhile. `routes` makes the routes and
/// the checks of a deployment. A check of authentication is added to them.
///
/// # Errors
/// As [`run`].
pub async fn serve(
    config: &HttpConfig,
    warm_up: impl Future<Output = ()>,
    routes: impl FnOnce() -> (Router, DeploymentCheck),
) -> Result<(), Error> {
    let delivery = Delivery::of_process();
    let router = async {
        // Connections are opened in the first turn of all three, and requests sent on them in the second. The router is made in the
        // third, while the servers respond.
        for _ in 0..2 {
            yield_now().await;
        }
        let (routes, check) = routes();
        (with_layers(routes, config, delivery), check)
    };
    let ((), (), (router, check)) = tokio::join!(warm_up, config.auth.warm_up(), router);
    let auth = config.auth.clone();
    let check = check.check("authentication", move || {
        let auth = auth.clone();
        async move { auth.check().await.map_err(str::to_owned) }
    });
    run(router, delivery, check).await
}

/// Serves invocations until the instance ends: those of gateways with `router`, and that of a deployment with `check`.
///
/// The runtime ends when a response cannot be delivered, for example because the client disconnects in the middle of it. The
/// instance is sound then, so the runtime is started again.
///
/// # Errors
/// When the runtime API cannot be reached; the instance is then lost.
pub async fn run(router: Router, delivery: Delivery, check: DeploymentCheck) -> Result<(), Error> {
    metrics::ready();
    let addresses = runtime_addresses();
    let connections = if concurrency() == 1 { Wanted::One } else { Wanted::All };
    // Outside the router, because the path is changed before routing.
    let router = Router::new().fallback_service(router).layer((
        map_request(move |request: Request| {
            // The runtime's client writes a streamed response in several small pieces.
            let _ = set_nodelay(connections, |peer| addresses.contains(&peer));
            ready(framing::restore_path(request))
        }),
        map_response(|response: Response| ready(framing::join_headers(response))),
    ));
    let check = Arc::new(check);
    let serve = || async {
        match delivery {
            // One invocation at a time, unless the environment asks for more.
            Delivery::Streaming => {
                let (router, check) = (router.clone(), check.clone());
                let respond = move |event| stream_response(router.clone(), check.clone(), event);
                lambda_runtime::run_concurrent(service_fn(respond)).await
            }
            Delivery::Buffered => {
                let respond = |event| whole_response(router.clone(), check.clone(), event);
                lambda_runtime::run(service_fn(respond)).await
            }
        }
    };
    let again = ConstantBuilder::new().with_delay(Duration::from_millis(10)).with_max_times(MAX_RESUMPTIONS);
    serve.retry(again).notify(|error, _| tracing::warn!(error = %error, "a response could not be delivered")).await
}

/// Responds to an invocation with a stream, or with the report of a check.
async fn stream_response(
    router: Router,
    check: Arc<DeploymentCheck>,
    event: LambdaEvent<LambdaRequest>,
) -> Result<FunctionResponse<Report, impl Stream<Item = Result<Bytes, axum::Error>> + Unpin + Send + 'static>, Error> {
    if is_deployment_check(&event.payload)? {
        return Ok(FunctionResponse::BufferedResponse(check.run().await));
    }
    let response = StreamAdapter::from(router).call(event);
    Ok(FunctionResponse::StreamingResponse(response.await?))
}

/// Responds to an invocation with one document.
async fn whole_response(
    router: Router,
    check: Arc<DeploymentCheck>,
    event: LambdaEvent<LambdaRequest>,
) -> Result<impl Serialize, Error> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Document<R> {
        Report(Report),
        Response(R),
    }
    if is_deployment_check(&event.payload)? {
        return Ok(Document::Report(check.run().await));
    }
    Ok(Document::Response(Adapter::from(router).call(event).await?))
}

/// Returns whether the event asks for the check of a deployment. `lambda_http` looks for that of a gateway first, so only other events
/// are parsed again.
///
/// # Errors
/// When the event is neither.
fn is_deployment_check(event: &LambdaRequest) -> Result<bool, Error> {
    match event {
        LambdaRequest::PassThrough(event) if deployment_check::is_requested(event) => Ok(true),
        LambdaRequest::PassThrough(_) => Err("the event is neither a gateway's nor the check of a deployment".into()),
        _ => Ok(false),
    }
}

/// Returns the addresses of the runtime API, which `AWS_LAMBDA_RUNTIME_API` names.
fn runtime_addresses() -> Vec<SocketAddr> {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap_or_default();
    let authority = api.rsplit("//").next().unwrap_or_default().split('/').next().unwrap_or_default();
    authority.to_socket_addrs().map(Iterator::collect).unwrap_or_default()
}
