//! The errors of requests to the assistant.

use app_core::{
    http::{ApiError, Json},
    telemetry,
};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{
    anthropic::{RETRY_AFTER_MISCONFIGURATION, UpstreamError},
    limiter::{Decision, LimiterError},
};

/// An error of a request to the assistant.
#[derive(Debug, thiserror::Error)]
pub enum AiError {
    /// An error that any request can have.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// 503: no API key is configured.
    #[error("the assistant has no API key")]
    NotConfigured,
    /// 429: the user has asked too often, or has used the tokens of the day.
    #[error("too many requests or tokens")]
    Limited(Decision),
    /// 503: the rate limit or the tokens of the day cannot be checked.
    #[error(transparent)]
    Limiter(#[from] LimiterError),
    /// An error of Anthropic.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody {
    error: &'static str,
    message: String,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl IntoResponse for AiError {
    fn into_response(self) -> Response {
        let (status, error, message, headers) = match self {
            Self::Api(error) => return error.into_response(),
            Self::NotConfigured => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Service unavailable",
                "The assistant is not available: no Anthropic API key is configured.".to_owned(),
                retry_after(RETRY_AFTER_MISCONFIGURATION),
            ),
            Self::Limited(Decision::OutOfTokens(refusal)) => (
                StatusCode::TOO_MANY_REQUESTS,
                "Token limit exceeded",
                refusal.message(),
                Decision::OutOfTokens(refusal).headers(),
            ),
            Self::Limited(decision) => {
                let seconds = decision.retry_after().unwrap_or_default();
                let message = format!("Too many requests. Try again in {seconds} seconds.");
                (StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded", message, decision.headers())
            }
            Self::Limiter(error) => {
                let (fault, hint) = (error.fault(), error.hint());
                tracing::error!(error = %telemetry::error_chain(&error), fault, hint, "request failed");
                let seconds = if fault.is_some() { RETRY_AFTER_MISCONFIGURATION } else { 1 };
                let message = "The rate limit cannot be checked at the moment. Try again.".to_owned();
                (StatusCode::SERVICE_UNAVAILABLE, "Rate limiter unavailable", message, retry_after(seconds))
            }
            Self::Upstream(error) => {
                error.log("request failed");
                let headers = error.retry_after_seconds().map(retry_after).unwrap_or_default();
                (error.status(), kind(&error), error.message(), headers)
            }
        };
        let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut response = (status, Json(ErrorBody { error, message, retry_after: seconds })).into_response();
        response.headers_mut().extend(headers);
        response
    }
}

fn retry_after(seconds: u64) -> HeaderMap {
    HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from(seconds))])
}

/// Returns the `error` member, the same as that of [`ApiError`] where the status is the same.
fn kind(error: &UpstreamError) -> &'static str {
    match error.status() {
        StatusCode::BAD_REQUEST => "Validation error",
        StatusCode::PAYLOAD_TOO_LARGE => "Payload too large",
        StatusCode::BAD_GATEWAY => "Bad gateway",
        StatusCode::GATEWAY_TIMEOUT => "Gateway timeout",
        _ => "Service unavailable",
    }
}
