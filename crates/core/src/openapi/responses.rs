//! The parts of responses that all operations share: errors and headers.
//!
//! A handler names its own errors (`(status = 404, response = NotFound)`); [`complete`] adds those that every operation may have.

use std::collections::BTreeMap;

use super::values::{ETagList, KeyText};
use http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa::{
    IntoParams, ToResponse,
    openapi::{RefOr, Response},
};

/// Declares errors with their status, kind, description and an example of their message.
macro_rules! errors {
    ($($(#[$attribute:meta])* $name:ident($status:ident, $kind:literal, $meaning:literal, $message:literal);)+) => {
        $(
            $(#[$attribute])*
            #[derive(Debug)]
            pub enum $name {}

            impl<'r> ToResponse<'r> for $name {
                fn response() -> (&'r str, RefOr<Response>) {
                    (stringify!($name), RefOr::T(Response::new($meaning)))
                }
            }
        )+

        const ERRORS: &[ErrorResponse] = &[$(ErrorResponse {
            name: stringify!($name),
            status: StatusCode::$status,
            kind: $kind,
            description: $meaning,
            message: $message,
        }),+];
    };
}

struct ErrorResponse {
    name: &'static str,
    status: StatusCode,
    kind: &'static str,
    description: &'static str,
    message: &'static str,
}

errors! {
    /// 304.
    NotModified(NOT_MODIFIED, "Not modified", "The resource is the one that the client has.", "");
    /// 400.
    Invalid(BAD_REQUEST, "Validation error",
        "The request is not valid; `details.fields` has the problem of each field or parameter.",
        "limit must be a whole number from 1 to 1000.");
    /// 401.
    Unauthorized(UNAUTHORIZED, "Unauthorized", "There is no token, or it is not accepted; `WWW-Authenticate` says why.",
        "This request needs a bearer token.");
    /// 403.
    Forbidden(FORBIDDEN, "Forbidden", "The caller is known but may not do this. (Administrators may.)",
        "Only administrators may do this.");
    /// 404.
    NotFound(NOT_FOUND, "Not found", "The resource does not exist.", "Repair order not found");
    /// 409.
    Conflict(CONFLICT, "Conflict", "The request contradicts the data. Or the first request with the same `Idempotency-Key` is still running; then \
        there is a `Retry-After`.",
        "There is already a repair order with the number RO38472.");
    /// 412.
    PreconditionFailed(PRECONDITION_FAILED, "Precondition failed", "The resource does not have a tag of `If-Match`, because it was changed meanwhile.",
        "It has changed since you read it, or is not in the state that the request expects. Read it again.");
    /// 413.
    PayloadTooLarge(PAYLOAD_TOO_LARGE, "Payload too large", "The body is over 6 MB.",
        "The body must be at most 6291456 bytes long.");
    /// 414.
    UriTooLong(URI_TOO_LONG, "URI too long", "Path and query are over 8 KB.",
        "The path and its query must be at most 8192 bytes long together.");
    /// 415.
    UnsupportedMediaType(UNSUPPORTED_MEDIA_TYPE, "Unsupported media type", "The `Content-Type` is not JSON, or there is a `Content-Encoding` other than `identity`.",
        "The body must be JSON, with the header Content-Type: application/json.");
    /// 422.
    KeyReused(UNPROCESSABLE_ENTITY, "Idempotency key reused", "The `Idempotency-Key` came with another request before.",
        "This Idempotency-Key was sent with another request, which has been answered. Use a new one.");
    /// 429.
    TooManyRequests(TOO_MANY_REQUESTS, "Rate limit exceeded", "The user asks too often, or has used up the tokens of the day (`Token limit exceeded`); `Retry-After` says when to try again.",
        "Too many requests. Try again in 42 seconds.");
    /// 431.
    HeadersTooLarge(REQUEST_HEADER_FIELDS_TOO_LARGE, "Request header fields too large",
        "There are more than 64 headers, or they are longer than 16 KB without the token.", "The headers are too many or too long.");
    /// 500.
    Internal(INTERNAL_SERVER_ERROR, "Internal server error", "A defect. The log has the details under `x-request-id`.",
        "An unexpected error occurred.");
    /// 502.
    BadGateway(BAD_GATEWAY, "Bad gateway", "The service behind this one failed.", "The assistant failed. Try again.");
    /// 503.
    Unavailable(SERVICE_UNAVAILABLE, "Service unavailable",
        "A service that this one needs is busy or cannot be reached. If waiting helps, `Retry-After` says how long.",
        "The database is busy or cannot be reached. Try again.");
    /// 504.
    GatewayTimeout(GATEWAY_TIMEOUT, "Gateway timeout", "The service behind this one did not answer in time.",
        "The assistant did not answer in time.");
}

/// The kinds of errors that no operation lists: those of routing, of the rate limiter and of the gateway.
const OTHER_KINDS: [&str; 5] =
    ["Method not allowed", "Rate limiter unavailable", "Request refused", "Token limit exceeded", "Too many requests"];

/// The header `If-Match`, for `params(…)`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfMatch {
    /// The `ETag` that the resource must still have; otherwise the response is 412.
    #[param(rename = "If-Match", value_type = ETagList, required = false, inline)]
    _if_match: Option<String>,
}

/// The header `If-None-Match`, for `params(…)`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfNoneMatch {
    /// The `ETag` that the client has. If the resource still has it, the response to a GET is 304 without a body, and that to a change 412.
    #[param(rename = "If-None-Match", value_type = ETagList, required = false, inline)]
    _if_none_match: Option<String>,
}

/// The header `Idempotency-Key`, for `params(…)`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IdempotencyKeyHeader {
    /// A text of the client's choice, 1 to 255 printable ASCII characters. For 24 hours the same request with the same key has one effect and one response. The response is saved if the request succeeded, or if the data did not allow it (404, 409, 412): then it is repeated, even if the request could succeed by now, and a new attempt needs a new key. Other errors (400, 401, 413, 415, 5xx) are not saved, and the request may be sent again with the same key, corrected or not. A repeated response has the header `Idempotency-Replayed: true`.
    #[param(rename = "Idempotency-Key", value_type = KeyText, required = false, inline)]
    _idempotency_key: Option<String>,
}

/// Headers, by the name of their component: the name on the wire, its schema, what it says.
fn headers() -> [(&'static str, &'static str, Value, &'static str); 14] {
    let count = json!({ "type": "integer", "minimum": 0 });
    [
        ("RequestId", "x-request-id", json!({ "type": "string" }), "The request's id, which is in its log lines, too."),
        (
            ETAG,
            "ETag",
            json!({ "type": "string", "examples": ["\"4b7a1f0c9d2e83a65f10b2c7d9e4a8f3\""] }),
            "The entity tag of the resource, for `If-Match` and `If-None-Match`.",
        ),
        (
            REPLAYED,
            "Idempotency-Replayed",
            json!({ "const": "true" }),
            "Present if the response is repeated from an earlier request with the same `Idempotency-Key`.",
        ),
        ("TotalCount", "X-Total-Count", count.clone(), "The number of items in the whole list."),
        (
            "NextCursor",
            "X-Next-Cursor",
            json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" }),
            "The `cursor` with which a request with the same filters and order gets the next part of the list; present if the request has a `limit` and there is a next part.",
        ),
        (
            "Link",
            "Link",
            json!({ "type": "string", "examples": ["<?limit=50&offset=0>; rel=\"first\", <?limit=50&offset=50>; rel=\"next\""] }),
            "Links to the first, previous, next and last part of the list (RFC 8288), relative to the requested URL; present if the request has a `limit`.",
        ),
        (
            "ContentDisposition",
            "Content-Disposition",
            json!({ "type": "string", "examples": ["attachment; filename=\"orders-2024-11-15.csv\""] }),
            "The name under which browsers save the file. It has the date in the time zone of the business.",
        ),
        (
            "Challenge",
            "WWW-Authenticate",
            json!({ "type": "string", "examples": ["Bearer realm=\"ro-tracker\""] }),
            "The required authentication scheme, and the reason why a token was rejected (RFC 6750).",
        ),
        ("RetryAfter", "Retry-After", count.clone(), "The number of seconds to wait before the next attempt."),
        ("RateLimitLimit", "X-RateLimit-Limit", count.clone(), "Requests that a user may make within a window."),
        ("RateLimitRemaining", "X-RateLimit-Remaining", count.clone(), "How many of them are left."),
        ("RateLimitReset", "X-RateLimit-Reset", count, "When there will be one more, in seconds since the epoch."),
        ("RateLimit", "RateLimit", json!({ "type": "string" }), "The same as a structured field (IETF draft)."),
        ("RateLimitPolicy", "RateLimit-Policy", json!({ "type": "string" }), "The limit and its window in seconds."),
    ]
}

/// The component that describes `ETag`. Handlers name the header of a response that has it.
const ETAG: &str = "EntityTag";

/// The component that describes `Idempotency-Replayed`.
const REPLAYED: &str = "IdempotencyReplayed";

fn header_references(wanted: impl Fn(&str) -> bool) -> Map<String, Value> {
    let wanted = headers().into_iter().filter(|(name, ..)| wanted(name));
    wanted
        .map(|(name, wire, ..)| (wire.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") })))
        .collect()
}

/// Adds to `operation` the errors that every operation may have, according to its parameters and body, and the headers of responses.
pub(super) fn complete(method: &str, operation: &mut Map<String, Value>) {
    let summary = operation.get("summary").cloned().unwrap_or_default();
    let has_body = operation.contains_key("requestBody");
    let parameters: Vec<&str> = operation
        .get("parameters")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|parameter| parameter["name"].as_str())
        .collect();
    let has_key = parameters.contains(&"Idempotency-Key");
    let mut statuses = vec![
        StatusCode::UNAUTHORIZED,
        StatusCode::URI_TOO_LONG,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    if has_key {
        statuses.extend([StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY]);
    }
    if parameters.contains(&"If-Match") {
        statuses.push(StatusCode::PRECONDITION_FAILED);
    }
    if parameters.contains(&"If-None-Match") && method == "get" {
        statuses.push(StatusCode::NOT_MODIFIED);
    }
    if has_body || !parameters.is_empty() {
        statuses.push(StatusCode::BAD_REQUEST);
    }
    if has_body {
        statuses.extend([StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE]);
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let is_rate_limited = responses.contains_key(StatusCode::TOO_MANY_REQUESTS.as_str());
    for error in ERRORS.iter().filter(|error| statuses.contains(&error.status)) {
        let reference = json!({ "$ref": format!("#/components/responses/{}", error.name) });
        responses.entry(error.status.as_str()).or_insert(reference);
    }
    for response in
        responses.values_mut().filter_map(Value::as_object_mut).filter(|response| !response.contains_key("$ref"))
    {
        response.entry("description").or_insert_with(|| summary.clone());
        let all = response.entry("headers").or_insert_with(|| json!({}));
        if let Some(all) = all.as_object_mut() {
            let common = header_references(|name| match name {
                "RequestId" => true,
                ETAG => all.contains_key("ETag"),
                "TotalCount" => all.contains_key("X-Total-Count"),
                "NextCursor" => all.contains_key("X-Next-Cursor"),
                "Link" => all.contains_key("Link"),
                "ContentDisposition" => all.contains_key("Content-Disposition"),
                REPLAYED => has_key,
                _ => is_rate_limited && name.starts_with("RateLimit"),
            });
            all.extend(common);
        }
    }
}

/// The components that operations refer to.
pub(super) struct Shared {
    pub(super) schemas: BTreeMap<String, Value>,
    pub(super) responses: Map<String, Value>,
    pub(super) headers: Map<String, Value>,
    pub(super) security: Value,
}

pub(super) fn shared() -> Shared {
    let error = json!({
        "type": "object",
        "description": "The body of every error.",
        "required": ["error", "message"],
        "properties": {
            "error": {
                "type": "string",
                "description": "The kind of the error: a constant text for each status.",
                "enum": ERRORS.iter().filter(|error| error.status.as_u16() >= 400).map(|error| error.kind).chain(OTHER_KINDS).collect::<Vec<_>>(),
            },
            "message": { "type": "string", "description": "A sentence for people." },
            "details": {
                "type": "object",
                "properties": {
                    "fields": {
                        "type": "object",
                        "description": "The problem of each field or parameter, as the rest of a sentence that begins with its name.",
                        "additionalProperties": { "type": "string" },
                    },
                    "current": {
                        "type": "object",
                        "description": "The current value of each field that a request expected to have another one; null if it is unknown.",
                        "additionalProperties": { "type": ["integer", "null"] },
                    },
                },
            },
            "retryAfter": { "type": "integer", "minimum": 0, "description": "Seconds, as the header `Retry-After`." },
        },
    });
    let responses = ERRORS.iter().map(|ErrorResponse { name, status, kind, description, message }| {
        let headers = header_references(|name| match *status {
            _ if name == "RequestId" => true,
            StatusCode::TOO_MANY_REQUESTS => name == "RetryAfter" || name.starts_with("RateLimit"),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT => name == "RetryAfter",
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => name == "Challenge",
            StatusCode::NOT_MODIFIED => name == ETAG,
            _ => false,
        });
        if *status == StatusCode::NOT_MODIFIED {
            return ((*name).to_owned(), json!({ "description": description, "headers": headers }));
        }
        let mut example = json!({ "error": kind, "message": message });
        match *status {
            StatusCode::BAD_REQUEST => {
                example["details"] = json!({ "fields": { "limit": "must be a whole number from 1 to 1000" } });
            }
            StatusCode::TOO_MANY_REQUESTS => example["retryAfter"] = json!(42),
            _ => {}
        }
        let content = json!({ "schema": { "$ref": "#/components/schemas/Error" }, "example": example });
        let response =
            json!({ "description": description, "headers": headers, "content": { "application/json": content } });
        ((*name).to_owned(), response)
    });
    let headers = headers()
        .into_iter()
        .map(|(name, _, schema, about)| (name.to_owned(), json!({ "description": about, "schema": schema })));
    Shared {
        schemas: BTreeMap::from([("Error".to_owned(), error)]),
        responses: responses.collect(),
        headers: headers.collect(),
        security: json!({
            "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token of the configured OpenID Connect issuer, for the configured audience." },
        }),
    }
}
