//! Our own `Json`, `Path` and `Query`. Those of axum reject requests in plain text; these respond with our error body, which names
//! the field.

#![expect(clippy::disallowed_types, reason = "these wrap the originals")]

use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, FailedToBufferBody},
    },
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts};
use percent_encoding::percent_decode_str;
use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{ApiError, BODY_LIMIT_BYTES};
use crate::telemetry;

/// The JSON body of a request or a response.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        parse_object(&json_bytes(request, state).await?).map(Self)
    }
}

/// Reads the body of a request whose `Content-Type` is JSON, without the byte order mark that some programs write before it.
pub(crate) async fn json_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    if !is_json(request.headers()) {
        return Err(ApiError::UnsupportedMediaType);
    }
    let body = body_bytes(request, state).await?;
    let mark_length = if body.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    Ok(body.slice(mark_length..))
}

/// Reads the body of a request. The limit is axum's, or that of a [`DefaultBodyLimit`](axum::extract::DefaultBodyLimit).
///
/// # Errors
/// When the body is encoded, is too large or breaks off.
pub async fn body_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    if !is_unencoded(request.headers()) {
        return Err(ApiError::UnsupportedContentEncoding);
    }
    if is_announced_too_large(request.headers()) {
        return Err(ApiError::PayloadTooLarge(BODY_LIMIT_BYTES));
    }
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            ApiError::PayloadTooLarge(BODY_LIMIT_BYTES)
        }
        rejection => ApiError::BadRequest(format!("The body could not be read: {rejection}.")),
    })
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response(),
            Err(error) => {
                tracing::error!(error = %telemetry::error_chain(&error), "a response could not be written as JSON");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// Returns whether the `Content-Type` is `application/json` or `application/…+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(content_type)) = headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str) else { return false };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Returns whether the body is as it is, without a `Content-Encoding` such as `gzip`.
fn is_unencoded(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    encodings.all(|encoding| encoding.is_empty() || encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Returns whether the `Content-Length` is over the limit, so that none of the body has to be read.
pub fn is_announced_too_large(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > BODY_LIMIT_BYTES as u64)
}

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The deepest nesting of a body. No valid request is deeper, and parts of bodies are passed on to others unchanged.
const MAX_DEPTH: usize = 64;

/// Returns whether brackets are nested too deep. They are counted before parsing, because the parser does not look into parts that
/// are ignored or passed on unchanged.
fn is_too_deep(body: &[u8]) -> bool {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// Parses the body of a request, which must be a JSON object.
pub(crate) fn parse_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if is_too_deep(body) {
        return Err(ApiError::BadRequest(format!("The body must not be nested more than {MAX_DEPTH} levels deep.")));
    }
    if !is_object(body) {
        // Serde would read a struct from an array, too.
        return Err(ApiError::BadRequest(match serde_json::from_slice::<IgnoredAny>(body) {
            Ok(_) => "The body must be a JSON object.".to_owned(),
            Err(error) => format!("The body is not valid JSON: {error}."),
        }));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        match error.classify() {
            serde_json::error::Category::Data if field != "." => ApiError::invalid(&field, problem_of(&error)),
            serde_json::error::Category::Data => {
                ApiError::BadRequest(format!("The body has a {}.", problem_of(&error)))
            }
            _ => ApiError::BadRequest(format!("The body is not valid JSON: {error}.")),
        }
    })?;
    deserializer.end().map_err(|error| ApiError::BadRequest(format!("The body is not valid JSON: {error}.")))?;
    Ok(value)
}

fn is_object(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// Returns the message of serde without the position, as the rest of a sentence that begins with the field's name.
fn problem_of(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    if message.starts_with("unknown field") {
        return match message.split_once(", expected ") {
            Some((_, fields)) => format!("is no field of this request, which may have {fields}"),
            None => "is no field of this request".to_owned(),
        };
    }
    match message.strip_prefix("invalid type: ") {
        Some(types) => match types.split_once(", expected ") {
            Some((found, expected)) => format!("must be {expected}, not {}", found.split(' ').next().unwrap_or(found)),
            None => format!("is of the wrong type ({types})"),
        },
        None => message.to_owned(),
    }
}

/// The percent-decoded parameters of the path.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) if rejection.status().is_server_error() => Err(ApiError::internal(rejection)),
            Err(rejection) => Err(ApiError::BadRequest(format!("The path is not valid: {}.", rejection.body_text()))),
        }
    }
}

/// The parameters of the query string. Unknown ones are ignored. A blank one, such as an empty field of a form, counts as
/// absent.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::try_from_uri(&without_blank_parameters(&parts.uri)) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::BadRequest(format!("The query is not valid: {}.", rejection.body_text()))),
        }
    }
}

/// Returns the query of `uri` without those parameters that have no value, or one of white space only.
fn without_blank_parameters(uri: &Uri) -> Uri {
    let is_blank = |parameter: &str| {
        let value = parameter.split_once('=').map_or("", |(_, value)| value).replace('+', " ");
        percent_decode_str(&value).decode_utf8_lossy().trim().is_empty()
    };
    let query = uri.query().unwrap_or_default().split('&').filter(|parameter| !is_blank(parameter));
    // A part of a valid query is valid.
    format!("/?{}", query.collect::<Vec<_>>().join("&")).parse().unwrap_or_else(|_| uri.clone())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::values::{Day, Money, Text};

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        #[expect(dead_code, reason = "only parsed")]
        shop_name: Option<Text<5>>,
        #[expect(dead_code, reason = "only parsed")]
        cost: Option<Money>,
        #[expect(dead_code, reason = "only parsed")]
        made: Option<Day>,
    }

    #[test]
    fn invalid_bodies_are_rejected_with_the_field_name() {
        for (sent, said) in [
            ("", "not valid JSON"),
            ("{", "not valid JSON"),
            ("{} {}", "not valid JSON"),
            ("[]", "must be a JSON object"),
            ("[1,2,3]", "must be a JSON object"),
            ("null", "must be a JSON object"),
            ("\"text\"", "must be a JSON object"),
            (r#"{"shopName":"a","shopName":"b"}"#, "duplicate field `shopName`"),
            (r#"{"shopName":5}"#, "shopName must be text, not integer"),
            (r#"{"shopName":{"a":1}}"#, "shopName must be text, not map"),
            (r#"{"shopName":"abcdef"}"#, "shopName must be at most 5 characters long"),
            (r#"{"shopName":"\u0000"}"#, "shopName must not contain the NUL character"),
            (r#"{"shopName":"\ud800"}"#, "not valid JSON"),
            (r#"{"cost":1e400}"#, "cost must be an amount"),
            (r#"{"cost":true}"#, "cost must be a string or a number"),
            (r#"{"made":20240101}"#, "made must be a date, not integer"),
            (r#"{"made":"2024-13-45"}"#, "made must be a date"),
        ] {
            let error = parse_object::<Body>(sent.as_bytes()).unwrap_err();
            assert_eq!(error.status(), StatusCode::BAD_REQUEST);
            assert!(error.to_string().contains(said), "{sent}: {error}");
        }
        assert!(parse_object::<Body>(br#" {"shopName":null,"unknown":{"deep":[1]},"cost":"1.50"} "#).is_ok());
    }

    #[test]
    fn an_unknown_field_is_rejected_by_name_where_the_request_takes_none() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Strict {
            #[expect(dead_code, reason = "only parsed")]
            quantity: Option<u8>,
        }
        let error = parse_object::<Strict>(br#"{"qty":3}"#).unwrap_err();
        assert_eq!(error.to_string(), "qty is no field of this request, which may have `quantity`.");
    }

    #[test]
    fn blank_parameters_are_absent() {
        for (sent, kept) in [
            ("/x?a=&b=1&c", "/?b=1"),
            ("/x?a=%20%09+&a=2&b=%C2%A0", "/?a=2"),
            ("/x?a=%&b=%00", "/?a=%&b=%00"),
            ("/x?", "/?"),
            ("/x", "/?"),
        ] {
            assert_eq!(without_blank_parameters(&sent.parse().unwrap()), kept, "{sent}");
        }
    }

    #[test]
    fn brackets_in_strings_do_not_count_as_nesting() {
        let deep = "[".repeat(65);
        assert!(is_too_deep(deep.as_bytes()) && is_too_deep(format!(r#"{{"a\\":{deep}"#).as_bytes()));
        assert!(!is_too_deep(&deep.as_bytes()[1..]));
        for shallow in [format!(r#"{{"a":"{deep}"}}"#), format!(r#"{{"a\"{deep}":1}}"#), "[]".repeat(1000)] {
            assert!(!is_too_deep(shallow.as_bytes()), "{shallow}");
        }
    }

    #[test]
    fn the_content_type_must_be_json() {
        for (content_type, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/plain", false),
            ("application/jsonlines", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            assert_eq!(is_json(&headers), json, "{content_type}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
