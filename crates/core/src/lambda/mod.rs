//! The Lambda runner: hands a router to the runtime in the way the place needs it.

mod framing;
#[cfg(target_os = "linux")]
mod nodelay;

use std::{future::ready, process::ExitCode, time::Duration};

use axum::{
    Router,
    extract::Request,
    middleware::{map_request, map_response},
    response::Response,
};
use backon::{ConstantBuilder, Retryable};
pub use lambda_http::Error;

use crate::{config::HttpConfig, http::with_layers, metrics};

/// Where the function runs, as far as answers differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// AWS Lambda and `cargo lambda watch`: answers are streamed.
    Streaming,
    /// `sam local`, which can neither stream nor pass compressed bytes on: answers are sent whole and plain.
    Buffered,
}

impl Delivery {
    /// `AWS_SAM_LOCAL` is set to `true` by `sam local` in its containers, and nowhere else.
    pub fn of_process() -> Self {
        if std::env::var("AWS_SAM_LOCAL").is_ok_and(|value| value == "true") { Self::Buffered } else { Self::Streaming }
    }
}

/// How many requests the instance may have at once. Lambda says so in `AWS_LAMBDA_MAX_CONCURRENCY` where it is more than
/// one.
pub(crate) fn concurrency() -> u32 {
    let concurrency = std::env::var("AWS_LAMBDA_MAX_CONCURRENCY").ok();
    concurrency.and_then(|number| number.parse().ok()).unwrap_or(1).max(1)
}

/// What a function's `main` returns: an instance that cannot start or go on says why in its log, once.
pub fn exit_code(served: Result<(), Error>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the function ends: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How often an instance goes on after its runtime gave up. More often than clients leave, and rare enough for an
/// instance whose runtime API is gone to end within seconds.
const MAX_RESUMPTIONS: usize = 500;

/// Serves a function's routes, with the layers that every function has around them, until the instance ends. Before the
/// first request it waits for `warm_up`, which opens the function's connections, and fetches the issuer's keys beside it.
///
/// # Errors
/// As [`run`].
pub async fn serve(routes: Router, config: &HttpConfig, warm_up: impl Future<Output = ()>) -> Result<(), Error> {
    let delivery = Delivery::of_process();
    tokio::join!(warm_up, config.auth.warm_up());
    run(with_layers(routes, config, delivery), delivery).await
}

/// Serves invocations with `router` until the instance ends.
///
/// The runtime gives up when an answer cannot be handed over, as when a client leaves in the middle of it. Nothing in
/// the instance is wrong then, so it goes on instead of being started anew.
///
/// # Errors
/// When the runtime API cannot be reached; the instance is then lost.
pub async fn run(router: Router, delivery: Delivery) -> Result<(), Error> {
    metrics::ready();
    let router = router.layer(map_response(|response: Response| ready(framing::join_headers(response))));
    // Outside of the router, since it changes the path that is routed by.
    let router = Router::new()
        .fallback_service(router)
        .layer(map_request(|request: Request| ready(framing::restore_path(request))));
    #[cfg(target_os = "linux")]
    let connections = nodelay::RuntimeConnections::of_process();
    #[cfg(target_os = "linux")]
    let router = router.layer(map_request(move |request: Request| {
        connections.send_at_once();
        ready(request)
    }));
    let serve = || async {
        match delivery {
            // Falls back to one invocation at a time where the place asks for no more.
            Delivery::Streaming => lambda_http::run_with_streaming_response_concurrent(router.clone()).await,
            Delivery::Buffered => lambda_http::run(router.clone()).await,
        }
    };
    let again = ConstantBuilder::new().with_delay(Duration::from_millis(10)).with_max_times(MAX_RESUMPTIONS);
    serve.retry(again).notify(|error, _| tracing::warn!(error = %error, "an answer could not be handed over")).await
}
