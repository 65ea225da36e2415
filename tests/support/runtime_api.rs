//! A Lambda runtime API that delivers events unchanged and returns responses unchanged, piece by piece. `cargo lambda
//! watch` generates the events and interprets the responses; the AWS emulator waits for the complete response.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Mutex as TurnMutex, mpsc, oneshot},
    task::AbortHandle,
    time::timeout,
};
use uuid::Uuid;

use crate::gateway::{Call, Gateway};

/// Timeout after which a test fails, so that a function that exits or blocks does not stall the suite.
const PATIENCE: Duration = Duration::from_secs(60);

/// The deadline of an invocation in milliseconds since 1970, unless the test sets another one: the start of 2100.
const DEADLINE: u64 = 4_102_444_800_000;

/// Separates the prelude of a streamed response from its body.
const DELIMITER: [u8; 8] = [0; 8];

/// A running runtime API; dropping it stops the server.
pub struct RuntimeApi {
    /// The value for `AWS_LAMBDA_RUNTIME_API`.
    pub address: String,
    shared: Arc<Shared>,
    server: AbortHandle,
}

struct Shared {
    events: mpsc::UnboundedSender<Waiting>,
    /// Locked by the instance that waits for the next event.
    queue: TurnMutex<mpsc::UnboundedReceiver<Waiting>>,
    under_way: Mutex<HashMap<String, oneshot::Sender<Outcome>>>,
}

struct Waiting {
    id: String,
    event: String,
    deadline: u64,
    outcome: oneshot::Sender<Outcome>,
}

impl Shared {
    fn under_way(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Outcome>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of an invocation.
pub enum Outcome {
    /// A response, whose body may still be arriving.
    Response(Posted),
    /// An error posted to `/error`, for which the gateway returns 502.
    Error(Value),
}

/// A response as the function posts it.
pub struct Posted {
    /// The headers of the `POST`.
    pub headers: HeaderMap,
    pieces: mpsc::Receiver<Piece>,
    buffer: Vec<u8>,
}

enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    Broken,
}

/// A complete streamed response.
#[derive(Clone, Debug, PartialEq)]
pub struct Framed {
    /// The JSON before the delimiter.
    pub prelude: Value,
    /// The bytes after the delimiter.
    pub body: Vec<u8>,
    /// The trailers, if there are any.
    pub trailers: Option<HeaderMap>,
    /// Whether the response ended as HTTP requires, instead of breaking off.
    pub has_ended: bool,
}

impl RuntimeApi {
    /// Starts the server on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let (events, queue) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { events, queue: TurnMutex::new(queue), under_way: Mutex::default() });
        let routes = Router::new().fallback(serve).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await }).abort_handle();
        Self { address, shared, server }
    }

    /// Delivers `event` to the next instance that polls, and returns when the response begins.
    pub async fn invoke(&self, event: &Value) -> Outcome {
        self.invoke_until(DEADLINE, event).await
    }

    /// Delivers `event` like [`invoke`](Self::invoke), for an invocation that ends at `deadline`, in milliseconds since 1970.
    pub async fn invoke_until(&self, deadline: u64, event: &Value) -> Outcome {
        let (sender, outcome) = oneshot::channel();
        let id = Uuid::new_v4().to_string();
        let waiting = Waiting { id, event: event.to_string(), deadline, outcome: sender };
        assert!(self.shared.events.send(waiting).is_ok(), "the queue is there as long as we are");
        let outcome = timeout(PATIENCE, outcome).await.expect("the function responds");
        outcome.expect("the server is there as long as we are")
    }

    /// Sends `call` through `gateway` and returns when the response begins. The response must be streamed.
    pub async fn open(&self, gateway: Gateway, call: &Call) -> Posted {
        match self.invoke(&gateway.event(call)).await {
            Outcome::Response(posted) => {
                let mode = posted.headers.get("lambda-runtime-function-response-mode");
                assert_eq!(mode.map(|mode| mode.as_bytes()), Some(b"streaming".as_slice()), "{call:?}");
                posted
            }
            Outcome::Error(error) => panic!("{gateway:?} {call:?}: {error}"),
        }
    }

    /// Sends `call` through `gateway` and reads the whole response, which must be streamed.
    pub async fn call(&self, gateway: Gateway, call: &Call) -> Framed {
        self.open(gateway, call).await.read().await
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Posted {
    async fn piece(&mut self) -> Option<Piece> {
        timeout(PATIENCE, self.pieces.recv()).await.expect("the response continues or ends")
    }

    /// Reads the prelude as soon as it is complete.
    pub async fn prelude(&mut self) -> Value {
        let prelude = self.try_prelude().await;
        prelude.unwrap_or_else(|| panic!("no delimiter in {:?}", String::from_utf8_lossy(&self.buffer)))
    }

    /// Reads the prelude, or returns `None` if the response breaks off before it is complete.
    async fn try_prelude(&mut self) -> Option<Value> {
        loop {
            let end = self.buffer.windows(DELIMITER.len()).position(|bytes| bytes == DELIMITER);
            if let Some(end) = end {
                let body = self.buffer.split_off(end + DELIMITER.len());
                let prelude = std::mem::replace(&mut self.buffer, body);
                return Some(serde_json::from_slice(&prelude[..end]).expect("the prelude is JSON"));
            }
            match self.piece().await {
                Some(Piece::Data(data)) => self.buffer.extend(data),
                _ => return None,
            }
        }
    }

    /// Returns the next piece of the body, or `None` at its end. Call `prelude` first.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        if !self.buffer.is_empty() {
            return Some(std::mem::take(&mut self.buffer));
        }
        match self.piece().await {
            Some(Piece::Data(data)) => Some(data.to_vec()),
            Some(Piece::Trailers(trailers)) => panic!("trailers: {trailers:?}"),
            Some(Piece::Broken) => panic!("the response broke off"),
            None => None,
        }
    }

    /// Reads a streamed response to its end.
    pub async fn read(mut self) -> Framed {
        let prelude = self.prelude().await;
        self.read_after(prelude).await
    }

    /// Reads a streamed response to its end, or returns `None` if it breaks off before its body.
    pub async fn try_read(mut self) -> Option<Framed> {
        let prelude = self.try_prelude().await?;
        Some(self.read_after(prelude).await)
    }

    async fn read_after(mut self, prelude: Value) -> Framed {
        let (mut trailers, mut has_ended) = (None, true);
        while let Some(piece) = self.piece().await {
            match piece {
                Piece::Data(data) => self.buffer.extend(data),
                Piece::Trailers(map) => trailers = Some(map),
                Piece::Broken => has_ended = false,
            }
        }
        Framed { prelude, body: self.buffer, trailers, has_ended }
    }

    /// Reads a response that is not streamed: one JSON document.
    pub async fn read_document(mut self) -> Value {
        assert!(!self.headers.contains_key("lambda-runtime-function-response-mode"));
        while let Some(Piece::Data(data)) = self.piece().await {
            self.buffer.extend(data);
        }
        serde_json::from_slice(&self.buffer).expect("the response is JSON")
    }
}

impl Framed {
    pub fn status(&self) -> u64 {
        self.prelude["statusCode"].as_u64().unwrap_or_else(|| panic!("no status: {}", self.prelude))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.prelude["headers"].get(name).map(|value| value.as_str().unwrap_or_else(|| panic!("{name}: {value}")))
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Parses the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.prelude, String::from_utf8_lossy(&self.body)))
    }

    /// Asserts the status and that the response is complete, and returns the body as JSON.
    #[track_caller]
    pub fn expect(self, status: u64) -> Value {
        assert_eq!(self.status(), status, "{}", String::from_utf8_lossy(&self.body));
        assert!(self.has_ended && self.trailers.is_none(), "{self:?}");
        self.json()
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Infallible> {
    let path = request.uri().path().to_owned();
    let path = path.trim_start_matches('/').split('/').collect::<Vec<_>>();
    let response = match (request.method(), path.as_slice()) {
        (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => next(&shared).await,
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "response"]) => {
            take_response(&shared, id, request).await
        }
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "error"]) => take_error(&shared, id, request).await,
        _ => status(StatusCode::NOT_FOUND),
    };
    Ok(response)
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::from(json!({ "status": status.to_string() }).to_string()));
    *response.status_mut() = status;
    response
}

async fn next(shared: &Shared) -> Response {
    let Some(Waiting { id, event, deadline, outcome }) = shared.queue.lock().await.recv().await else {
        return status(StatusCode::GONE);
    };
    shared.under_way().insert(id.clone(), outcome);
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", id)
        .header("lambda-runtime-deadline-ms", deadline)
        .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-central-1:123456789012:function:function")
        .header("lambda-runtime-trace-id", "Root=1-65a1b2c3-0123456789abcdef01234567;Sampled=0")
        .body(Body::from(event))
        .expect("a valid response")
}

async fn take_response(shared: &Shared, id: &str, request: Request) -> Response {
    let Some(outcome) = shared.under_way().remove(id) else { return status(StatusCode::BAD_REQUEST) };
    let (parts, mut body) = request.into_parts();
    let (sender, pieces) = mpsc::channel(1);
    let _ = outcome.send(Outcome::Response(Posted { headers: parts.headers, pieces, buffer: Vec::new() }));
    while let Some(frame) = body.frame().await {
        let piece = match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) => Piece::Data(data),
            Ok(Err(frame)) => Piece::Trailers(frame.into_trailers().expect("there is nothing else")),
            Err(_) => Piece::Broken,
        };
        // hyper closes the connection when a handler panics.
        assert!(sender.send(piece).await.is_ok(), "on purpose: the client disconnected");
    }
    status(StatusCode::ACCEPTED)
}

async fn take_error(shared: &Shared, id: &str, request: Request) -> Response {
    let Some(outcome) = shared.under_way().remove(id) else { return status(StatusCode::BAD_REQUEST) };
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let _ = outcome.send(Outcome::Error(serde_json::from_slice(&body).unwrap_or_default()));
    status(StatusCode::ACCEPTED)
}
