//! One log line and one line of metrics per request, and its id in the response.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body::{Frame, SizeHint};
use tracing::{Instrument, Span, field::Empty};
use uuid::Uuid;

use super::{RequestId, prefixes::without_prefix};
use crate::metrics;

/// The header that carries the request's id in every response. It is Lambda's own id, which is what CloudWatch shows.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The client's trace (W3C Trace Context).
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// Runs the request in a span with its id, adds the id to the response, and writes the log line and the metrics when the last byte
/// was sent. The span also has the request ids of upstream services, as soon as they are known, for all later log lines.
pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let context = request.extensions().get::<lambda_http::Context>();
    let trace_id = context.and_then(|context| trace_id(context.xray_trace_id.as_deref()?)).map(str::to_owned);
    let id: Arc<str> =
        context.map(|context| context.request_id.as_str().into()).unwrap_or_else(|| Uuid::new_v4().to_string().into());
    let span = tracing::info_span!(
        "request",
        request.id = &*id,
        trace.id = trace_id,
        traceparent = trace_parent(request.headers()),
        upstream.request_id = Empty,
        dynamodb.request_id = Empty,
    );
    let method = request.method().clone();
    // A client's own id is ignored.
    request.headers_mut().remove(REQUEST_ID);
    request.extensions_mut().insert(RequestId(id.clone()));

    let measured = metrics::RequestMetrics::begin();
    let mut response = metrics::scope(measured.clone(), next.run(request)).instrument(span.clone()).await;

    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let line = RequestLine {
        id,
        trace_id,
        method,
        route: response.extensions().get::<MatchedRoute>().map(|route| route.0.clone()),
        status: response.status(),
        refusal: response.extensions_mut().remove(),
        started,
        span,
        measured,
        written: false,
    };
    response.map(|body| Body::new(ObservedBody { body, line }))
}

/// Returns the id of the trace in Lambda's header (`Root=1-…;Parent=…;Sampled=…`).
fn trace_id(header: &str) -> Option<&str> {
    header.split(';').find_map(|part| part.trim().strip_prefix("Root="))
}

/// Returns the client's trace, if it is well-formed: hexadecimal digits in four groups.
fn trace_parent(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(TRACE_PARENT)?.to_str().ok()?;
    let is_valid = value.len() == 55 && value.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    is_valid.then_some(value)
}

/// The matched route, which the inner layer passes to [`observe`].
#[derive(Clone)]
struct MatchedRoute(MatchedPath);

/// Passes the matched route to [`observe`]. It is the innermost layer, because only there the route is known.
pub(super) async fn add_matched_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(MatchedRoute(route));
    }
    response
}

/// The reason why the caller's token was rejected, or why the caller may not do this. The error passes it to [`observe`].
#[derive(Clone)]
pub(super) struct Refusal(pub String);

struct RequestLine {
    id: Arc<str>,
    trace_id: Option<String>,
    method: Method,
    route: Option<MatchedPath>,
    status: StatusCode,
    refusal: Option<Refusal>,
    started: Instant,
    span: Span,
    measured: Option<Arc<metrics::RequestMetrics>>,
    written: bool,
}

impl RequestLine {
    fn write(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.written, true) {
            return;
        }
        let duration = self.started.elapsed();
        self.span.in_scope(|| {
            tracing::info!(
                http.method = %self.method,
                http.route = self.route.as_ref().map_or("(none)", MatchedPath::as_str),
                http.status = self.status.as_u16(),
                duration_ms = (duration.as_secs_f64() * 1e6).round() / 1e3,
                request.id = &*self.id,
                outcome = outcome.name(),
                refusal = self.refusal.as_ref().map(|Refusal(reason)| &**reason),
                "request"
            );
        });
        // The metrics are written when the last reference is dropped: now, or when the request's last task ends.
        if let Some(measured) = self.measured.take() {
            measured.end(metrics::RequestEnd {
                route: self.route_and_method(),
                status: self.status,
                duration,
                outcome: outcome.name(),
                is_broken: outcome == Outcome::BrokenOff,
                request_id: self.id.clone(),
                trace_id: self.trace_id.take(),
            });
        }
    }

    /// Returns the method and route as a dimension of metrics: one of a fixed set, and the same under both prefixes.
    fn route_and_method(&self) -> String {
        match &self.route {
            // Clients choose the method of a 405, and also that of a 401, because the token is checked before the method.
            Some(path) if !matches!(self.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNAUTHORIZED) => {
                format!("{} {}", self.method, without_prefix(path.as_str()))
            }
            _ => "(none)".to_owned(),
        }
    }

    /// Runs what is part of the request's work, outside of its handler.
    fn in_request<T>(&self, work: impl FnOnce() -> T) -> T {
        self.span.in_scope(|| metrics::sync_scope(self.measured.clone(), work))
    }
}

/// How a response ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Complete,
    BrokenOff,
    ClientLeft,
}

impl Outcome {
    /// As logs and metrics call it.
    fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::BrokenOff => "broken off",
            Self::ClientLeft => "client left",
        }
    }
}

/// The response's body, which writes the request's lines when it ends, fails or is dropped half-way.
struct ObservedBody {
    body: Body,
    line: RequestLine,
}

impl HttpBody for ObservedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let body = Pin::new(&mut this.body);
        let frame = ready!(this.line.in_request(|| body.poll_frame(context)));
        match &frame {
            None => this.line.write(Outcome::Complete),
            Some(Err(_)) => this.line.write(Outcome::BrokenOff),
            // The last frame: nobody may ask for another one.
            Some(Ok(_)) if this.body.is_end_stream() => this.line.write(Outcome::Complete),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ObservedBody {
    fn drop(&mut self) {
        // An empty body is never polled; any other that ends here was left by the client.
        let outcome = if self.body.is_end_stream() { Outcome::Complete } else { Outcome::ClientLeft };
        // Dropping the body also drops the stream it reads from, whose logs and metrics belong to the request.
        let body = std::mem::take(&mut self.body);
        self.line.in_request(|| drop(body));
        self.line.write(outcome);
    }
}
