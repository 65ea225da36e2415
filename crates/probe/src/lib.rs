//! The `probe` function. A schedule invokes it every five minutes, and it asks the API, at its public address, whether every function
//! answers. If one does not, the invocation fails; the alarm `ScheduledCheck` counts failed invocations, and those that did not happen.
//!
//! Without an identity it sees only that functions refuse it, and of the databases only what the health check says.

use std::time::Duration;

use app_core::{
    auth::PROXY_SECRET,
    config::{ConfigError, Env},
    outbound,
    telemetry::error_chain,
};
use form_urlencoded::Serializer;
use futures_util::future::join_all;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use lambda_runtime::{Error, LambdaEvent};
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

/// How long a request may take, until the last byte of its response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The request that needs no identity.
const HEALTH: &str = "/health";

/// A read of each function. None of them asks Anthropic.
const READS: [&str; 4] = ["/api/ros?limit=1", "/api/inventory/stats", "/api/ai/health", LOG];

/// The log of the assistant, which is closed to callers that have no token.
const LOG: &str = "/api/ai-logs?limit=1";

/// Checks the API, whatever the event is.
///
/// # Errors
/// When a function does not answer as it must, or the configuration is wrong. The error names each path and why.
pub async fn handle(_: LambdaEvent<Value>) -> Result<Value, Error> {
    let config = ProbeConfig::read(Env::of_process())?;
    let client = outbound::client_builder()?.timeout(TIMEOUT).build()?;
    let failures = check(&client, &config).await;
    if failures.is_empty() {
        return Ok(json!({ "ok": true }));
    }
    for failure in &failures {
        tracing::error!("{failure}");
    }
    Err(failures.join("; ").into())
}

/// The configuration of the function.
pub struct ProbeConfig {
    /// The address of the API, without a slash at its end.
    url: String,
    identity: Identity,
}

/// The identity with which the check asks.
enum Identity {
    /// A client of the issuer, which gets a token for itself (OAuth 2.0, client credentials).
    Client {
        token_url: String,
        request: SecretString,
    },
    /// The proxy in front of the legacy dashboard.
    Proxy(SecretString),
    Nobody,
}

impl ProbeConfig {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When variables are missing.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let url = env.required("PROBE_URL").trim_end_matches('/').to_owned();
        let token_url = env.optional("PROBE_TOKEN_URL").map(str::to_owned);
        let proxy_secret = env.optional("PROBE_PROXY_SECRET").map(SecretString::from);
        let identity = match (token_url, proxy_secret) {
            (Some(token_url), _) => Identity::Client { token_url, request: token_request(&mut env) },
            (None, Some(secret)) => Identity::Proxy(secret),
            (None, None) => Identity::Nobody,
        };
        env.finish(Self { url, identity })
    }
}

/// Returns the body of the request for a token (RFC 6749, section 4.4.2).
fn token_request(env: &mut Env) -> SecretString {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials")
        .append_pair("client_id", &env.required("PROBE_CLIENT_ID"))
        .append_pair("client_secret", &env.required("PROBE_CLIENT_SECRET"));
    let parameters = env.optional("PROBE_TOKEN_PARAMETERS").unwrap_or_default();
    form.extend_pairs(form_urlencoded::parse(parameters.as_bytes()));
    form.finish().into()
}

/// Returns a sentence for each request that was not answered as it should be.
async fn check(client: &Client, config: &ProbeConfig) -> Vec<String> {
    let health = async { answer(client.get(format!("{}{HEALTH}", config.url)), HEALTH).await?.check_health() };
    let reads = async {
        let credentials = &credentials(client, &config.identity).await?;
        let reads = READS.map(|path| async move {
            let request = client.get(format!("{}{path}", config.url)).headers(credentials.clone());
            answer(request, path).await?.check_read(&config.identity)
        });
        Ok::<_, String>(join_all(reads).await)
    };
    let (health, reads) = tokio::join!(health, reads);
    let reads = reads.unwrap_or_else(|failure| vec![Err(failure)]);
    reads.into_iter().chain([health]).filter_map(Result::err).collect()
}

/// Returns the headers that identify the check.
async fn credentials(client: &Client, identity: &Identity) -> Result<HeaderMap, String> {
    let (name, value) = match identity {
        Identity::Client { token_url, request } => {
            let request = request.expose_secret().to_owned();
            let form = "application/x-www-form-urlencoded";
            let answer = answer(client.post(token_url).header(CONTENT_TYPE, form).body(request), "the issuer").await?;
            let Some(token) = answer.body["access_token"].as_str() else {
                return Err(format!("the issuer gives no token: {} {}", answer.status.as_u16(), answer.body["error"]));
            };
            (AUTHORIZATION, format!("Bearer {token}"))
        }
        Identity::Proxy(secret) => (PROXY_SECRET, secret.expose_secret().to_owned()),
        Identity::Nobody => return Ok(HeaderMap::new()),
    };
    let value = HeaderValue::try_from(value).map_err(|_| format!("the {name} is no printable text"))?;
    Ok(HeaderMap::from_iter([(name, value)]))
}

/// A response that was read completely. A body that is no JSON is null.
struct Answer<'p> {
    path: &'p str,
    status: StatusCode,
    body: Value,
}

async fn answer<'p>(request: RequestBuilder, path: &'p str) -> Result<Answer<'p>, String> {
    let unanswered = |error: reqwest::Error| {
        let reason = if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            error_chain(&error.without_url()).to_string()
        };
        format!("{path}: {reason}")
    };
    let response = request.send().await.map_err(unanswered)?;
    let status = response.status();
    let body = response.bytes().await.map_err(unanswered)?;
    Ok(Answer { path, status, body: serde_json::from_slice(&body).unwrap_or_default() })
}

impl Answer<'_> {
    fn check_health(&self) -> Result<(), String> {
        let is_healthy = self.status == StatusCode::OK && self.body["database"] == "connected";
        if is_healthy { Ok(()) } else { Err(self.failure()) }
    }

    /// Fails unless the function behind the path answers as it must to `identity`.
    fn check_read(&self, identity: &Identity) -> Result<(), String> {
        let is_right = match (self.status, identity) {
            (StatusCode::OK, _) => !self.body.is_null(),
            // Without an identity a function refuses the request, which shows that it runs.
            (StatusCode::UNAUTHORIZED, Identity::Nobody) => self.body["error"].is_string(),
            (StatusCode::FORBIDDEN, Identity::Proxy(_)) => self.path == LOG && self.body["error"].is_string(),
            _ => false,
        };
        if is_right { Ok(()) } else { Err(self.failure()) }
    }

    fn failure(&self) -> String {
        format!("{} responds {} {}", self.path, self.status.as_u16(), self.body["message"])
    }
}
