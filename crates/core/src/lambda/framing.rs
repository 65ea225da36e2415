//! Repairs what gateways change between HTTP and an invocation.

use axum::{extract::Request, response::Response};
use http::{HeaderName, HeaderValue, Uri, header::SET_COOKIE};
use lambda_http::RequestExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters to encode in a path: all but slashes and those that URLs never encode.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Characters that an encoded path cannot contain, and that would change the path if they were parsed again.
const ONLY_IN_DECODED_PATHS: [char; 3] = ['#', '?', '\\'];

/// Restores the path that the client sent. An HTTP API of API Gateway decodes it, and the order `RO#1` would be taken for `RO`. A
/// decoded slash cannot be restored, since it looks like any other.
pub(super) fn restore_path(mut request: Request) -> Request {
    let path = request.raw_http_path();
    if path.contains(ONLY_IN_DECODED_PATHS) {
        let path = utf8_percent_encode(path, PATH);
        let query = request.query_string_parameters().to_query_string();
        // The path and the query were encoded just now, so they are valid.
        *request.uri_mut() = format!("{path}?{query}").parse().unwrap_or_else(|_| Uri::from_static("/"));
    }
    request
}

/// Joins headers with the same name, because the prelude of a streamed response has one value for each name. Cookies cannot be
/// joined and have a place of their own there.
pub(super) fn join_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let is_repeated = |name: &&HeaderName| **name != SET_COOKIE && headers.get_all(*name).iter().nth(1).is_some();
    let repeated: Vec<HeaderName> = headers.keys().filter(is_repeated).cloned().collect();
    for name in repeated {
        let values: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(joined) = HeaderValue::from_bytes(&values.join(b", ".as_slice())) {
            headers.insert(name, joined);
        }
    }
    response
}
