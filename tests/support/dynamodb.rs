//! A DynamoDB emulator, a proxy that counts calls and drops responses, and the same emulator as a library for tests
//! with very many calls.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ai::limiter::{
    Limiter, LimiterConfig, RequestLimit,
    recent_requests::ConditionalUpdate,
    store::{self, Item, UpdateOutcome},
    tokens::{self, UserDay},
};
use app_core::{clock::Clock, config::Env};
use aws_sdk_dynamodb::types::AttributeValue;
use dynoxide::{Database, actions::update_item::UpdateItemRequest, errors::DynoxideError, types};
use rotracker_cli::dynamodb::{DynamoDb, Storage, create_rate_limit_table};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// The configuration of a limiter that uses `endpoint`.
pub fn limiter_config(endpoint: &str, policy: RequestLimit) -> LimiterConfig {
    let variables = [("AWS_ENDPOINT_URL_DYNAMODB", endpoint)];
    let mut env: Env = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let config = LimiterConfig { policy, ..LimiterConfig::read(&mut env) };
    env.finish(config).unwrap_or_else(|error| panic!("{error}"))
}

/// Starts an in-memory emulator with the rate limit table.
pub async fn emulator() -> DynamoDb {
    let emulator = DynamoDb::start(&Storage::Memory, None).await.expect("the emulator starts");
    let config = limiter_config(&emulator.endpoint, RequestLimit { limit: 1, window_seconds: 1 });
    create_rate_limit_table(&config).await.expect("the table is made");
    emulator
}

/// Reads the tokens that `user` has used on the current day of `clock`, directly from the emulator at `endpoint`.
pub async fn used_tokens(endpoint: &str, user: &str, clock: &Clock) -> u64 {
    let day = UserDay::new(&store::key(user), clock.now(), clock.zone());
    tokens::used_tokens(item(endpoint, &day.key).await.as_ref()).expect("a sum")
}

/// Reads the tokens that `user` has used on all days, for functions whose clock cannot be set.
pub async fn used_tokens_of_all_days(endpoint: &str, user: &str) -> u64 {
    let config = limiter_config(endpoint, RequestLimit { limit: 1, window_seconds: 1 });
    let scan =
        store::client(&config.store).scan().table_name(&config.table).send().await.expect("the emulator answers");
    let is_of_user = |item: &Item| item[store::KEY].as_s().is_ok_and(|key| key.ends_with(&format!(":{user}")));
    let sums = scan.items().iter().filter(|item| is_of_user(item));
    sums.map(|item| tokens::used_tokens(Some(item)).expect("a sum")).sum()
}

/// Reads the item of `key`, if there is one.
pub async fn item(endpoint: &str, key: &str) -> Option<Item> {
    let config = limiter_config(endpoint, RequestLimit { limit: 1, window_seconds: 1 });
    store::Store::new(&config.store, &config.table).get(key).await.expect("the emulator answers")
}

/// A limiter that does not cache refusals, so that every decision reaches `endpoint`.
pub fn uncached_limiter(endpoint: &str, policy: RequestLimit, clock: &Clock) -> Limiter {
    let config = LimiterConfig { cached_refusals: 0, ..limiter_config(endpoint, policy) };
    Limiter::new(&config, clock.clone())
}

/// How a response is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The connection is closed instead.
    Closed,
    /// Nothing more is sent on the connection.
    Silent,
    /// Half of the response is sent, and then the connection is closed.
    Cut,
    /// Half of the response is sent, and then nothing more.
    CutSilent,
    /// The call is lost already: it does not reach the emulator, and the connection is closed.
    CallLost,
    /// The call does not reach the emulator. The response has this status and this type of error.
    Refused(u16, &'static str),
    /// The call, a transaction, does not reach the emulator. The response is that it was cancelled for this reason.
    Cancelled(&'static str),
}

impl Loss {
    /// Returns the response, if the call does not reach the emulator.
    fn own_response(self) -> Option<Vec<u8>> {
        let (status, body) = match self {
            Self::CallLost => return Some(Vec::new()),
            Self::Refused(status, kind) => (
                status,
                json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{kind}"), "message": "on purpose" }),
            ),
            Self::Cancelled(reason) => (
                400,
                json!({
                    "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                    "Message": "Transaction cancelled",
                    "CancellationReasons": [{ "Code": reason, "Message": "on purpose" }, { "Code": "None" }],
                }),
            ),
            Self::Closed | Self::Silent | Self::Cut | Self::CutSilent => return None,
        };
        let body = body.to_string();
        let length = body.len();
        let head = format!("HTTP/1.1 {status} On purpose\r\ncontent-type: application/x-amz-json-1.0\r\n");
        Some(format!("{head}content-length: {length}\r\n\r\n{body}").into_bytes())
    }
}

/// The responses that are lost.
struct Losses {
    /// The operation; any if `None`.
    operation: Option<&'static str>,
    loss: Loss,
    /// How many more.
    count: usize,
    /// Whether one was lost.
    has_lost: watch::Sender<bool>,
}

/// A proxy in front of an emulator.
pub struct DynamoDbProxy {
    pub endpoint: String,
    state: Arc<ProxyState>,
}

struct ProxyState {
    upstream: String,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    operations: Vec<String>,
    losses: Option<Losses>,
}

impl Seen {
    /// Records a call, and returns whether its response is lost.
    fn record(&mut self, operation: String) -> Option<(Loss, watch::Sender<bool>)> {
        let losses = self.losses.as_mut();
        let losses = losses.filter(|losses| losses.count > 0 && losses.operation.is_none_or(|lost| lost == operation));
        let loss = losses.map(|losses| {
            losses.count -= 1;
            (losses.loss, losses.has_lost.clone())
        });
        self.operations.push(operation);
        loss
    }
}

impl ProxyState {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DynamoDbProxy {
    /// Starts a proxy in front of `emulator`.
    pub async fn start(emulator: &DynamoDb) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.expect("a port is free"), emulator)
    }

    /// Starts a proxy on `listener` in front of `emulator`.
    pub fn on(listener: TcpListener, emulator: &DynamoDb) -> Self {
        let upstream = emulator.endpoint.trim_start_matches("http://").to_owned();
        let state = Arc::new(ProxyState { upstream, seen: Mutex::default() });
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let proxy = Self { endpoint, state: state.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                state.seen().connections += 1;
                tokio::spawn(relay(client, state.clone()));
            }
        });
        proxy
    }

    /// Drops the response to the next call; the emulator still executes it.
    pub fn lose_next_response(&self, loss: Loss) {
        self.plan(None, loss, 1);
    }

    /// Drops the responses to all calls, until [`recover`](Self::recover).
    pub fn fail(&self, loss: Loss) {
        self.plan(None, loss, usize::MAX);
    }

    /// Drops no more responses.
    pub fn recover(&self) {
        self.state.seen().losses = None;
    }

    /// Drops the responses to the next `count` calls of `operation`.
    pub fn lose(&self, operation: &'static str, loss: Loss, count: usize) {
        self.plan(Some(operation), loss, count);
    }

    fn plan(&self, operation: Option<&'static str>, loss: Loss, count: usize) {
        self.state.seen().losses = Some(Losses { operation, loss, count, has_lost: watch::Sender::new(false) });
    }

    /// Waits until one of the responses is lost.
    pub async fn lost(&self) {
        let has_lost = self.state.seen().losses.as_ref().map(|losses| losses.has_lost.subscribe());
        has_lost.expect("a loss is planned").wait_for(|has_lost| *has_lost).await.expect("the plan is kept");
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.state.seen().connections
    }

    /// Returns the operations since the previous call of this method.
    pub fn operations(&self) -> Vec<String> {
        std::mem::take(&mut self.state.seen().operations)
    }
}

async fn relay(client: TcpStream, state: Arc<ProxyState>) {
    let Ok(server) = TcpStream::connect(&state.upstream).await else { return };
    let [mut client, mut server] = [client, server].map(BufStream::new);
    while let Some((request, operation)) = read_message(&mut client).await {
        let planned = state.seen().record(operation);
        let loss = planned.as_ref().map(|(loss, _)| *loss);
        let response = if let Some(response) = loss.and_then(Loss::own_response) {
            response
        } else {
            if server.write_all(&request).await.is_err() || server.flush().await.is_err() {
                return;
            }
            let Some((response, _)) = read_message(&mut server).await else { return };
            response
        };
        if let Some((_, has_lost)) = planned {
            has_lost.send_replace(true);
        }
        let sent = match loss {
            None | Some(Loss::Refused(..) | Loss::Cancelled(_)) => response.as_slice(),
            Some(Loss::Cut | Loss::CutSilent) => &response[..response.len() - 10],
            Some(Loss::Closed | Loss::CallLost | Loss::Silent) => &[],
        };
        if client.write_all(sent).await.is_err() || client.flush().await.is_err() {
            return;
        }
        match loss {
            None | Some(Loss::Refused(..) | Loss::Cancelled(_)) => {}
            Some(Loss::Closed | Loss::CallLost | Loss::Cut) => return,
            Some(Loss::Silent | Loss::CutSilent) => {
                // Holds the connection until the client closes it.
                let _ = client.read_u8().await;
                return;
            }
        }
    }
}

/// Reads one HTTP message with a `Content-Length`, and the operation from its `X-Amz-Target`.
async fn read_message(stream: &mut BufStream<TcpStream>) -> Option<(Vec<u8>, String)> {
    let mut message = Vec::new();
    let (mut length, mut operation) = (0, String::new());
    loop {
        let start = message.len();
        stream.read_until(b'\n', &mut message).await.ok().filter(|read| *read > 0)?;
        let line = String::from_utf8_lossy(&message[start..]).trim_end().to_owned();
        match line.split_once(": ") {
            _ if line.is_empty() => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            Some((name, value)) if name.eq_ignore_ascii_case("x-amz-target") => {
                operation = value.rsplit('.').next().unwrap_or_default().to_owned();
            }
            _ => {}
        }
    }
    let head = message.len();
    message.resize(head + length, 0);
    stream.read_exact(&mut message[head..]).await.ok()?;
    Some((message, operation))
}

/// The emulator as a library, without HTTP.
pub struct EmbeddedStore {
    database: Database,
    table: String,
}

impl EmbeddedStore {
    /// Starts an in-memory emulator with the rate limit table.
    pub fn new() -> Self {
        let table = "limits".to_owned();
        let database = Database::memory().expect("the emulator starts");
        let request = json!({
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{ "AttributeName": store::KEY, "KeyType": "HASH" }],
            "AttributeDefinitions": [{ "AttributeName": store::KEY, "AttributeType": "S" }],
        });
        let request = serde_json::from_value(request).expect("a request of DynamoDB");
        database.create_table(request).expect("the table is made");
        Self { database, table }
    }

    /// Works like [`store::Store::apply`].
    pub fn apply(&self, key: &str, shift: &ConditionalUpdate) -> UpdateOutcome {
        let values = shift.values.iter().map(|(name, value)| ((*name).to_owned(), to_emulator(value)));
        let request = UpdateItemRequest {
            table_name: self.table.clone(),
            key: HashMap::from([(store::KEY.to_owned(), types::AttributeValue::S(key.to_owned()))]),
            update_expression: Some(shift.update.clone()),
            condition_expression: Some(shift.condition.clone()),
            expression_attribute_values: Some(values.collect()),
            return_values: Some("ALL_NEW".to_owned()),
            return_values_on_condition_check_failure: Some("ALL_OLD".to_owned()),
            ..UpdateItemRequest::default()
        };
        match self.database.update_item(request) {
            Ok(done) => UpdateOutcome::Applied(from_emulator(done.attributes.expect("the new item"))),
            Err(DynoxideError::ConditionalCheckFailedException(_, old)) => {
                UpdateOutcome::Rejected(from_emulator(old.expect("the old item")))
            }
            Err(error) => panic!("{error}"),
        }
    }
}

impl Default for EmbeddedStore {
    fn default() -> Self {
        Self::new()
    }
}

fn to_emulator(value: &AttributeValue) -> types::AttributeValue {
    match value {
        AttributeValue::N(number) => types::AttributeValue::N(number.clone()),
        AttributeValue::S(text) => types::AttributeValue::S(text.clone()),
        other => panic!("{other:?}"),
    }
}

fn from_emulator(item: HashMap<String, types::AttributeValue>) -> Item {
    let converted = item.into_iter().map(|(name, value)| match value {
        types::AttributeValue::N(number) => (name, AttributeValue::N(number)),
        types::AttributeValue::S(text) => (name, AttributeValue::S(text)),
        other => panic!("{name}: {other:?}"),
    });
    converted.collect()
}
