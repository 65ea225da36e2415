//! The DynamoDB table of the rate limit. Nothing else calls DynamoDB.

use std::{
    collections::HashMap,
    error::Error,
    fmt::{self, Write},
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::{RequestId, update_item::UpdateItemError},
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use sha2::{Digest, Sha256};
use tracing::Span;

use super::{
    LimiterError,
    config::{StoreConfig, Timeouts},
    http_client::SdkHttpClient,
    recent_requests::ConditionalUpdate,
};

/// The attributes of an item.
pub type Item = HashMap<String, AttributeValue>;

/// The name of the table's key, a string.
pub const KEY: &str = "pk";

/// The longest user whose name is the key. DynamoDB takes 2,048 bytes.
const MAX_KEY: usize = 256;

/// The most attempts of a call. The random pauses between them are short, up to 25 and 50 milliseconds, because the most likely
/// cause is a lost connection, and a new one can be had at once.
const MAX_ATTEMPTS: u32 = 3;
const INITIAL_BACKOFF: Duration = Duration::from_millis(25);

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

/// Returns the key of a user's item: the user's name, so that an administrator finds it, or a hash of it if it is too long.
pub fn key(user: &str) -> String {
    if (1..=MAX_KEY).contains(&user.len()) {
        return user.to_owned();
    }
    let mut key = "sha256:".to_owned();
    for byte in Sha256::digest(user) {
        let _ = write!(key, "{byte:02x}");
    }
    key
}

/// Creates a client with our timeouts, retries and HTTP client.
pub fn client(config: &StoreConfig) -> Client {
    client_on(SdkHttpClient::new(config), config)
}

fn client_on(http: SdkHttpClient, config: &StoreConfig) -> Client {
    let mut builder = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(config.region.clone())
        .credentials_provider(config.credentials.clone())
        .timeout_config(timeout_config(config.timeouts))
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS).with_initial_backoff(INITIAL_BACKOFF));
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
    match error.code() {
        // Waiting does not help against these.
        Some(
            "ResourceNotFoundException"
            | "AccessDeniedException"
            | "ValidationException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "ConditionalCheckFailedException",
        ) => LimiterError::Unusable(error.into()),
        _ => LimiterError::Unavailable(error.into()),
    }
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
    fn keys_are_user_names_or_their_hashes() {
        assert_eq!(key("alice@example.com"), "alice@example.com");
        assert_eq!(key(&"x".repeat(256)), "x".repeat(256));
        let long = key(&"x".repeat(257));
        assert_eq!((long.len(), &long[..7]), (71, "sha256:"));
        assert_ne!(long, key(&"x".repeat(258)));
        // DynamoDB rejects empty keys.
        assert_eq!(key(""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
