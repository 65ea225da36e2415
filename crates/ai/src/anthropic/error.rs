//! What a request to Anthropic can fail with, by what can be done about it (design, reading 23).

use std::time::Duration;

use app_core::metrics::{self, Metric};
use http::{HeaderMap, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// The most characters of Anthropic's own words that are shown.
const MAX_MESSAGE: usize = 1_000;

/// Everything that a request to Anthropic can fail with.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The request is wrong or too large; Anthropic says how.
    #[error("Anthropic refused the request with {status}: {message}")]
    Refused {
        /// 400 or 413.
        status: StatusCode,
        /// Anthropic's words, for the client.
        message: String,
    },
    /// The key, the account or the model does not work: our configuration.
    #[error("Anthropic does not accept the configuration, with {status}: {message}")]
    Misconfigured {
        /// What it answered.
        status: StatusCode,
        /// Anthropic's words, for the log.
        message: String,
    },
    /// Anthropic is overloaded, or we ask too much of it.
    #[error("Anthropic is busy, with {status}")]
    Busy {
        /// 429 or 529.
        status: StatusCode,
        /// When another request is welcome, if it says.
        retry_after: Option<Duration>,
    },
    /// Anthropic failed.
    #[error("Anthropic failed with {status}")]
    Failed {
        /// What it answered.
        status: StatusCode,
    },
    /// No connection could be had, or it broke.
    #[error("the connection to Anthropic broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing came in time.
    #[error("Anthropic did not answer in time")]
    TimedOut,
}

/// Overloaded; Anthropic's own status.
const OVERLOADED: u16 = 529;

impl UpstreamError {
    /// The error that an answer other than 200 stands for. `key` is taken out of its words, should it be in them.
    pub(super) fn of_answer(status: StatusCode, headers: &HeaderMap, body: &[u8], key: &SecretString) -> Self {
        let message = || message_of(body).replace(key.expose_secret(), "[key]");
        match status.as_u16() {
            400 | 413 => Self::Refused { status, message: message() },
            // 404: the model is not there (any more).
            401 | 403 | 404 => Self::Misconfigured { status, message: message() },
            429 | OVERLOADED => Self::Busy { status, retry_after: retry_after(headers) },
            _ => Self::Failed { status },
        }
    }

    /// Whether another try may well succeed.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Busy { status, retry_after } => status.as_u16() == OVERLOADED || retry_after.is_some(),
            Self::Failed { status } => status.is_server_error(),
            Self::Broken(_) => true,
            Self::Refused { .. } | Self::Misconfigured { .. } | Self::TimedOut => false,
        }
    }

    /// Counts what became of a question, unless it was at fault itself.
    pub(crate) fn count(&self) {
        metrics::count(Metric::UpstreamErrors, (!matches!(self, Self::Refused { .. })).into());
        metrics::count(Metric::UpstreamMisconfigured, matches!(self, Self::Misconfigured { .. }).into());
    }

    /// When another request is welcome.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The status of our own answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused { status, .. } => *status,
            Self::Misconfigured { .. } | Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed { .. } | Self::Broken(_) => StatusCode::BAD_GATEWAY,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// What our own answer says. Nothing of what Anthropic said but about the request itself.
    pub fn message(&self) -> String {
        match self {
            Self::Refused { message, .. } => format!("The assistant refused the request: {message}"),
            Self::Misconfigured { .. } => "The assistant is not configured correctly.".to_owned(),
            Self::Busy { .. } => "The assistant is busy. Try again later.".to_owned(),
            Self::Failed { .. } | Self::Broken(_) => "The assistant failed. Try again.".to_owned(),
            Self::TimedOut => "The assistant did not answer in time.".to_owned(),
        }
    }
}

impl From<reqwest::Error> for UpstreamError {
    fn from(error: reqwest::Error) -> Self {
        // The address is no secret, but it is in every log line already.
        let error = error.without_url();
        if error.is_timeout() { Self::TimedOut } else { Self::Broken(error.into()) }
    }
}

/// What Anthropic says in the body of an error.
fn message_of(body: &[u8]) -> String {
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

/// The seconds of a `Retry-After` header; Anthropic sends no dates.
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
        UpstreamError::of_answer(status, &HeaderMap::from_iter(headers), body.as_bytes(), &"canary".into())
    }

    #[test]
    fn each_answer_has_its_status_and_is_tried_again_where_that_helps() {
        for (theirs, retry_after, ours, is_tried_again) in [
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
            assert_eq!(error.is_passing(), is_tried_again, "{theirs} {retry_after:?}");
            let seconds = error.retry_after().map(|wait| wait.as_secs());
            assert_eq!(seconds, retry_after.map(|text| text.parse().unwrap()), "{theirs}");
        }
        assert_eq!(UpstreamError::TimedOut.status(), StatusCode::GATEWAY_TIMEOUT);
        assert!(!UpstreamError::TimedOut.is_passing());
        let broken = UpstreamError::Broken("reset".into());
        assert_eq!((broken.status(), broken.is_passing()), (StatusCode::BAD_GATEWAY, true));
    }

    #[test]
    fn only_what_is_about_the_request_is_passed_on_and_never_the_key() {
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
