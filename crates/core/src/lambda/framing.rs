//! What gateways lose between HTTP and an invocation, as far as it can be put right.

use axum::{extract::Request, response::Response};
use http::{HeaderName, HeaderValue, Uri, header::SET_COOKIE};
use lambda_http::RequestExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but slashes and what no URL encodes.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Characters that are in no path as clients send it, and that end or change one when it is read again.
const ONLY_DECODED: [char; 3] = ['#', '?', '\\'];

/// Gives the request the path that its client sent. An HTTP API of API Gateway decodes it, so that the order `RO#1` would
/// be taken for `RO`. (A decoded slash stays one: nobody can tell it from the others.)
pub(super) fn restore_path(mut request: Request) -> Request {
    let path = request.raw_http_path();
    if path.contains(ONLY_DECODED) {
        let path = utf8_percent_encode(path, PATH);
        let query = request.query_string_parameters().to_query_string();
        // A path of letters, digits and percent signs is one, and the query was encoded just now.
        *request.uri_mut() = format!("{path}?{query}").parse().unwrap_or_else(|_| Uri::from_static("/"));
    }
    request
}

/// Makes one header of those with the same name: what stands before a streamed answer has room for one value of each.
/// Cookies, which cannot be joined, have a place of their own there.
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
