//! One log line per request, and its id in the answer.

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
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body::{Frame, SizeHint};
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::RequestId;

/// The header that carries the request's id in every answer. It is Lambda's own id, which is what CloudWatch shows.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Runs the request in a span with its id, answers with that id, and logs one line when the last byte was handed over.
pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id: Arc<str> = request
        .extensions()
        .get::<lambda_http::Context>()
        .map(|context| context.request_id.as_str().into())
        .unwrap_or_else(|| Uuid::new_v4().to_string().into());
    let span = tracing::info_span!("request", request.id = &*id);
    let method = request.method().clone();
    // What a client calls itself in this header is its own affair.
    request.headers_mut().remove(REQUEST_ID);
    request.extensions_mut().insert(RequestId(id.clone()));

    let mut response = next.run(request).instrument(span.clone()).await;

    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let line = RequestLine {
        id,
        method,
        route: response.extensions().get::<MatchedRoute>().map(|route| route.0.clone()),
        status: response.status(),
        started,
        span,
        written: false,
    };
    response.map(|body| Body::new(ObservedBody { body, line }))
}

/// The matched route, carried from inside the router to [`observe`] outside of it.
#[derive(Clone)]
struct MatchedRoute(MatchedPath);

/// Notes the route that matched; the innermost layer, since only there it is known.
pub(super) async fn note_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(MatchedRoute(route));
    }
    response
}

struct RequestLine {
    id: Arc<str>,
    method: Method,
    route: Option<MatchedPath>,
    status: StatusCode,
    started: Instant,
    span: Span,
    written: bool,
}

impl RequestLine {
    fn write(&mut self, outcome: &'static str) {
        if std::mem::replace(&mut self.written, true) {
            return;
        }
        let duration_ms = self.started.elapsed().as_secs_f64() * 1e3;
        tracing::info!(
            http.method = %self.method,
            http.route = self.route.as_ref().map_or("(none)", MatchedPath::as_str),
            http.status = self.status.as_u16(),
            duration_ms = (duration_ms * 1e3).round() / 1e3,
            request.id = &*self.id,
            outcome,
            "request"
        );
    }
}

/// The answer's body, which writes the request's line when it ends, fails or is dropped half-way.
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
        let frame = this.line.span.in_scope(|| Pin::new(&mut this.body).poll_frame(context));
        let frame = ready!(frame);
        match &frame {
            None => this.line.write("complete"),
            Some(Err(_)) => this.line.write("broken off"),
            // The last frame: nobody may ask for another one.
            Some(Ok(_)) if this.body.is_end_stream() => this.line.write("complete"),
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
        let outcome = if self.body.is_end_stream() { "complete" } else { "client left" };
        self.line.write(outcome);
    }
}
