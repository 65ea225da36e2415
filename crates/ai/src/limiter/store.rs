//! The DynamoDB table of the rate limit and of the tokens of each day. Nothing else calls DynamoDB.

use std::{
    collections::HashMap,
    error::Error,
    fmt::{self, Write},
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{
        BehaviorVersion,
        retry::{ReconnectMode, RetryConfig, RetryPartition, TokenBucket},
        timeout::TimeoutConfig,
    },
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::{RequestId, transact_write_items::TransactWriteItemsError, update_item::UpdateItemError},
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update},
};
use backon::{ExponentialBuilder, Retryable};
use chrono::NaiveDate;
use sha2::{Digest, Sha256};
use tracing::Span;

use super::{
    LimiterError,
    config::{StoreConfig, Timeouts},
    http_client::SdkHttpClient,
    recent_requests::{ConditionalUpdate, EXPIRES_AT},
    tokens::{USED_TOKENS, UserDay},
};

/// The attributes of an item.
pub type Item = HashMap<String, AttributeValue>;

/// The name of the table's key, a string.
pub const KEY: &str = "pk";

/// The longest user whose name is the key. DynamoDB takes 2,048 bytes.
const MAX_KEY: usize = 256;

/// The beginning of the keys of users whose name is not the key.
const HASHED: &str = "sha256:";

/// The beginning of the keys of all items for tokens. No key of a user's window begins with it.
const TOKENS: &str = "tokens:";

/// The most attempts of a call. The random pauses between them are short, up to 25 and 50 milliseconds, because the most likely
/// cause is a lost connection, and a new one can be had at once.
const MAX_ATTEMPTS: u32 = 3;
const INITIAL_BACKOFF: Duration = Duration::from_millis(25);

/// While DynamoDB fails, further attempts only make each request wait longer. So an instance has a stock of them: each takes ten of
/// this many tokens, or five if DynamoDB throttles, and gives them back if it succeeds. After five failed requests there is one
/// attempt for each request.
const RETRY_TOKENS: usize = 100;

/// The tokens that come back each second, so that a lost connection is retried again a few seconds after DynamoDB works.
const RETRY_TOKENS_A_SECOND: f32 = 2.0;

/// If two answers of one user end at the same time, DynamoDB cancels one of their transactions, and it also does that when it
/// throttles. This is how often it is tried again, and the shortest and the longest random pause before that.
const TRANSACTION_RETRIES: usize = 7;
const TRANSACTION_PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(200)];

/// How long opening the connection during Init may take, when no request waits. TLS is slow on a small instance.
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// The table of the rate limit. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    http: SdkHttpClient,
    /// The root of DynamoDB's address.
    url: String,
    /// Created by the first request, because creating it and using it for the first time takes as long as a tenth of the start.
    client: Arc<LazyLock<Client, CreateClient>>,
    table: String,
}

type CreateClient = Box<dyn FnOnce() -> Client + Send>;

/// The outcome of a [`ConditionalUpdate`].
#[derive(Debug)]
pub enum UpdateOutcome {
    /// The update was applied. This is the item afterwards.
    Applied(Item),
    /// The condition was false. This is the unchanged item.
    Rejected(Item),
}

impl Store {
    /// Creates the client. Nothing is connected yet.
    pub fn new(config: &StoreConfig, table: &str) -> Self {
        let (http, config) = (SdkHttpClient::new(config), config.clone());
        let url = config.url();
        let create: CreateClient = Box::new({
            let http = http.clone();
            move || client_on(http, &config)
        });
        Self { http, url, client: Arc::new(LazyLock::new(create)), table: table.to_owned() }
    }

    /// Runs the update.
    ///
    /// # Errors
    /// [`LimiterError`].
    pub async fn apply(&self, key: &str, update: &ConditionalUpdate) -> Result<UpdateOutcome, LimiterError> {
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(KEY, AttributeValue::S(key.to_owned()))
            .update_expression(&update.update)
            .condition_expression(&update.condition)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for (name, value) in &update.values {
            request = request.expression_attribute_values(*name, value.clone());
        }
        match request.send().await {
            Ok(done) => Ok(UpdateOutcome::Applied(done.attributes.unwrap_or_default())),
            Err(SdkError::ServiceError(failure)) => match failure.into_err() {
                // The condition can only be false on an existing item. Without one this is an error.
                UpdateItemError::ConditionalCheckFailedException(refused) if refused.item.is_some() => {
                    Ok(UpdateOutcome::Rejected(refused.item.unwrap_or_default()))
                }
                error => Err(service_error(error)),
            },
            Err(error) => Err(LimiterError::Unavailable(error.into())),
        }
    }

    /// Reads the item of `key`, as the last update has left it.
    ///
    /// # Errors
    /// [`LimiterError`].
    pub async fn get(&self, key: &str) -> Result<Option<Item>, LimiterError> {
        let key = AttributeValue::S(key.to_owned());
        let read = self.client.get_item().table_name(&self.table).key(KEY, key).consistent_read(true).send().await;
        read.map(|read| read.item).map_err(limiter_error)
    }

    /// Adds tokens to those of `day`, unless those of the request were added before.
    ///
    /// # Errors
    /// [`LimiterError`]. If there was no response, they may have been added nevertheless.
    pub async fn add_tokens(&self, day: &UserDay, tokens: u64, request_id: &str) -> Result<(), LimiterError> {
        let unusable = |error: BuildError| LimiterError::Unusable { source: error.into(), hint: OTHER_TABLE };
        let expires_at = AttributeValue::N(day.expires_at().to_string());
        let add = Update::builder()
            .table_name(&self.table)
            .key(KEY, AttributeValue::S(day.key.clone()))
            .update_expression(format!("ADD {USED_TOKENS} :tokens SET {EXPIRES_AT} = :expires_at"))
            .expression_attribute_values(":tokens", AttributeValue::N(tokens.to_string()))
            .expression_attribute_values(":expires_at", expires_at.clone())
            .build()
            .map_err(unusable)?;
        let mark = Update::builder()
            .table_name(&self.table)
            .key(KEY, AttributeValue::S(answer_key(request_id)))
            .update_expression(format!("SET {EXPIRES_AT} = :expires_at"))
            .condition_expression(format!("attribute_not_exists({KEY})"))
            .expression_attribute_values(":expires_at", expires_at)
            .build()
            .map_err(unusable)?;
        let [min, max] = TRANSACTION_PAUSES;
        let pauses = ExponentialBuilder::default()
            .with_min_delay(min)
            .with_max_delay(max)
            .with_max_times(TRANSACTION_RETRIES)
            .with_jitter();
        let attempt = || self.transact([add.clone(), mark.clone()]);
        match attempt.retry(pauses).when(|error| error.is_transient).await {
            Err(error) if !error.is_repeated => Err(error.error),
            _ => Ok(()),
        }
    }

    /// Runs both updates or none.
    async fn transact(&self, updates: [Update; 2]) -> Result<(), TransactionError> {
        let items = updates.map(|update| TransactWriteItem::builder().update(update).build());
        let sent = self.client.transact_write_items().set_transact_items(Some(items.into())).send().await;
        sent.map(drop).map_err(TransactionError::from)
    }

    /// Deletes the item of `key`, if there is one.
    ///
    /// # Errors
    /// [`LimiterError`].
    pub async fn delete(&self, key: &str) -> Result<(), LimiterError> {
        let key = AttributeValue::S(key.to_owned());
        let deleted = self.client.delete_item().table_name(&self.table).key(KEY, key).send().await;
        deleted.map(drop).map_err(limiter_error)
    }

    /// Opens the connection with DynamoDB's check of its health, which needs neither a table nor a permission.
    ///
    /// # Errors
    /// When DynamoDB cannot be reached.
    pub async fn connect(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let response = self.http.client()?.get(&self.url).timeout(WARM_UP_TIMEOUT).send().await?;
        // The connection is free again when the response was read.
        response.bytes().await?;
        Ok(())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("table", &self.table).finish_non_exhaustive()
    }
}

/// A transaction that was not applied, or whose response was lost.
struct TransactionError {
    error: LimiterError,
    /// Whether the condition of the second update was false, because the transaction had been applied before.
    is_repeated: bool,
    /// Whether another transaction used an item at the same time, or DynamoDB throttles.
    is_transient: bool,
}

impl From<SdkError<TransactWriteItemsError>> for TransactionError {
    fn from(error: SdkError<TransactWriteItemsError>) -> Self {
        let cancelled = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => cancelled.cancellation_reasons(),
            _ => &[],
        };
        let has_reason = |code| cancelled.iter().any(|reason| reason.code() == Some(code));
        let is_repeated = has_reason("ConditionalCheckFailed");
        let is_transient =
            ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"].into_iter().any(has_reason);
        Self { error: limiter_error(error), is_repeated, is_transient }
    }
}

/// Returns the key of a user's window: the user's name, so that an administrator finds it, or a hash of it if it is too long or begins
/// like another key.
pub fn key(user: &str) -> String {
    let is_key = (1..=MAX_KEY).contains(&user.len()) && !user.starts_with(HASHED) && !user.starts_with(TOKENS);
    if is_key {
        return user.to_owned();
    }
    let mut key = HASHED.to_owned();
    for byte in Sha256::digest(user) {
        let _ = write!(key, "{byte:02x}");
    }
    key
}

/// Returns the key of the item with the tokens that the user of a window has used on a day.
pub fn sum_key(user_key: &str, date: NaiveDate) -> String {
    format!("{TOKENS}{date}:{user_key}")
}

/// Returns the key of the item that shows that the tokens of a request were added. No sum has it, since a date has no letters.
pub fn answer_key(request_id: &str) -> String {
    format!("{TOKENS}answer:{request_id}")
}

/// Creates a client with our timeouts, retries and HTTP client.
pub fn client(config: &StoreConfig) -> Client {
    client_on(SdkHttpClient::new(config), config)
}

fn client_on(http: SdkHttpClient, config: &StoreConfig) -> Client {
    // The HTTP client closes connections that have failed. The SDK cannot, and would log an error each time.
    let retry_config = RetryConfig::standard()
        .with_max_attempts(MAX_ATTEMPTS)
        .with_initial_backoff(INITIAL_BACKOFF)
        .with_reconnect_mode(ReconnectMode::ReuseAllConnections);
    let tokens = TokenBucket::builder().capacity(RETRY_TOKENS).refill_rate(RETRY_TOKENS_A_SECOND).build();
    let retries = RetryPartition::custom("rate limit").token_bucket(tokens).build();
    let mut builder = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(config.region.clone())
        .credentials_provider(config.credentials.clone())
        .timeout_config(timeout_config(config.timeouts))
        .retry_config(retry_config)
        .retry_partition(retries);
    builder.set_endpoint_url(config.endpoint_url.clone());
    Client::from_conf(builder.build())
}

fn timeout_config(timeouts: Timeouts) -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(timeouts.attempt).operation_timeout(timeouts.total).build()
}

fn limiter_error<E>(error: SdkError<E>) -> LimiterError
where
    E: ProvideErrorMetadata + RequestId + Error + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(failure) => service_error(failure.into_err()),
        error => LimiterError::Unavailable(error.into()),
    }
}

/// Classifies an error that DynamoDB returned, and adds DynamoDB's request id to the log lines of the request.
fn service_error<E>(error: E) -> LimiterError
where
    E: ProvideErrorMetadata + RequestId + Error + Send + Sync + 'static,
{
    Span::current().record("dynamodb.request_id", error.request_id());
    match error.code().and_then(misconfiguration_hint) {
        Some(hint) => LimiterError::Unusable { source: error.into(), hint },
        None => LimiterError::Unavailable(error.into()),
    }
}

const OTHER_TABLE: &str = "the table in AI_RATE_TABLE is not the one of template.yaml, whose key is the string `pk`: name that one, or create it anew";

/// Returns how to mend an error of DynamoDB against which waiting does not help.
fn misconfiguration_hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "ResourceNotFoundException" => {
            "there is no such table in this region: check AI_RATE_TABLE and AWS_REGION, or deploy, which creates it"
        }
        "AccessDeniedException" => {
            "the role of the function lacks a permission on the table, which the error names: deploy, which sets them"
        }
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException"
        | "ExpiredTokenException" => {
            "DynamoDB does not accept the credentials: check AWS_ACCESS_KEY_ID and the variables beside it, and the clock of the machine"
        }
        "ValidationException" | "ConditionalCheckFailedException" => OTHER_TABLE,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use app_core::config::Env;
    use aws_sdk_dynamodb::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};

    use super::*;

    #[tokio::test]
    async fn the_connection_is_opened_to_the_host_of_the_sdk() {
        for region in ["us-east-1", "eu-central-1", "us-gov-west-1"] {
            let variables = [("AWS_REGION".to_owned(), region.to_owned())];
            let url = StoreConfig::read(&mut Env::from_iter(variables)).url();
            let parameters = Params::builder().region(region).build().unwrap();
            let endpoint = ResolveEndpoint::resolve_endpoint(&DefaultResolver::new(), &parameters).await.unwrap();
            assert_eq!(endpoint.url(), url);
        }
    }

    #[test]
    fn a_user_has_the_key_of_no_other_item() {
        let day: NaiveDate = "2026-03-08".parse().unwrap();
        let users =
            ["ann", "2026-03-08:ann", "answer:1", "tokens:2026-03-08:ann", "tokens:answer:1", "", &"x".repeat(300)];
        let windows = users.map(key);
        let sums = windows.clone().map(|key| sum_key(&key, day));
        let answers = users.map(answer_key);
        let all: std::collections::BTreeSet<&String> = windows.iter().chain(&sums).chain(&answers).collect();
        assert_eq!(all.len(), 3 * users.len(), "{all:?}");
        assert!(windows.iter().all(|key| !key.starts_with(TOKENS)));
        assert!(sums.iter().chain(&answers).all(|key| key.starts_with(TOKENS) && key.len() <= 2_048));
    }

    #[test]
    fn keys_are_user_names_or_their_hashes() {
        assert_eq!(key("alice@example.com"), "alice@example.com");
        assert_eq!(key(&"x".repeat(256)), "x".repeat(256));
        let long = key(&"x".repeat(257));
        assert_eq!((long.len(), &long[..7]), (71, "sha256:"));
        assert_ne!(long, key(&"x".repeat(258)));
        // Names that begin like other keys are hashed, so that no user has the key of another item.
        for user in ["tokens:2026-03-08:ann", "tokens:answer:1", "tokens:", &*long] {
            assert!(key(user).starts_with(HASHED) && key(user) != user, "{user}");
        }
        assert_eq!(key("tokens"), "tokens");
        // DynamoDB rejects empty keys.
        assert_eq!(key(""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
