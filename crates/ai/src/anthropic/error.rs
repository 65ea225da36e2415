//! The errors of requests to Anthropic, by what can be done about them.

use std::{borrow::Cow, error::Error, fmt, io, iter::successors, time::Duration};

use app_core::{
    metrics::{self, Metric},
    telemetry,
};
use chrono::DateTime;
use http::{HeaderMap, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The most characters of Anthropic's message that are shown.
const MAX_MESSAGE: usize = 1_000;

/// An error of a request to Anthropic.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The request is invalid or too large.
    #[error("Anthropic rejected the request with {status}: {message}")]
    InvalidRequest {
        /// 400 or 413.
        status: StatusCode,
        /// Anthropic's message, for the client.
        message: String,
    },
    /// The key, the account or the model is wrong, which is our configuration.
    #[error("Anthropic does not accept the configuration, with {status}: {message}")]
    Misconfigured {
        status: StatusCode,
        /// Anthropic's message, for the log.
        message: String,
    },
    /// Anthropic is overloaded, or its rate limit is exceeded.
    #[error("Anthropic is busy, with {status}")]
    Busy {
        /// 429 or 529.
        status: StatusCode,
        /// The time until another request is welcome, if Anthropic says so.
        retry_after: Option<Duration>,
    },
    /// Anthropic failed, or took too long (504).
    #[error("Anthropic failed with {status}")]
    Failed {
        status: StatusCode,
        /// The time until another request is welcome, if Anthropic says so.
        retry_after: Option<Duration>,
    },
    /// There was no connection, or it was lost.
    #[error("the connection to Anthropic was lost")]
    ConnectionLost(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A successful response is not JSON, is no stream although one was requested, or is too long.
    #[error("the response is not one of Anthropic's API")]
    InvalidResponse(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There was no response in time.
    #[error("Anthropic did not answer in time: {0}")]
    TimedOut(TimeLimit),
}

/// A time limit of a request ([`Timeouts`](super::Timeouts)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    Connect,
    FirstByte,
    BetweenEvents,
    Total,
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Connect => "there was no connection",
            Self::FirstByte => "there was no response",
            Self::BetweenEvents => "the stream did not go on",
            Self::Total => "the response did not end",
        })
    }
}

/// Anthropic's own status for overload.
const OVERLOADED: u16 = 529;

/// The seconds after which a client may try again where Anthropic says nothing: it is overloaded, the rate limit or the limit of
/// spending is exceeded, or somebody has to correct the configuration.
const RETRY_AFTER_OVERLOAD: u64 = 5;
const RETRY_AFTER_LIMIT: u64 = 60;
pub(crate) const RETRY_AFTER_MISCONFIGURATION: u64 = 300;

/// The advice while Anthropic is down or overloaded.
pub(crate) const OUTAGE: &str =
    "Anthropic is down or overloaded: its status page says for how long; it ends without our doing";

impl UpstreamError {
    /// Creates the error for a response other than 200. `key` is removed from its message.
    pub(super) fn from_response(status: StatusCode, headers: &HeaderMap, body: &[u8], key: &SecretString) -> Self {
        let message = || message_in(body).replace(key.expose_secret(), "[key]");
        match status.as_u16() {
            400 | 413 => Self::InvalidRequest { status, message: message() },
            // 402: the account cannot pay. 404: the model does not exist (any more).
            401..=404 => Self::Misconfigured { status, message: message() },
            429 | OVERLOADED => Self::Busy { status, retry_after: retry_after(headers) },
            _ => Self::Failed { status, retry_after: retry_after(headers) },
        }
    }

    /// Creates the error for a successful response, or the first event of one, whose data is an error: the same as for a response with
    /// the status of that type of error. Returns `None` if `data` is no error.
    pub(super) fn in_data(data: &[u8], headers: &HeaderMap, key: &SecretString) -> Option<Self> {
        #[derive(Deserialize)]
        struct Data<'a> {
            #[serde(rename = "type", borrow)]
            kind: Cow<'a, str>,
            #[serde(borrow)]
            error: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Error<'a> {
            #[serde(rename = "type", borrow)]
            kind: Cow<'a, str>,
        }
        let Data { kind, error } = serde_json::from_slice(data).ok()?;
        if kind != "error" {
            return None;
        }
        let kind = error.and_then(|error| Some(serde_json::from_str::<Error<'_>>(error.get()).ok()?.kind));
        let status = match kind.as_deref() {
            Some("invalid_request_error") => 400,
            Some("authentication_error") => 401,
            Some("billing_error") => 402,
            Some("permission_error") => 403,
            Some("not_found_error") => 404,
            Some("request_too_large") => 413,
            Some("rate_limit_error") => 429,
            Some("timeout_error") => 504,
            Some("overloaded_error") => OVERLOADED,
            // `api_error`, and types that this program does not know.
            _ => 500,
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Some(Self::from_response(status, headers, data, key))
    }

    /// Returns whether another attempt may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Busy { status, retry_after } => status.as_u16() == OVERLOADED || retry_after.is_some(),
            Self::Failed { status, .. } => status.is_server_error(),
            Self::ConnectionLost(_) => true,
            Self::InvalidRequest { .. } | Self::Misconfigured { .. } | Self::InvalidResponse(_) | Self::TimedOut(_) => {
                false
            }
        }
    }

    /// Logs the error with advice, unless the request was invalid. The message of the line is `message`, or says that the configuration is
    /// at fault.
    pub(crate) fn log(&self, message: &str) {
        let Some(hint) = self.hint() else { return };
        let fault = matches!(self, Self::Misconfigured { .. }).then_some("configuration");
        let message = if fault.is_some() { "configuration fault" } else { message };
        tracing::error!(error = %telemetry::error_chain(self), fault, hint, "{message}");
    }

    /// Returns advice for the log, unless the request was invalid.
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::InvalidRequest { .. } => return None,
            Self::Misconfigured { status, .. } => match status.as_u16() {
                401 => {
                    "Anthropic does not accept ANTHROPIC_API_KEY: put a valid key into the secret, and deploy with another \
                     SecretsRevision"
                }
                402 => "the account at Anthropic cannot pay: add credit in Anthropic's console",
                403 => "the key may not do this: check it and its workspace in Anthropic's console",
                _ => "Anthropic has no such model or address: check AI_MODELS and ANTHROPIC_BASE_URL",
            },
            Self::Busy { status, .. } if status.as_u16() == OVERLOADED => OUTAGE,
            Self::Busy { .. } => {
                "the account's limit of requests, tokens or spending is reached: see Anthropic's console, and ask for a higher limit or \
                 lower AI_RATE_LIMIT"
            }
            Self::Failed { status, .. } if status.is_server_error() => OUTAGE,
            Self::Failed { .. } | Self::InvalidResponse(_) => {
                "something else than Anthropic has answered, such as a proxy: check ANTHROPIC_BASE_URL"
            }
            Self::ConnectionLost(_) | Self::TimedOut(TimeLimit::Connect) => {
                "check ANTHROPIC_BASE_URL, and whether the function has a route to the Internet; otherwise Anthropic is down, and its \
                 status page says so"
            }
            Self::TimedOut(TimeLimit::FirstByte | TimeLimit::BetweenEvents) => {
                "see Anthropic's status page; if answers only take long, let clients stream them, or raise \
                 ANTHROPIC_FIRST_BYTE_TIMEOUT_SECONDS or ANTHROPIC_IDLE_TIMEOUT_SECONDS"
            }
            Self::TimedOut(TimeLimit::Total) => "the answer is longer than ANTHROPIC_TOTAL_TIMEOUT_SECONDS allows",
        })
    }

    /// Counts the error in the metrics, unless the request was invalid.
    pub(crate) fn count(&self) {
        metrics::count(Metric::UpstreamErrors, (!matches!(self, Self::InvalidRequest { .. })).into());
        metrics::count(Metric::UpstreamMisconfigured, matches!(self, Self::Misconfigured { .. }).into());
    }

    /// Returns the time until another request is welcome, if Anthropic says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } | Self::Failed { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns the seconds after which the client may try again, of every error that is a 503.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Busy { retry_after: Some(wait), .. } => Some(wait.as_secs()),
            Self::Busy { status, .. } if status.as_u16() == OVERLOADED => Some(RETRY_AFTER_OVERLOAD),
            Self::Busy { .. } => Some(RETRY_AFTER_LIMIT),
            Self::Misconfigured { .. } => Some(RETRY_AFTER_MISCONFIGURATION),
            _ => None,
        }
    }

    /// Returns the status of our own response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::InvalidRequest { status, .. } => *status,
            Self::Misconfigured { .. } | Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed { status: StatusCode::GATEWAY_TIMEOUT, .. } | Self::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Failed { .. } | Self::ConnectionLost(_) | Self::InvalidResponse(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// Returns the message of our own response. It repeats Anthropic's message only if that is about the request.
    pub fn message(&self) -> String {
        match self {
            Self::InvalidRequest { message, .. } => format!("The assistant refused the request: {message}"),
            Self::Misconfigured { .. } => "The assistant is not configured correctly.".to_owned(),
            Self::Busy { .. } => "The assistant is busy. Try again later.".to_owned(),
            Self::Failed { status: StatusCode::GATEWAY_TIMEOUT, .. } | Self::TimedOut(_) => {
                "The assistant did not answer in time.".to_owned()
            }
            Self::Failed { .. } | Self::ConnectionLost(_) | Self::InvalidResponse(_) => {
                "The assistant failed. Try again.".to_owned()
            }
        }
    }
}

impl From<reqwest::Error> for UpstreamError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if !error.is_timeout() || is_unacknowledged(&error) {
            Self::ConnectionLost(error.into())
        } else if error.is_connect() {
            Self::TimedOut(TimeLimit::Connect)
        } else {
            Self::TimedOut(TimeLimit::FirstByte)
        }
    }
}

/// Returns whether the system gave up an open connection because the other side acknowledged nothing any more. Another connection may
/// work.
fn is_unacknowledged(error: &reqwest::Error) -> bool {
    let mut causes = successors(error.source(), |&error| error.source());
    let is_from_system = causes
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut));
    is_from_system && !error.is_connect()
}

/// Reads Anthropic's message from the body of an error.
fn message_in(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        message: String,
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(body) => body.error.message.chars().take(MAX_MESSAGE).collect(),
        Err(_) => "no reason given".to_owned(),
    }
}

/// Reads a `Retry-After` header: seconds, or an instant, of which the `Date` header says how far away it is.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let value = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let instant = |text| DateTime::parse_from_rfc2822(text).ok();
    let wait = instant(value)? - instant(text(header::DATE)?)?;
    // An instant that has passed is no time to wait.
    Some(wait.to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, retry_after: Option<&'static str>, body: &str) -> UpstreamError {
        let headers = retry_after.map(|value| (header::RETRY_AFTER, http::HeaderValue::from_static(value)));
        let status = StatusCode::from_u16(status).unwrap();
        UpstreamError::from_response(status, &HeaderMap::from_iter(headers), body.as_bytes(), &"canary".into())
    }

    #[test]
    fn transient_errors_are_retried() {
        for (theirs, retry_after, ours, is_retried) in [
            (400, None, 400, false),
            (401, None, 503, false),
            (402, None, 503, false),
            (403, None, 503, false),
            (404, None, 503, false),
            (413, None, 413, false),
            (422, None, 502, false),
            (429, Some("7"), 503, true),
            (429, None, 503, false),
            (500, None, 502, true),
            (500, Some("3"), 502, true),
            (503, None, 502, true),
            (504, None, 504, true),
            (529, None, 503, true),
            (529, Some("3"), 503, true),
            (302, None, 502, false),
        ] {
            let error = error(theirs, retry_after, "");
            assert_eq!(error.status().as_u16(), ours, "{theirs}");
            assert_eq!(error.is_transient(), is_retried, "{theirs} {retry_after:?}");
            let seconds = error.retry_after().map(|wait| wait.as_secs());
            assert_eq!(seconds, retry_after.map(|text| text.parse().unwrap()), "{theirs}");
        }
        let timed_out = UpstreamError::TimedOut(TimeLimit::Connect);
        assert_eq!((timed_out.status(), timed_out.is_transient()), (StatusCode::GATEWAY_TIMEOUT, false));
        let lost = UpstreamError::ConnectionLost("reset".into());
        assert_eq!((lost.status(), lost.is_transient()), (StatusCode::BAD_GATEWAY, true));
    }

    #[test]
    fn errors_in_successful_responses_are_those_of_their_type() {
        for (kind, ours, is_retried) in [
            ("invalid_request_error", 400, false),
            ("authentication_error", 503, false),
            ("billing_error", 503, false),
            ("permission_error", 503, false),
            ("not_found_error", 503, false),
            ("request_too_large", 413, false),
            ("rate_limit_error", 503, false),
            ("timeout_error", 504, true),
            ("overloaded_error", 503, true),
            ("api_error", 502, true),
            ("something_new", 502, true),
        ] {
            let data = format!(r#"{{"error":{{"message":"too vague","type":"{kind}"}},"type":"error"}}"#);
            let error = UpstreamError::in_data(data.as_bytes(), &HeaderMap::new(), &"canary".into()).unwrap();
            assert_eq!((error.status().as_u16(), error.is_transient()), (ours, is_retried), "{kind}");
            assert_eq!(error.retry_after_seconds().is_some(), ours == 503, "{kind}");
            assert_eq!(error.message().contains("too vague"), ours < 500, "{kind}");
        }
        let in_data = |data: &str| UpstreamError::in_data(data.as_bytes(), &HeaderMap::new(), &"canary".into());
        for malformed in
            [r#"{"type":"error"}"#, r#"{"type":"error","error":null}"#, r#"{"type":"error","error":{"type":5}}"#]
        {
            assert_eq!(in_data(malformed).unwrap().status(), StatusCode::BAD_GATEWAY, "{malformed}");
        }
        for other in
            ["", "x", "[]", r#"{"type":"message","error":{"type":"api_error"}}"#, r#"{"error":{"type":"api_error"}}"#]
        {
            assert!(in_data(other).is_none(), "{other}");
        }
    }

    #[test]
    fn retry_after_may_be_an_instant() {
        let wait = |retry_after: &'static str, date: Option<&'static str>| {
            let headers = [(header::RETRY_AFTER, Some(retry_after)), (header::DATE, date)];
            let headers =
                headers.into_iter().filter_map(|(name, value)| Some((name, http::HeaderValue::from_static(value?))));
            super::retry_after(&headers.collect()).map(|wait| wait.as_secs())
        };
        let date = Some("Fri, 15 Nov 2024 12:00:00 GMT");
        assert_eq!(wait(" 7 ", None), Some(7));
        assert_eq!(wait("Fri, 15 Nov 2024 12:00:42 GMT", date), Some(42));
        assert_eq!(wait("Fri, 15 Nov 2024 11:00:00 GMT", date), Some(0));
        for (retry_after, date) in [("Fri, 15 Nov 2024 12:00:42 GMT", None), ("soon", date), ("-1", date), ("", date)] {
            assert_eq!(wait(retry_after, date), None, "{retry_after}");
        }
    }

    #[test]
    fn only_messages_about_the_request_are_shown() {
        let body = r#"{"type":"error","error":{"type":"x","message":"messages: no canary here"}}"#;
        assert_eq!(error(400, None, body).message(), "The assistant refused the request: messages: no [key] here");
        for status in [401, 403, 404, 429, 500, 529] {
            let error = error(status, None, body);
            assert!(!error.message().contains("messages"), "{status}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{status}");
        }
        assert!(error(400, None, "<html>").message().ends_with("no reason given"));
    }
}
