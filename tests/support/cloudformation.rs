//! CloudFormation as a function of a custom resource knows it: an event, and a URL to which the function puts its response.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::AbortHandle};

/// The server that takes the responses of functions.
pub struct CloudFormation {
    url: String,
    shared: Arc<Shared>,
    server: AbortHandle,
}

#[derive(Default)]
struct Shared {
    responses: Mutex<Vec<Value>>,
    /// The number of requests that are still to be refused.
    refusals: Mutex<usize>,
}

impl CloudFormation {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}/response?signature=s%2Fx", listener.local_addr().expect("a bound socket has one"));
        let shared = Arc::new(Shared::default());
        let routes = Router::new().fallback(take).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await }).abort_handle();
        Self { url, shared, server }
    }

    /// Refuses the next `count` responses with 503.
    pub fn refuse(&self, count: usize) {
        *self.shared.refusals.lock().unwrap_or_else(PoisonError::into_inner) = count;
    }

    /// Returns the event of a request, `Create`, `Update` or `Delete`.
    pub fn event(&self, request_type: &str) -> Value {
        json!({
            "RequestType": request_type,
            "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:migrate",
            "ResponseURL": self.url,
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/ro-tracker-dev/guid",
            "RequestId": "unique id of this request",
            "LogicalResourceId": "Migrations",
            "ResourceType": "Custom::Migrations",
            "ResourceProperties": { "ServiceToken": "arn:aws:lambda:…:migrate", "Version": "1" },
        })
    }

    /// Returns the responses since the last call.
    pub fn responses(&self) -> Vec<Value> {
        std::mem::take(&mut self.shared.responses.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the only response since the last call.
    #[track_caller]
    pub fn response(&self) -> Value {
        let mut responses = self.responses();
        assert_eq!(responses.len(), 1, "{responses:?}");
        let response = responses.remove(0);
        for (name, value) in [
            ("StackId", "arn:aws:cloudformation:us-east-1:123456789012:stack/ro-tracker-dev/guid"),
            ("RequestId", "unique id of this request"),
            ("LogicalResourceId", "Migrations"),
            ("PhysicalResourceId", "migrations"),
        ] {
            assert_eq!(response[name], value, "{response}");
        }
        response
    }
}

impl Drop for CloudFormation {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(shared): State<Arc<Shared>>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let body: Bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    // The URL is signed for this method, this query and no type of content.
    let is_signed = parts.method == Method::PUT
        && parts.uri.query() == Some("signature=s%2Fx")
        && !parts.headers.contains_key(header::CONTENT_TYPE)
        && parts.headers.contains_key(header::CONTENT_LENGTH);
    if !is_signed || body.len() > 4096 {
        return StatusCode::FORBIDDEN;
    }
    let mut refusals = shared.refusals.lock().unwrap_or_else(PoisonError::into_inner);
    if *refusals > 0 {
        *refusals -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let response = serde_json::from_slice(&body).unwrap_or_default();
    shared.responses.lock().unwrap_or_else(PoisonError::into_inner).push(response);
    StatusCode::OK
}
