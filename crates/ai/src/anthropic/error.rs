//! The errors of requests to Anthropic, by what can be done about them.

use std::time::Duration;

use app_core::metrics::{self, Metric};
use http::{HeaderMap, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

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
    /// Anthropic failed.
    #[error("Anthropic failed with {status}")]
    Failed { status: StatusCode },
    /// There was no connection, or it was lost.
    #[error("the connection to Anthropic was lost")]
    ConnectionLost(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A successful response is not JSON.
    #[error("the response of Anthropic is not JSON")]
    InvalidResponse(#[source] serde_json::Error),
    /// There was no response in time.
    #[error("Anthropic did not answer in time")]
    TimedOut,
}

/// Anthropic's own status for overload.
const OVERLOADED: u16 = 529;

impl UpstreamError {
    /// Creates the error for a response other than 200. `key` is removed from its message.
    pub(super) fn from_response(status: StatusCode, headers: &HeaderMap, body: &[u8], key: &SecretString) -> Self {
        let message = || message_in(body).replace(key.expose_secret(), "[key]");
        match status.as_u16() {
            400 | 413 => Self::InvalidRequest { status, message: message() },
            // 404: the model does not exist (any more).
            401 | 403 | 404 => Self::Misconfigured { status, message: message() },
            429 | OVERLOADED => Self::Busy { status, retry_after: retry_after(headers) },
            _ => Self::Failed { status },
        }
    }

    /// Returns whether another attempt may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Busy { status, retry_after } => status.as_u16() == OVERLOADED || retry_after.is_some(),
            Self::Failed { status } => status.is_server_error(),
            Self::ConnectionLost(_) => true,
            Self::InvalidRequest { .. } | Self::Misconfigured { .. } | Self::InvalidResponse(_) | Self::TimedOut => {
                false
            }
        }
    }

    /// Counts the error in the metrics, unless the request was invalid.
    pub(crate) fn count(&self) {
        metrics::count(Metric::UpstreamErrors, (!matches!(self, Self::InvalidRequest { .. })).into());
        metrics::count(Metric::UpstreamMisconfigured, matches!(self, Self::Misconfigured { .. }).into());
    }

    /// Returns the time until another request is welcome, if Anthropic says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns the status of our own response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::InvalidRequest { status, .. } => *status,
            Self::Misconfigured { .. } | Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed { .. } | Self::ConnectionLost(_) | Self::InvalidResponse(_) => StatusCode::BAD_GATEWAY,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Returns the message of our own response. It repeats Anthropic's message only if that is about the request.
    pub fn message(&self) -> String {
        match self {
            Self::InvalidRequest { message, .. } => format!("The assistant refused the request: {message}"),
            Self::Misconfigured { .. } => "The assistant is not configured correctly.".to_owned(),
            Self::Busy { .. } => "The assistant is busy. Try again later.".to_owned(),
            Self::Failed { .. } | Self::ConnectionLost(_) | Self::InvalidResponse(_) => {
                "The assistant failed. Try again.".to_owned()
            }
            Self::TimedOut => "The assistant did not answer in time.".to_owned(),
        }
    }
}

impl From<reqwest::Error> for UpstreamError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_timeout() { Self::TimedOut } else { Self::ConnectionLost(error.into()) }
    }
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

/// Reads a `Retry-After` header in seconds. Anthropic sends no dates.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse::<u32>().ok()?;
    Some(Duration::from_secs(seconds.into()))
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
            (403, None, 503, false),
            (404, None, 503, false),
            (413, None, 413, false),
            (422, None, 502, false),
            (429, Some("7"), 503, true),
            (429, None, 503, false),
            (500, None, 502, true),
            (503, None, 502, true),
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
        assert_eq!(UpstreamError::TimedOut.status(), StatusCode::GATEWAY_TIMEOUT);
        assert!(!UpstreamError::TimedOut.is_transient());
        let lost = UpstreamError::ConnectionLost("reset".into());
        assert_eq!((lost.status(), lost.is_transient()), (StatusCode::BAD_GATEWAY, true));
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
