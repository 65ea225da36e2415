//! The CORS headers, by which browsers let scripts of other origins call the API.

use http::{HeaderName, Method};
use tower_http::cors::CorsLayer;

use crate::config::HttpConfig;

/// The headers that scripts may send: those that the API's description names, and those of traces.
const REQUEST_HEADERS: [&str; 11] = [
    "accept",
    "anthropic-beta",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "traceparent",
    "tracestate",
    "x-request-id",
    "x-user-id",
];

/// The headers of responses that scripts may read. `template.yaml` has the same list for the gateway's own responses, and
/// `infra/checks.py` compares the two. A REST API renames `WWW-Authenticate`.
const RESPONSE_HEADERS: [&str; 15] = [
    "content-disposition",
    "etag",
    "idempotency-replayed",
    "link",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "www-authenticate",
    "x-amzn-remapped-www-authenticate",
    "x-next-cursor",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
    "x-total-count",
];

/// Lets browsers call from the configured origins only, with credentials.
pub(super) fn layer(config: &HttpConfig) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(config.frontend_origins.clone())
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers(REQUEST_HEADERS.map(HeaderName::from_static))
        .expose_headers(RESPONSE_HEADERS.map(HeaderName::from_static))
        .max_age(std::time::Duration::from_secs(600))
}
