//! Runs the real function binaries under `cargo lambda watch`, behind a gateway that limits how many requests run at once.

use std::{
    collections::BTreeMap,
    env,
    fs::{File, TryLockError},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use app_core::http::{ApiError, BODY_LIMIT_BYTES, BasePath, body_bytes};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    response::{IntoResponse, Response},
};
use futures_util::stream::poll_fn;
use http::{HeaderName, StatusCode, header};
use reqwest::Client;
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{IS_RELEASE, Options, build, set_environment};
use crate::{
    local_client::local_client,
    output::progress,
    supervise::{self, Supervised, Supervision},
};

/// A Lambda function, and a path that answers 200 or 401 when it works.
struct Function {
    name: &'static str,
    health: &'static str,
}

/// The functions. The router in the root `Cargo.toml` must list them, too.
const FUNCTIONS: &[Function] = &[
    Function { name: "ros", health: "/health" },
    Function { name: "inventory", health: "/api/inventory/tables" },
    Function { name: "ai", health: "/api/ai/health" },
    Function { name: "ai-logs", health: "/api/ai-logs/stats" },
    // Not deployed: the documentation page.
    Function { name: "docs", health: "/openapi.json" },
];

/// How long a function may take to respond once it is compiled.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The most requests that `cargo lambda watch` has at once. Version 1.9.2 hangs for ever once a hundred requests wait.
const MAX_REQUESTS: usize = 64;

/// How long further requests wait before they get a 503.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// How often to report which function is still awaited.
const REPORT_INTERVAL: Duration = Duration::from_secs(15);

/// The running functions.
pub(super) struct Functions {
    watch: Supervised,
    gateway: JoinHandle<()>,
}

impl Functions {
    /// Builds the functions, starts them with `variables`, and waits until each responds.
    ///
    /// # Errors
    /// When they cannot be built or do not respond.
    pub(super) async fn start(
        cargo_lambda: &Path,
        workspace: &Path,
        options: &Options,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self> {
        progress("Building the functions.");
        // Built now, so that the compiler's messages are readable and the first request is quick.
        let names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
        if !build(workspace, &names).await? {
            bail!("the functions could not be built; the compiler's messages are above");
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port();
        let build_lock = build_lock()?;
        let watch = watch(cargo_lambda, workspace, options, port, variables)?;
        tokio::select! {
            _ = watch.wait() => bail!("`cargo lambda watch` exited at its start; its messages are above"),
            healthy = wait_until_healthy(port, &build_lock) => healthy?,
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await;
        let listener = listener.with_context(|| format!("port {} cannot be used", options.port))?;
        let gateway = Gateway {
            client: local_client().no_gzip().redirect(reqwest::redirect::Policy::none()).build()?,
            port,
            // Functions report a malformed one.
            base_path: variables.get("BASE_PATH").and_then(|path| path.trim().parse().ok()).unwrap_or_default(),
            permits: Arc::new(Semaphore::new(MAX_REQUESTS)),
        };
        let routes = routes(gateway);
        let gateway = tokio::spawn(async move {
            // This fails only if the listener fails, and clients notice that.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { watch, gateway })
    }

    /// Waits until `cargo lambda watch` ends, which is unexpected.
    pub(super) async fn wait(&self) {
        self.watch.wait().await;
    }

    pub(super) async fn stop(self) {
        self.gateway.abort();
        self.watch.stop().await;
    }
}

/// Starts `cargo lambda watch`. It starts instances of the functions when requests come, and builds them again when the code
/// changes.
fn watch(
    cargo_lambda: &Path,
    workspace: &Path,
    options: &Options,
    port: u16,
    variables: &BTreeMap<String, String>,
) -> Result<Supervised> {
    let mut command = Command::new(cargo_lambda);
    command.args(["lambda", "watch", "--quiet", "--invoke-address", "127.0.0.1"]);
    command.args(["--invoke-port", &port.to_string(), "--concurrency", &options.instances.to_string()]);
    // The functions answer CORS themselves, here as on AWS.
    command.arg("--disable-cors").args(IS_RELEASE.then_some("--release"));
    command.current_dir(workspace);
    set_environment(&mut command, variables);
    // One variable filters the logs of the functions and of `cargo lambda watch`, which logs each reload as an error.
    if let Some(filter) = variables.get("RUST_LOG").filter(|filter| !filter.contains("cargo_lambda")) {
        command.env("RUST_LOG", format!("{filter},cargo_lambda=off,watchexec=off"));
    }
    supervise::forget_cargo(&mut command);
    // Killed at once, as on Lambda. On SIGTERM `cargo lambda watch` prints many messages.
    let supervision = Supervision { grace: Duration::ZERO, ..Supervision::default() };
    Supervised::spawn(&command, supervision).context("cargo-lambda cannot be started")
}

/// Returns the file that cargo locks while it builds in the target directory of this program.
fn build_lock() -> Result<PathBuf> {
    let this = env::current_exe().context("the path of this program is not known")?;
    Ok(this.with_file_name(".cargo-lock"))
}

/// Returns whether cargo builds at the moment.
fn is_building(lock: &Path) -> bool {
    File::open(lock).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Waits until every function responds. Each has a minute, not counting the time in which cargo builds.
async fn wait_until_healthy(port: u16, build_lock: &Path) -> Result<()> {
    let client = local_client().timeout(Duration::from_secs(5)).build()?;
    for Function { name, health } in FUNCTIONS {
        let url = format!("http://127.0.0.1:{port}{health}");
        let mut last_building = Instant::now();
        let mut reported = Instant::now();
        loop {
            let problem = match client.get(&url).send().await {
                // 401 shows that the function works: it wants a token.
                Ok(response) if response.status().is_success() || response.status() == StatusCode::UNAUTHORIZED => {
                    // If the response is not read to its end, `cargo lambda watch` loses the instance.
                    let _ = response.bytes().await;
                    break;
                }
                Ok(response) => response.status().to_string(),
                Err(_) => "no response".to_owned(),
            };
            if is_building(build_lock) {
                last_building = Instant::now();
            }
            if last_building.elapsed() > START_TIMEOUT {
                bail!("the function {name} does not work ({url}: {problem}); its messages are above");
            }
            if reported.elapsed() > REPORT_INTERVAL {
                progress(&format!("Waiting for the function {name} ({url}: {problem})."));
                reported = Instant::now();
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// Passes requests on to `cargo lambda watch`, a limited number at once.
#[derive(Clone)]
struct Gateway {
    client: Client,
    port: u16,
    /// Removed here, too, because `cargo lambda watch` finds the function by the path.
    base_path: BasePath,
    permits: Arc<Semaphore>,
}

fn routes(gateway: Gateway) -> Router {
    // A little above the functions' own limit, so that they reject slightly longer bodies themselves.
    Router::new().fallback(forward).layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES + 1024)).with_state(gateway)
}

async fn forward(State(gateway): State<Gateway>, request: Request) -> Response {
    let Ok(Ok(permit)) = timeout(MAX_WAIT, gateway.permits.clone().acquire_owned()).await else {
        return unavailable("Too many requests are running under `cargo lambda watch`.");
    };
    let request = gateway.base_path.strip(request);
    let (method, uri, mut headers) = (request.method().clone(), request.uri().clone(), request.headers().clone());
    let body = match body_bytes(request, &()).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    if std::str::from_utf8(&body).is_err() {
        // `cargo lambda watch` would respond with an error in its own format.
        return ApiError::BadRequest("The body is not valid UTF-8.".to_owned()).into_response();
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    for name in NOT_FORWARDED {
        headers.remove(name);
    }
    let url = format!("http://127.0.0.1:{}{path}", gateway.port);
    let request = gateway.client.request(method, url).headers(headers).body(body);

    let (head_sender, head) = oneshot::channel();
    let (sender, mut receiver) = mpsc::channel::<reqwest::Result<Bytes>>(4);
    // A task of its own reads the response to its end, even if the client disconnects. Otherwise `cargo lambda watch` loses the
    // instance's next request.
    tokio::spawn(async move {
        let Ok(mut response) = request.send().await else { return };
        let _ = head_sender.send((response.status(), response.headers().clone()));
        while let Some(piece) = response.chunk().await.transpose() {
            let is_broken = piece.is_err();
            let _ = sender.send(piece).await;
            if is_broken {
                break;
            }
        }
        drop(permit);
    });
    let Ok((status, mut headers)) = head.await else {
        return unavailable("`cargo lambda watch` does not respond.");
    };
    for name in NOT_FORWARDED {
        headers.remove(name);
    }
    let body = Body::from_stream(poll_fn(move |context| receiver.poll_recv(context)));
    (status, headers, body).into_response()
}

fn unavailable(message: &str) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::RETRY_AFTER, "1")];
    let body = json!({ "error": "Service unavailable", "message": message }).to_string();
    (StatusCode::SERVICE_UNAVAILABLE, headers, body).into_response()
}

/// Headers that the HTTP libraries set themselves for each connection.
const NOT_FORWARDED: [HeaderName; 4] =
    [header::CONNECTION, header::CONTENT_LENGTH, header::HOST, header::TRANSFER_ENCODING];

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn the_base_path_is_removed_before_a_function_is_chosen() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let watch = Router::new().fallback(async |request: Request| request.uri().to_string());
        let watch = tokio::spawn(async move { axum::serve(listener, watch).await });
        let (client, permits) = (local_client().build().unwrap(), Arc::new(Semaphore::new(1)));
        let routes = routes(Gateway { client, port, base_path: "/ro".parse().unwrap(), permits });
        for (sent, forwarded) in [("/ro/api/ai/health?x=1", "/api/ai/health?x=1"), ("/api/ai/health", "/api/ai/health")]
        {
            let response = routes.clone().oneshot(Request::get(sent).body(Body::empty()).unwrap()).await.unwrap();
            let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
            assert_eq!(body, forwarded);
        }
        watch.abort();
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_400_a_long_one_413_and_an_encoded_one_415() {
        let gateway = Gateway {
            client: local_client().build().unwrap(),
            port: 0,
            base_path: BasePath::default(),
            permits: Arc::new(Semaphore::new(1)),
        };
        let broken = Body::from_stream(stream::iter([Ok("{"), Err(io::Error::from(io::ErrorKind::ConnectionReset))]));
        let long = Body::from(vec![b' '; BODY_LIMIT_BYTES + 1025]);
        for (body, status) in [(broken, StatusCode::BAD_REQUEST), (long, StatusCode::PAYLOAD_TOO_LARGE)] {
            let response =
                routes(gateway.clone()).oneshot(Request::post("/api/ros").body(body).unwrap()).await.unwrap();
            assert_eq!(response.status(), status);
        }
        let packed =
            Request::post("/api/ros").header(header::CONTENT_ENCODING, "gzip").body(Body::from(vec![0x1f, 0x8b]));
        let response = routes(gateway).oneshot(packed.unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
