//! A fake Anthropic API that sends scripted responses and records the requests it receives.

use std::{
    collections::{BTreeMap, VecDeque},
    future::ready,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, DefaultBodyLimit, State},
    response::Response,
    serve::ListenerExt,
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json, value::RawValue};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::AbortHandle,
    time::interval,
};

/// A request that the fake received.
#[derive(Clone, Debug)]
pub struct Received {
    /// `POST` for a message, `GET` for a model, or `HEAD` when a client only opens a connection.
    pub method: Method,
    /// The client's address, which differs between connections.
    pub client: SocketAddr,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A part of a response body.
#[derive(Clone, Debug)]
pub enum Part {
    Bytes(Vec<u8>),
    /// Pauses until the test calls [`FakeAnthropic::resume`].
    Wait,
    /// Sends nothing more, but leaves the connection open.
    Silence,
    /// Sends blanks, one at a time, and never ends.
    Trickle,
    /// Breaks the connection.
    Break,
}

/// The time between two blanks of [`Part::Trickle`].
const TRICKLE: Duration = Duration::from_millis(20);

/// A scripted response.
#[derive(Clone, Debug)]
pub struct Script {
    status: u16,
    headers: Vec<(&'static str, String)>,
    parts: Vec<Part>,
}

impl Script {
    /// A response with `status` and `body`.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), parts: vec![Part::Bytes(body.into())] }
    }

    /// An error response in Anthropic's format.
    pub fn error(status: u16, message: &str) -> Self {
        let error = json!({ "type": "error", "error": { "type": "some_error", "message": message } });
        Self::new(status, error.to_string()).header("content-type", "application/json")
    }

    /// A complete message with this text.
    pub fn message(text: &str) -> Self {
        Self::new(200, message(text).to_string()).header("content-type", "application/json")
    }

    /// A stream of these events, one part per event.
    pub fn stream(events: &[Value]) -> Self {
        Self::parts(events.iter().map(|event| Part::Bytes(sse(event).into_bytes())).collect())
    }

    /// A stream of these parts.
    pub fn parts(parts: Vec<Part>) -> Self {
        Self { status: 200, headers: Vec::new(), parts }.header("content-type", "text/event-stream")
    }

    /// A response that is not streamed and whose body has these parts.
    pub fn whole(parts: Vec<Part>) -> Self {
        Self { status: 200, headers: Vec::new(), parts }.header("content-type", "application/json")
    }

    /// Closes the connection without a response.
    pub fn breaks_at_once() -> Self {
        Self { status: 0, headers: Vec::new(), parts: Vec::new() }
    }

    /// Sends no response and leaves the connection open.
    pub fn silent() -> Self {
        Self { status: 1, headers: Vec::new(), parts: Vec::new() }
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Formats `event` as a server-sent event.
pub fn sse(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("unknown"))
}

/// A message as Anthropic returns it.
pub fn message(text: &str) -> Value {
    json!({
        "id": "msg_01ABC123", "type": "message", "role": "assistant", "model": "claude-upstream",
        "content": [{ "type": "text", "text": text }], "stop_reason": "end_turn",
        "usage": { "input_tokens": 245, "output_tokens": 156, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 7 },
    })
}

/// The events of a streamed message that consists of these pieces of text.
pub fn events(texts: &[&str]) -> Vec<Value> {
    let mut start = message("");
    start["content"] = json!([]);
    start["usage"]["output_tokens"] = json!(1);
    let mut events = vec![
        json!({ "type": "message_start", "message": start }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "ping" }),
    ];
    for text in texts {
        events.push(
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } }),
        );
    }
    events.extend([
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": 156 } }),
        json!({ "type": "message_stop" }),
    ]);
    events
}

/// How a connection ends that breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With FIN.
    Fin,
    /// With RST.
    Reset,
}

/// A running fake server; dropping it stops the server.
pub struct FakeAnthropic {
    /// The value for `ANTHROPIC_BASE_URL`.
    pub url: String,
    shared: Arc<Shared>,
    server: AbortHandle,
}

struct Shared {
    scripts: Mutex<VecDeque<Script>>,
    received: Mutex<Vec<Received>>,
    /// One permit for each [`Part::Wait`] that may end.
    waits: Semaphore,
}

impl FakeAnthropic {
    /// Starts the server on a free port. It sends the scripts in order, and then "Hello.", as a stream if the request
    /// asks for one.
    pub async fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.expect("a port is free"), Ending::Fin, scripts)
    }

    /// Starts the server on `listener`. A broken connection ends with `ending`.
    pub fn on(listener: TcpListener, ending: Ending, scripts: impl IntoIterator<Item = Script>) -> Self {
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let shared = Arc::new(Shared {
            scripts: Mutex::new(scripts.into_iter().collect()),
            received: Mutex::default(),
            waits: Semaphore::new(0),
        });
        let routes = Router::new().fallback(respond).layer(DefaultBodyLimit::disable()).with_state(shared.clone());
        let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
        let listener = listener.tap_io(move |connection: &mut TcpStream| {
            if ending == Ending::Reset {
                connection.set_zero_linger().expect("a socket can be closed with RST");
            }
        });
        let server = tokio::spawn(async move { axum::serve(listener, routes).await }).abort_handle();
        Self { url, shared, server }
    }

    /// Queues `script` as the response to the next request.
    pub fn respond_with(&self, script: Script) {
        self.shared.scripts.lock().unwrap_or_else(PoisonError::into_inner).push_back(script);
    }

    /// Ends the current or the next [`Part::Wait`].
    pub fn resume(&self) {
        self.shared.waits.add_permits(1);
    }

    /// The `POST` requests received so far.
    pub fn requests(&self) -> Vec<Received> {
        let received = self.shared.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.iter().filter(|request| request.method == Method::POST).cloned().collect()
    }

    /// All requests received so far, including `HEAD`.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for FakeAnthropic {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn respond(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // Only this member is read, because numbers in the others may be too large for any type.
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&body).unwrap_or_default();
    let streams = members.get("stream").is_some_and(|stream| stream.get() == "true");
    let is_head = method == Method::HEAD;
    let received = Received { method, client, path: uri.path().to_owned(), headers, body };
    shared.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
    if is_head {
        return Response::new(Body::empty());
    }
    let script = shared.scripts.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let script = script
        .unwrap_or_else(|| if streams { Script::stream(&events(&["Hello."])) } else { Script::message("Hello.") });
    match script.status {
        // hyper closes the connection when a handler panics.
        0 => panic!("on purpose: the connection breaks"),
        1 => std::future::pending().await,
        status => {
            let mut response = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
            for (name, value) in &script.headers {
                response = response.header(*name, value);
            }
            let parts = stream::iter(script.parts).flat_map(move |part| play(part, shared.clone()));
            response.body(Body::from_stream(parts)).expect("a valid response")
        }
    }
}

fn play(part: Part, shared: Arc<Shared>) -> BoxStream<'static, io::Result<Vec<u8>>> {
    match part {
        Part::Bytes(bytes) => stream::once(ready(Ok(bytes))).boxed(),
        Part::Wait => stream::once(async move {
            shared.waits.acquire().await.expect("never closed").forget();
            Ok(Vec::new())
        })
        .boxed(),
        Part::Silence => stream::pending().boxed(),
        Part::Trickle => stream::unfold(interval(TRICKLE), |mut interval| async {
            interval.tick().await;
            Some((Ok(b" ".to_vec()), interval))
        })
        .boxed(),
        Part::Break => stream::once(async {
            // Yields so that hyper sends the parts before this one.
            tokio::task::yield_now().await;
            Err(io::Error::other("on purpose: the connection breaks"))
        })
        .boxed(),
    }
}
