//! The client of Anthropic's Messages API: address, key, timeouts and retries.

mod answer_text;
mod error;
mod events;
mod summary;

use std::{num::NonZeroU32, time::Duration};

use app_core::{
    config::Env,
    http::RequestId,
    metrics::{self, Metric},
    outbound, telemetry,
};
use backon::{ExponentialBuilder, Retryable};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use crate::betas::BETA;

pub(crate) use error::{OUTAGE, RETRY_AFTER_MISCONFIGURATION};
pub use error::{TimeLimit, UpstreamError};
pub use events::Events;
pub use summary::ResponseSummary;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The header with our own id of the request.
const OUR_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header with Anthropic's id of the request, by which its support finds it.
const THEIR_REQUEST_ID: &str = "request-id";

/// The most attempts of a request.
const MAX_TRIES: usize = 3;

/// The longest wait before other attempts, together. If Anthropic asks for a longer one, the client is told at once.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(10);

/// How long to read the body of an error, which comes with its status.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// The most bytes of a response that is not streamed, and of one event. Anthropic's longest answers have some megabytes. More would
/// not fit into the memory of a function several times over.
const MAX_RESPONSE: usize = 32 << 20;

/// How long opening the connection ahead of the first request may take.
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// The characters to encode in a model's name in a path: all but those that URLs never encode.
const MODEL_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How long a request for a model's description may take.
const MODEL_TIMEOUT: Duration = Duration::from_secs(10);

/// The configuration of the client.
#[derive(Clone, Debug)]
pub struct AnthropicConfig {
    /// `ANTHROPIC_BASE_URL`, `https://api.anthropic.com` by default, without a slash at the end.
    pub base_url: String,
    /// `ANTHROPIC_API_KEY`. Without it chats fail with 503.
    pub key: Option<SecretString>,
    /// `ANTHROPIC_VERSION`, `2023-06-01` by default.
    pub version: String,
    pub timeouts: Timeouts,
}

/// The timeouts of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `ANTHROPIC_CONNECT_TIMEOUT_SECONDS`: for a connection, 5 s by default.
    pub connect: Duration,
    /// `ANTHROPIC_FIRST_BYTE_TIMEOUT_SECONDS`: until the first event, or until the whole response if it is not streamed, 240 s by
    /// default.
    pub first_byte: Duration,
    /// `ANTHROPIC_IDLE_TIMEOUT_SECONDS`: between two events, 60 s by default. Anthropic sends pings more often.
    pub between_events: Duration,
    /// `ANTHROPIC_TOTAL_TIMEOUT_SECONDS`: for all attempts and the whole response, 840 s by default, a minute less than a
    /// function may run.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(240),
            between_events: Duration::from_secs(60),
            total: Duration::from_secs(840),
        }
    }
}

impl AnthropicConfig {
    /// Reads the `ANTHROPIC_*` variables.
    pub fn read(env: &mut Env) -> Self {
        let base_url = env.optional("ANTHROPIC_BASE_URL").unwrap_or("https://api.anthropic.com");
        let base_url = base_url.trim().trim_end_matches('/').to_owned();
        if !reqwest::Url::parse(&base_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            env.problem("ANTHROPIC_BASE_URL", "must be a URL such as https://api.anthropic.com");
        }
        let version = env.optional("ANTHROPIC_VERSION").unwrap_or("2023-06-01").trim().to_owned();
        if HeaderValue::from_str(&version).is_err() {
            env.problem("ANTHROPIC_VERSION", "must be a date such as 2023-06-01");
        }
        let key = env.optional("ANTHROPIC_API_KEY").map(|key| SecretString::from(key.trim()));
        if key.as_ref().is_some_and(|key| HeaderValue::from_str(key.expose_secret()).is_err()) {
            env.problem("ANTHROPIC_API_KEY", "must be printable text");
        }
        let Timeouts { connect, first_byte, between_events, total } = Timeouts::default();
        let timeouts = Timeouts {
            connect: read_seconds(env, "ANTHROPIC_CONNECT_TIMEOUT_SECONDS", connect),
            first_byte: read_seconds(env, "ANTHROPIC_FIRST_BYTE_TIMEOUT_SECONDS", first_byte),
            between_events: read_seconds(env, "ANTHROPIC_IDLE_TIMEOUT_SECONDS", between_events),
            total: read_seconds(env, "ANTHROPIC_TOTAL_TIMEOUT_SECONDS", total),
        };
        Self { base_url, key, version, timeouts }
    }
}

fn read_seconds(env: &mut Env, name: &str, default: Duration) -> Duration {
    let default = u32::try_from(default.as_secs()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    Duration::from_secs(env.parsed(name, default, "a whole number of seconds from 1").get().into())
}

/// The client. Clones share their connections.
#[derive(Clone)]
pub struct Anthropic {
    http: Client,
    messages_url: String,
    base_url: String,
    /// The headers of every request, among them the key, which is marked as sensitive.
    headers: HeaderMap,
    /// Removed from every text that is shown.
    key: SecretString,
    timeouts: Timeouts,
}

impl Anthropic {
    /// Creates a client, or `None` without a key. Nothing is connected yet.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(config: &AnthropicConfig) -> Result<Option<Self>, Box<dyn std::error::Error + Send + Sync>> {
        let Some(key) = &config.key else { return Ok(None) };
        let mut api_key = HeaderValue::from_str(key.expose_secret())?;
        api_key.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (API_KEY, api_key),
            (VERSION, HeaderValue::from_str(&config.version)?),
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]);
        // It follows no redirect, so that the key goes to Anthropic only.
        let http = outbound::client_builder()?.connect_timeout(config.timeouts.connect).build()?;
        Ok(Some(Self {
            http,
            messages_url: format!("{}/v1/messages", config.base_url),
            base_url: config.base_url.clone(),
            headers,
            key: key.clone(),
            timeouts: config.timeouts,
        }))
    }

    /// Opens a connection ahead of the first request. A failure is logged, and the request will try again.
    pub async fn warm_up(&self) {
        let head = self.http.head(&self.base_url).timeout(WARM_UP_TIMEOUT).send();
        if let Err(error) = head.await {
            tracing::warn!(
                error = %telemetry::error_chain(&error.without_url()),
                "Anthropic was not reached during start-up"
            );
        }
    }

    /// Returns whether Anthropic has this model. The request costs nothing, and shows whether the key is accepted.
    ///
    /// # Errors
    /// When Anthropic does not answer or does not accept the key.
    pub async fn has_model(&self, model: &str) -> Result<bool, UpstreamError> {
        let url = format!("{}/v1/models/{}", self.base_url, utf8_percent_encode(model, MODEL_IN_PATH));
        let response = self.http.get(url).headers(self.headers.clone()).timeout(MODEL_TIMEOUT).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        match status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => {
                let body = response.bytes().await.unwrap_or_default();
                Err(UpstreamError::from_response(status, &headers, &body, &self.key))
            }
        }
    }

    /// Sends `request` and returns the response: whole, or with `stream` as soon as its first event is there. Until then, transient
    /// errors are retried: overload, failures of Anthropic, lost connections, and a rate limit that says when it ends. (One that does
    /// not is a limit of spending.) `betas` is the header with beta features, and `id` the id of the request to this service.
    ///
    /// # Errors
    /// The error of the last attempt.
    pub async fn send(
        &self,
        request: Bytes,
        stream: bool,
        betas: Option<HeaderValue>,
        id: &RequestId,
    ) -> Result<AnthropicResponse, UpstreamError> {
        let started = Instant::now();
        let deadline = Deadline { at: started + self.timeouts.total, limit: TimeLimit::Total };
        metrics::count(Metric::UpstreamErrors, 0);
        metrics::count(Metric::UpstreamMisconfigured, 0);
        let mut headers = self.headers.clone();
        headers.extend(HeaderValue::from_str(&id.0).ok().map(|id| (OUR_REQUEST_ID, id)));
        headers.extend(betas.map(|betas| (BETA, betas)));
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(2))
            .with_max_times(MAX_TRIES - 1)
            .with_jitter();
        let attempt = || self.attempt(request.clone(), stream, headers.clone(), deadline);
        let mut may_wait = MAX_RETRY_DELAY;
        let response = attempt
            .retry(backoff)
            .when(UpstreamError::is_transient)
            .adjust(|error, delay| {
                let delay = delay?;
                let delay = error.retry_after().map_or(delay, |wanted| wanted.max(delay));
                // A person waits, so an early error is better than a late one.
                may_wait = may_wait.checked_sub(delay)?;
                (Instant::now() + delay < deadline.at).then_some(delay)
            })
            .notify(|error, delay| {
                tracing::warn!(
                    error = %telemetry::error_chain(error),
                    delay_ms = delay.as_millis(),
                    "the request to Anthropic is sent again"
                );
            })
            .await?;
        metrics::add_time(Metric::UpstreamTimeToFirstByte, started.elapsed());
        Ok(response)
    }

    async fn attempt(
        &self,
        request: Bytes,
        stream: bool,
        headers: HeaderMap,
        deadline: Deadline,
    ) -> Result<AnthropicResponse, UpstreamError> {
        let sent = self.http.post(&self.messages_url).headers(headers).body(request).send();
        let first_byte = deadline.or_earlier(Instant::now() + self.timeouts.first_byte, TimeLimit::FirstByte);
        let response = first_byte.wait_for(sent).await??;
        let id = response.headers().get(THEIR_REQUEST_ID).and_then(|id| id.to_str().ok());
        Span::current().record("upstream.request_id", id);
        let (status, headers) = (response.status(), response.headers().clone());
        if status != StatusCode::OK {
            let read = timeout_at(deadline.at.min(Instant::now() + ERROR_BODY_TIMEOUT), read_body(response)).await;
            let body = read.ok().and_then(Result::ok).unwrap_or_default();
            return Err(UpstreamError::from_response(status, &headers, &body, &self.key));
        }
        let error_in = |data: &[u8]| UpstreamError::in_data(data, &headers, &self.key);
        if stream && may_be_stream(&headers) {
            let mut events = Events::new(response.bytes_stream(), deadline, self.timeouts.between_events);
            let first = first_byte.wait_for(events.peek()).await??;
            let error = error_in(first.as_bytes());
            return error.map_or(Ok(AnthropicResponse::Stream(events)), Err);
        }
        let body = first_byte.wait_for(read_body(response)).await??;
        if let Some(error) = error_in(&body) {
            return Err(error);
        }
        let invalid = |reason: String| UpstreamError::InvalidResponse(reason.into());
        let content_type = content_type(&headers).unwrap_or("no content type");
        if stream {
            return Err(invalid(format!("a stream was requested, but this is {content_type}")));
        }
        let message = serde_json::from_slice(&body).map_err(|error| invalid(format!("{content_type}: {error}")))?;
        Ok(AnthropicResponse::Whole(message))
    }
}

/// An instant by which something must have happened, and the time limit that ends then.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    limit: TimeLimit,
}

impl Deadline {
    /// Returns this deadline, or another one if that is earlier.
    fn or_earlier(self, at: Instant, limit: TimeLimit) -> Self {
        if at < self.at { Self { at, limit } } else { self }
    }

    /// Waits for `future` until the deadline.
    ///
    /// # Errors
    /// [`UpstreamError::TimedOut`] with the limit of the deadline.
    async fn wait_for<F: Future>(self, future: F) -> Result<F::Output, UpstreamError> {
        timeout_at(self.at, future).await.map_err(|_| UpstreamError::TimedOut(self.limit))
    }
}

/// Reads a body of at most [`MAX_RESPONSE`] bytes.
async fn read_body(mut response: Response) -> Result<Bytes, UpstreamError> {
    let mut body = BytesMut::new();
    while let Some(part) = response.chunk().await? {
        if body.len() + part.len() > MAX_RESPONSE {
            return Err(too_long());
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}

/// The error for a response, or an event of one, that is longer than [`MAX_RESPONSE`].
fn too_long() -> UpstreamError {
    UpstreamError::InvalidResponse(format!("it is longer than {MAX_RESPONSE} bytes").into())
}

/// Returns whether a response may be a stream. JSON, or the page of a proxy, is none, whatever was requested.
fn may_be_stream(headers: &HeaderMap) -> bool {
    content_type(headers).is_none_or(|value| value.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

/// A successful response.
pub enum AnthropicResponse {
    /// The whole body, which is JSON and no error.
    Whole(Box<RawValue>),
    /// A stream whose first event is no error.
    Stream(Events),
}
