//! A Lambda function whose routes panic, fail during a response, or send unusual headers.

use std::process::ExitCode;

use app_core::{
    config::HttpConfig,
    http::{ApiError, json_array, with_layers},
    lambda::{self, Delivery, DeploymentCheck},
};
use axum::{
    Router,
    response::{AppendHeaders, IntoResponse},
    routing::get,
};
use futures_util::{StreamExt, stream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let routes = Router::new()
        .route("/api/odd/fine", get(async || "fine"))
        .route("/api/odd/panic", get(panic))
        .route("/api/odd/broken", get(broken))
        .route("/api/odd/headers", get(headers))
        .route("/api/odd/endless", get(endless));
    let delivery = Delivery::of_process();
    let config = HttpConfig::local(Vec::new());
    lambda::start(lambda::run(with_layers(routes, &config, delivery), delivery, DeploymentCheck::new("odd"))).await
}

#[expect(clippy::panic, reason = "it is what this route is for")]
async fn panic() -> &'static str {
    panic!("on purpose")
}

/// Repeated headers, and a body of all bytes.
async fn headers() -> impl IntoResponse {
    let headers = AppendHeaders([
        ("set-cookie", "a=1; Path=/"),
        ("set-cookie", "b=2; Expires=Fri, 15 Nov 2024 12:00:00 GMT"),
        ("link", "</a>; rel=preload"),
        ("link", "</b>; rel=preload"),
    ]);
    (headers, (0..=255).chain([0; 16]).collect::<Vec<u8>>())
}

/// A list that never ends.
async fn endless() -> Result<axum::response::Response, ApiError> {
    json_array(|| stream::repeat(()).map(Ok)).await
}

/// A list that fails after ten thousand items.
async fn broken() -> Result<axum::response::Response, ApiError> {
    json_array(|| {
        stream::iter((0..=10_000).map(|item| if item < 10_000 { Ok(item) } else { Err(ApiError::internal("broken")) }))
    })
    .await
}
