//! `rotracker smoke`: asks a deployed API whether it works, step by step, as its clients do.

use std::{
    cell::Cell,
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use app_core::{
    auth::PROXY_SECRET,
    clock::Clock,
    http::{NOT_CONFIGURED, TOKEN_UNCHECKABLE, TOTAL_COUNT},
    outbound,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, ORIGIN,
    },
};
use rand::random;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{output::print, signals::Signals};

/// How long a request may take. The gateway waits 29 seconds.
const TIMEOUT: Duration = Duration::from_secs(35);

/// How often the deletion of the order is tried, and the pause in between.
const DELETIONS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

/// The end of the address for the legacy dashboard.
const LEGACY_PREFIX: &str = "/.netlify/functions";

/// The characters of a body that is shown as a whole.
const SHOWN: usize = 80;

/// A text that most part numbers contain.
const SEARCHED: &str = "1";

/// The options of `rotracker smoke`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The address of the API: the output ApiUrl of the stack, or that of a domain with its base path. With /.netlify/functions at its
    /// end, the routes of the legacy dashboard are tested
    #[arg(value_name = "URL", value_parser = parse_url)]
    pub url: Url,
    /// A token of the issuer, with which requests are sent. The variable SMOKE_TOKEN keeps it out of the list of processes
    #[arg(long, conflicts_with = "proxy_secret")]
    pub token: Option<SecretString>,
    /// The secret that the proxy in front of the legacy dashboard adds to its requests, or the variable SMOKE_PROXY_SECRET
    #[arg(long)]
    pub proxy_secret: Option<SecretString>,
    /// The address of the dashboard, from which browsers must be allowed to call
    #[arg(long, value_parser = parse_origin)]
    pub origin: Option<HeaderValue>,
    /// Create no order and send no chat
    #[arg(long)]
    pub read_only: bool,
    /// Send no chat, which costs some tokens
    #[arg(long)]
    pub no_chat: bool,
}

/// Reads the address, without a slash or `/api` at its end.
fn parse_url(text: &str) -> Result<Url, String> {
    let text = text.trim_end_matches('/');
    let url = Url::parse(text.strip_suffix("/api").unwrap_or(text)).map_err(|error| error.to_string())?;
    let is_usable = matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.username().is_empty();
    if is_usable { Ok(url) } else { Err("must be an address such as https://api.example.com/prod".to_owned()) }
}

/// Reads the origin of a page, as browsers send it.
fn parse_origin(text: &str) -> Result<HeaderValue, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    match url.filter(|url| url.origin().ascii_serialization() == text).and_then(|_| HeaderValue::from_str(text).ok()) {
        Some(origin) => Ok(origin),
        None => {
            Err("must be an origin such as https://dashboard.example.com, with its scheme and without a path"
                .to_owned())
        }
    }
}

/// Returns the option, or else the variable. A blank one is none. A file from which it was read may end with a line break.
fn credential(option: Option<&SecretString>, variable: Option<String>) -> Option<String> {
    let given = [option.map(|secret| secret.expose_secret().to_owned()), variable];
    given.into_iter().flatten().map(|text| text.trim().to_owned()).find(|text| !text.is_empty())
}

/// Tests the API and returns the exit status: 0 if every step succeeded, else 1.
///
/// # Errors
/// When the options cannot be used together, or it is stopped by a signal. It then deletes its order first.
pub async fn run(options: Options) -> Result<ExitCode> {
    let api = Api::new(&options)?;
    let mut report = Report::default();
    let mut signals = Signals::listen()?;
    let is_stopped = tokio::select! {
        () = api.test(&options, &mut report) => false,
        () = signals.received() => true,
    };
    if is_stopped {
        if api.order.get() != Order::Absent {
            report.step("it is deleted", api.delete()).await;
        }
        bail!("stopped before the last step");
    }
    let Report { failed, succeeded } = report;
    print(&format!("{} steps, {failed} failed", succeeded + failed));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Why a step failed, and what to do about it.
#[derive(Debug)]
struct Failure {
    reason: String,
    advice: String,
}

impl Failure {
    fn new(reason: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { reason: reason.into(), advice: advice.into() }
    }
}

/// A step ends with a remark on what was found.
type StepResult = Result<String, Failure>;

/// The steps so far.
#[derive(Debug, Default)]
struct Report {
    succeeded: usize,
    failed: usize,
}

impl Report {
    /// Runs a step, prints its line, and returns whether it succeeded.
    async fn step(&mut self, name: &str, step: impl Future<Output = StepResult>) -> bool {
        let started = Instant::now();
        let result = step.await;
        let seconds = started.elapsed().as_secs_f64();
        let is_ok = result.is_ok();
        match result {
            Ok(remark) => {
                self.succeeded += 1;
                print(&format!("ok     {seconds:>7.3} s  {name}: {remark}"));
            }
            Err(Failure { reason, advice }) => {
                self.failed += 1;
                print(&format!("FAILED {seconds:>7.3} s  {name}: {reason}. {advice}"));
            }
        }
        is_ok
    }

    fn skip(&self, name: &str, reason: &str) {
        print(&format!("-                {name}: skipped; {reason}"));
    }
}

/// The API under test.
struct Api {
    client: Client,
    url: String,
    credentials: HeaderMap,
    /// The number of the order that is created. No real order can have it.
    number: String,
    order: Cell<Order>,
}

/// What is known of the order that the test creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// It is not there.
    Absent,
    /// It may be there: nobody knows what became of the request.
    Unknown,
    /// It was created with this id.
    Created(i64),
}

/// A response that was read completely.
struct Answer {
    request: String,
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Api {
    fn new(options: &Options) -> Result<Self> {
        let is_local = matches!(options.url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let mut credentials = HeaderMap::new();
        let mut token = credential(options.token.as_ref(), env::var("SMOKE_TOKEN").ok());
        let mut secret = credential(options.proxy_secret.as_ref(), env::var("SMOKE_PROXY_SECRET").ok());
        if token.is_some() && secret.is_some() {
            // An option says which one is meant.
            match (&options.token, &options.proxy_secret) {
                (Some(_), _) => secret = None,
                (None, Some(_)) => token = None,
                (None, None) => bail!("SMOKE_TOKEN and SMOKE_PROXY_SECRET cannot be used together"),
            }
        }
        let token = token.map(|token| (AUTHORIZATION, format!("Bearer {token}")));
        let secret = secret.map(|secret| (PROXY_SECRET, secret));
        for (name, value) in token.into_iter().chain(secret) {
            if options.url.scheme() == "http" && !is_local {
                bail!("over http:// everybody on the way could read the {name}; use https://");
            }
            let value = HeaderValue::try_from(value).with_context(|| format!("the {name} is no printable text"))?;
            credentials.insert(name, value);
        }
        let builder = outbound::client_builder().map_err(|error| anyhow!(error))?;
        let client = builder.timeout(TIMEOUT).build()?;
        let today = Clock::system(chrono_tz::Tz::UTC).today().format("%Y%m%d");
        Ok(Self {
            client,
            url: options.url.as_str().trim_end_matches('/').to_owned(),
            credentials,
            number: format!("SMOKE-{today}-{:08x}", random::<u32>()),
            order: Cell::new(Order::Absent),
        })
    }

    async fn test(&self, options: &Options, report: &mut Report) {
        if !report.step("health", self.health()).await {
            // If nothing answers, no other step says more.
            return;
        }
        report.step("without a token", self.without_token()).await;
        report.step("figures of the orders", self.dashboard()).await;
        report.step("list of orders", self.list()).await;
        if options.read_only {
            report.skip("an order", "--read-only");
        } else {
            self.order(report).await;
        }
        report.step("search", self.search()).await;
        report.step("figures of the stock", self.stock()).await;
        report.step("log of the assistant", self.log()).await;
        report.step("assistant", self.assistant()).await;
        match (options.read_only, options.no_chat) {
            (false, false) => {
                report.step("chat", self.chat()).await;
            }
            (true, _) => report.skip("chat", "--read-only"),
            (false, true) => report.skip("chat", "--no-chat"),
        }
        match &options.origin {
            Some(origin) => {
                report.step("calls from the dashboard", self.cors(origin)).await;
            }
            None => report.skip("calls from the dashboard", "--origin names its address"),
        }
    }

    /// Sends a request and reads the response.
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Option<Value>,
    ) -> Result<Answer, Failure> {
        let request = format!("{method} {}{path}", self.url);
        let mut sent = self.client.request(method, format!("{}{path}", self.url)).headers(headers.clone());
        if let Some(body) = body {
            sent = sent.json(&body);
        }
        let unreachable = |error: reqwest::Error| {
            let error = anyhow!(error.without_url());
            Failure::new(
                format!("{request}: {error:#}"),
                "Check the address, the certificate of its domain, and whether the stack is deployed",
            )
        };
        let response = sent.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.text().await.map_err(unreachable)?;
        Ok(Answer { request, status, headers, body })
    }

    async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.send(Method::GET, path, &self.credentials, None).await
    }

    async fn health(&self) -> StepResult {
        let answer = self.send(Method::GET, "/health", &HeaderMap::new(), None).await?;
        let health = answer.expect(StatusCode::OK)?;
        match health["database"].as_str() {
            Some("connected") => Ok("the database is connected".to_owned()),
            _ => Err(answer.failure("it does not say that the database is connected")),
        }
    }

    /// Requests without credentials must be refused where others need them.
    async fn without_token(&self) -> StepResult {
        let answer = self.send(Method::GET, "/api/ros?limit=1", &HeaderMap::new(), None).await?;
        match answer.status {
            StatusCode::UNAUTHORIZED => Ok("refused".to_owned()),
            StatusCode::OK if self.credentials.is_empty() => {
                Ok("let in: authentication is off, and whoever knows the address may do everything".to_owned())
            }
            StatusCode::OK => Err(Failure::new(
                format!("{} is let in", answer.request),
                "Authentication is off: set AUTH_ISSUER, or PROXY_SECRET with LEGACY_DASHBOARD, and no AUTH_MODE",
            )),
            _ if answer.is_ours() => Err(answer.unexpected()),
            _ => Err(answer.failure("it should be refused")),
        }
    }

    async fn dashboard(&self) -> StepResult {
        let answer = self.get("/api/ros/stats/dashboard").await?;
        let figures = answer.expect(StatusCode::OK)?;
        // The legacy dashboard adds amounts up, and so gets numbers. Everybody else gets texts.
        let is_legacy = self.url.ends_with(LEGACY_PREFIX);
        let has_shape = if is_legacy { figures["totalValue"].is_number() } else { figures["totalValue"].is_string() };
        if !has_shape {
            let needed = if is_legacy { "numbers" } else { "texts" };
            return Err(Failure::new(
                format!("{} has amounts that are no {needed}", answer.request),
                if is_legacy {
                    "Set LEGACY_DASHBOARD (LegacyDashboard of the stack), without which this address has the shapes of /api"
                } else {
                    "The address is that of the legacy dashboard, or of another version"
                },
            ));
        }
        Ok(format!("{} active orders, {} overdue", figures["totalActive"], figures["overdue"]))
    }

    async fn list(&self) -> StepResult {
        let answer = self.get("/api/ros?limit=1").await?;
        match answer.expect(StatusCode::OK)? {
            Value::Array(_) => Ok(format!("{} orders", answer.header(&TOTAL_COUNT).unwrap_or("some"))),
            _ => Err(answer.failure("it is no list")),
        }
    }

    /// Creates an order, reads it and deletes it, also if reading it fails.
    async fn order(&self, report: &mut Report) {
        if report.step("an order is created", self.create()).await {
            report.step("it is found", self.find()).await;
        }
        if self.order.get() == Order::Absent {
            report.skip("it is deleted", "it was not created");
        } else {
            report.step("it is deleted", self.delete()).await;
            self.order.set(Order::Absent);
        }
    }

    async fn create(&self) -> StepResult {
        let order = json!({
            "roNumber": self.number,
            "shopName": "Smoke test",
            "partDescription": "Not a real order. It can be deleted.",
            "currentStatus": "TO SEND",
        });
        // Until the answer is there, and if it is lost, the order may be there.
        self.order.set(Order::Unknown);
        let answer = self.send(Method::POST, "/api/ros", &self.credentials, Some(order)).await?;
        if answer.is_refusal() {
            self.order.set(Order::Absent);
        }
        let created = answer.expect(StatusCode::CREATED)?;
        let id = created["id"].as_str().and_then(|id| id.parse().ok());
        self.order.set(Order::Created(id.ok_or_else(|| answer.failure("it has no id"))?));
        Ok(self.number.clone())
    }

    async fn find(&self) -> StepResult {
        let answer = self.get(&self.path_by_number()).await?;
        if answer.expect(StatusCode::OK)?["roNumber"] == *self.number {
            Ok("as it was created".to_owned())
        } else {
            Err(answer.failure("it is another order"))
        }
    }

    fn path_by_number(&self) -> String {
        format!("/api/ros/by-number/{}", self.number)
    }

    /// Deletes the order, and checks that it is gone. While nobody knows whether it was created, it may still be on its way, so all
    /// attempts are made before it counts as missing. One that was created is there until an attempt deletes it.
    async fn delete(&self) -> StepResult {
        let (path, is_created) = match self.order.get() {
            Order::Created(id) => (format!("/api/ros/{id}"), true),
            Order::Absent | Order::Unknown => (self.path_by_number(), false),
        };
        let advice = || format!("The order {} may still be there: delete it by hand", self.number);
        let mut attempt = 1;
        loop {
            let is_last = attempt == DELETIONS;
            match self.try_delete(&path).await {
                Ok(StatusCode::NOT_FOUND) if attempt == 1 && is_created => {
                    let reason = format!("DELETE {}{path} responds 404, though it was created", self.url);
                    return Err(Failure::new(reason, advice()));
                }
                // An earlier attempt deleted it, and its answer was lost.
                Ok(StatusCode::NOT_FOUND) if is_created => return Ok("deleted".to_owned()),
                Ok(StatusCode::NOT_FOUND) if is_last => return Ok(format!("there is no order {}", self.number)),
                Ok(StatusCode::NOT_FOUND) => {}
                Ok(_) => return Ok("deleted".to_owned()),
                Err(Failure { reason, .. }) if is_last => return Err(Failure::new(reason, advice())),
                Err(_) => {}
            }
            attempt += 1;
            sleep(PAUSE).await;
        }
    }

    /// Returns 200 if the order was there and is gone, or 404 if it was not there.
    async fn try_delete(&self, path: &str) -> Result<StatusCode, Failure> {
        let deleted = self.send(Method::DELETE, path, &self.credentials, None).await?;
        if deleted.status != StatusCode::NOT_FOUND || !deleted.is_ours() {
            deleted.expect(StatusCode::OK)?;
        }
        let found = self.get(path).await?;
        if found.status != StatusCode::NOT_FOUND || !found.is_ours() {
            return Err(found.failure("it should be gone"));
        }
        Ok(deleted.status)
    }

    async fn search(&self) -> StepResult {
        let answer = self.get(&format!("/api/inventory/search?partNumber={SEARCHED}")).await?;
        // The route answers 404 if it finds nothing; for the legacy dashboard it is an empty list.
        let found = match answer.status {
            StatusCode::NOT_FOUND if answer.json()["error"] == "Not found" => 0,
            _ => {
                let body = answer.expect(StatusCode::OK)?;
                let list = body.as_array().or_else(|| body["results"].as_array());
                list.ok_or_else(|| answer.failure("it has no results"))?.len()
            }
        };
        Ok(format!("{found} parts with {SEARCHED} in their number"))
    }

    async fn stock(&self) -> StepResult {
        let answer = self.get("/api/inventory/stats").await?;
        match &answer.expect(StatusCode::OK)?["totalParts"] {
            Value::Number(parts) => Ok(format!("{parts} parts")),
            _ => Err(answer.failure("it has no number of parts")),
        }
    }

    async fn log(&self) -> StepResult {
        let answer = self.get("/api/ai-logs?limit=1").await?;
        // The legacy dashboard, which does not read the log, has no token.
        if answer.status == StatusCode::FORBIDDEN && self.credentials.contains_key(PROXY_SECRET) {
            return Ok("closed to the legacy dashboard".to_owned());
        }
        Ok(format!("{} entries", answer.expect(StatusCode::OK)?["total"]))
    }

    async fn assistant(&self) -> StepResult {
        let answer = self.get("/api/ai/health").await?;
        if answer.expect(StatusCode::OK)?["apiKeyConfigured"] == true {
            Ok("it has an API key".to_owned())
        } else {
            Err(Failure::new(
                "the function has no API key",
                "For `rotracker serve` set ANTHROPIC_API_KEY. On AWS put it into the secret `ro-tracker/STAGE/anthropic`, raise \
                 SecretsRevision, and deploy",
            ))
        }
    }

    /// Sends a small chat, whose answer must be streamed to its end.
    async fn chat(&self) -> StepResult {
        let chat = json!({
            "stream": true,
            "maxTokens": 16,
            "userId": "smoke-test",
            "messages": [{ "role": "user", "content": "Answer with the word OK." }],
        });
        let answer = self.send(Method::POST, "/api/ai/chat", &self.credentials, Some(chat)).await?;
        if answer.status != StatusCode::OK {
            answer.expect(StatusCode::OK)?;
        }
        let events: Vec<&str> = answer.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let mut parsed = events.iter().filter_map(|event| serde_json::from_str::<Value>(event).ok());
        if let Some(event) = parsed.find(|event| event["type"] == "error") {
            return Err(Failure::new(
                format!("the answer ends with an error: {}", event["error"]["message"]),
                "See \"Upstream errors\" in infra/README.md",
            ));
        }
        match events.last() {
            Some(&"[DONE]") => Ok(format!("answered in {} events", events.len() - 1)),
            _ => Err(Failure::new(
                "the answer does not end with [DONE]",
                "It was cut off: look at the log and the timeout of the function `ai`",
            )),
        }
    }

    /// Browsers must be allowed to send changes from `origin`, and to read the answers.
    async fn cors(&self, origin: &HeaderValue) -> StepResult {
        let advice = "Set FrontendUrl to this address, without a path, and deploy";
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, origin.clone());
        let read = self.send(Method::GET, "/health", &headers, None).await?;
        headers.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PATCH"));
        headers.insert(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("authorization,content-type"));
        let preflight = self.send(Method::OPTIONS, "/api/ros", &headers, None).await?;
        for answer in [&read, &preflight] {
            if answer.headers.get(ACCESS_CONTROL_ALLOW_ORIGIN) != Some(origin) {
                let allowed = answer.header(&ACCESS_CONTROL_ALLOW_ORIGIN).unwrap_or("nobody");
                return Err(Failure::new(format!("{} allows {allowed}", answer.request), advice));
            }
        }
        for (header, needed) in
            [(ACCESS_CONTROL_ALLOW_METHODS, "patch"), (ACCESS_CONTROL_ALLOW_HEADERS, "authorization")]
        {
            let allowed = preflight.header(&header).unwrap_or_default().to_ascii_lowercase();
            if !allowed.contains(needed) {
                return Err(preflight.failure(&format!("its {header} lacks {needed}")));
            }
        }
        Ok("allowed".to_owned())
    }
}

impl Answer {
    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the body, or null if it is no JSON.
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Whether it is an error of the API. Those have a kind and a message, those of the gateway only a message.
    fn is_ours(&self) -> bool {
        self.json()["error"].is_string()
    }

    /// Whether the request certainly had no effect: the client or its credentials were refused.
    fn is_refusal(&self) -> bool {
        let is_of_credentials = [NOT_CONFIGURED, TOKEN_UNCHECKABLE].iter().any(|text| self.json()["message"] == *text);
        self.status.is_client_error() || is_of_credentials
    }

    /// Returns the body if the response has this status.
    fn expect(&self, status: StatusCode) -> Result<Value, Failure> {
        if self.status == status {
            serde_json::from_str(&self.body).map_err(|_| self.failure("it is no JSON"))
        } else {
            Err(self.unexpected())
        }
    }

    /// Returns the failure of a response with another status than the right one.
    fn unexpected(&self) -> Failure {
        let body = self.json();
        let message = body["message"].as_str().unwrap_or_default();
        let is_ours = self.is_ours();
        let advice = match self.status {
            StatusCode::UNAUTHORIZED => {
                "Give a valid --token or --proxy-secret, and check AUTH_ISSUER and AUTH_AUDIENCE".to_owned()
            }
            StatusCode::FORBIDDEN if is_ours => "The token lacks a role".to_owned(),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND if !is_ours => {
                "The address is not that of the API: use the output ApiUrl of the stack, or check the mapping of the domain and \
                 BasePath"
                    .to_owned()
            }
            StatusCode::NOT_FOUND => "Check BasePath".to_owned(),
            StatusCode::TOO_MANY_REQUESTS if body["error"] == "Token limit exceeded" => {
                "Try again on the next day, with the token of another person, or with a higher AI_TOKENS_PER_DAY".to_owned()
            }
            StatusCode::TOO_MANY_REQUESTS if is_ours => "Wait a minute, and try again".to_owned(),
            StatusCode::TOO_MANY_REQUESTS => "See \"Throttles\" in infra/README.md".to_owned(),
            StatusCode::SERVICE_UNAVAILABLE if message == NOT_CONFIGURED => {
                "Set AUTH_ISSUER, or PROXY_SECRET with LEGACY_DASHBOARD; only on your own machine AUTH_MODE=none will do".to_owned()
            }
            StatusCode::SERVICE_UNAVAILABLE if message == TOKEN_UNCHECKABLE => {
                "The keys of the issuer cannot be fetched: see \"Rejected tokens\" in infra/README.md".to_owned()
            }
            StatusCode::SERVICE_UNAVAILABLE if self.request.contains("/ai/chat") => {
                "See \"Upstream misconfigured\" and \"Rate limit store\" in infra/README.md, and the log of `ai`".to_owned()
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                "Look at the function's log for a line with a hint: the database, or the configuration of tokens".to_owned()
            }
            status if status.is_server_error() && !is_ours => "See \"Gateway errors\" in infra/README.md".to_owned(),
            _ => match self.header(&HeaderName::from_static("x-request-id")) {
                Some(id) => format!("Look for request.id = {id} in the function's log"),
                None => "Look at the function's log".to_owned(),
            },
        };
        Failure::new(format!("{} responds {} {message:?}", self.request, self.status.as_u16()), advice)
    }

    /// Returns the failure of a response whose content is not the right one; `reason` says why.
    fn failure(&self, reason: &str) -> Failure {
        let shown = match self.json()["message"].as_str() {
            Some(message) => format!("{message:?}"),
            None if self.body.chars().count() > SHOWN => format!("with {} bytes", self.body.len()),
            None => format!("{:?}", self.body),
        };
        Failure::new(
            format!("{} responds {} {shown}; {reason}", self.request, self.status.as_u16()),
            "The address may be that of another service, or of another version",
        )
    }
}
