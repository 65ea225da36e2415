//! Limits on the path and headers of every request, and the security headers of every response.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, header};

use super::ApiError;

/// The longest path with its query. API Gateway takes 10,240 bytes of request line and headers in all.
const URI_LIMIT_BYTES: usize = 8 * 1024;

/// The most headers, and their length in all. A token is not counted: one that is too long is 401.
const HEADERS_LIMIT: usize = 64;
const HEADERS_LIMIT_BYTES: usize = 16 * 1024;

/// The value of `Strict-Transport-Security`: browsers use only HTTPS for two years.
const TWO_YEARS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Rejects requests whose path or headers are larger than any valid request needs.
pub(super) async fn limit(request: Request, next: Next) -> Response {
    if request.uri().path_and_query().is_some_and(|uri| uri.as_str().len() > URI_LIMIT_BYTES) {
        return ApiError::UriTooLong(URI_LIMIT_BYTES).into_response();
    }
    let headers = request.headers();
    let counted = headers.iter().filter(|(name, _)| *name != header::AUTHORIZATION);
    let length: usize = counted.map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > HEADERS_LIMIT || length > HEADERS_LIMIT_BYTES {
        return ApiError::HeadersTooLarge.into_response();
    }
    next.run(request).await
}

/// The security headers of every response, unless the handler sets them.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    // Browsers must not take JSON for a page or a script, show it in a frame, or load it from another site except by CORS.
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// Adds the security headers to a response.
pub(super) async fn secure(State(is_deployed): State<bool>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    if is_deployed {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(TWO_YEARS);
    }
    // A response with an entity tag may be cached by the caller, who must validate it each time.
    let caching = if headers.contains_key(header::ETAG) { "private, no-cache" } else { "no-store" };
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(caching));
    response
}
