//! The table of the rate limit, and the only place that talks to DynamoDB.

use std::{
    collections::HashMap,
    error::Error,
    fmt::{self, Write},
    time::Duration,
};

use app_core::outbound;
use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::{RequestId, update_item::UpdateItemError},
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use sha2::{Digest, Sha256};
use tracing::Span;

use super::{
    LimiterError,
    config::{StoreConfig, Timeouts},
    register::Shift,
};

/// An item, by attribute.
pub type Item = HashMap<String, AttributeValue>;

/// The name of the table's key, a string.
pub const KEY: &str = "pk";

/// The longest key that is stored as it is; DynamoDB takes 2,048 bytes.
const MAX_KEY: usize = 256;

/// How often a call is tried. Pauses between attempts are random, up to 25 and 50 milliseconds: the connection is the
/// likeliest thing to be at fault, and a new one is wanted at once.
const MAX_ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// How long opening the connection may take during Init, where nobody waits: TLS is slow on a small instance.
const WARM_UP: Timeouts = Timeouts { attempt: Duration::from_secs(2), total: Duration::from_secs(3) };

/// The table of the rate limit. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    client: Client,
    table: String,
}

/// What became of a [`Shift`].
#[derive(Debug)]
pub enum Shifted {
    /// It was made; the item as it is now.
    Done(Item),
    /// Its condition did not hold; the item as it is.
    Refused(Item),
}

impl Store {
    /// The table; nothing is connected yet.
    pub fn new(config: &StoreConfig, table: &str) -> Self {
        Self { client: client(config), table: table.to_owned() }
    }

    /// Makes the write, or learns why not.
    ///
    /// # Errors
    /// [`LimiterError`].
    pub async fn apply(&self, key: &str, shift: &Shift) -> Result<Shifted, LimiterError> {
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(KEY, AttributeValue::S(key.to_owned()))
            .update_expression(&shift.update)
            .condition_expression(&shift.condition)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for (name, value) in &shift.values {
            update = update.expression_attribute_values(*name, value.clone());
        }
        match update.send().await {
            Ok(done) => Ok(Shifted::Done(done.attributes.unwrap_or_default())),
            Err(SdkError::ServiceError(failure)) => match failure.into_err() {
                // Without an item there is no admission that could have stood in the way.
                UpdateItemError::ConditionalCheckFailedException(refused) if refused.item.is_some() => {
                    Ok(Shifted::Refused(refused.item.unwrap_or_default()))
                }
                error => Err(of_service(error)),
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
        deleted.map(drop).map_err(failed)
    }

    /// Reads an item that need not be there, which opens the connection.
    ///
    /// # Errors
    /// [`LimiterError`].
    pub async fn touch(&self) -> Result<(), LimiterError> {
        let key = AttributeValue::S("warm-up".to_owned());
        let read = self.client.get_item().table_name(&self.table).key(KEY, key).customize();
        let patient = Config::builder().timeout_config(timeout_config(WARM_UP));
        read.config_override(patient).send().await.map(drop).map_err(failed)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("table", &self.table).finish_non_exhaustive()
    }
}

/// The key of a user's item: their id, so that an administrator finds it, or its hash where that is no key.
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

/// A client with our timeouts, retries and TLS.
pub fn client(config: &StoreConfig) -> Client {
    // Ring, as everywhere here: the SDK's default would compile C for minutes.
    let tls = Provider::Rustls(CryptoMode::Ring);
    let http_client = Builder::new().pool_idle_timeout(outbound::MAX_IDLE).tls_provider(tls).build_https();
    let mut builder = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http_client)
        .region(config.region.clone())
        .credentials_provider(config.credentials.clone())
        .timeout_config(timeout_config(config.timeouts))
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS).with_initial_backoff(FIRST_PAUSE));
    builder.set_endpoint_url(config.endpoint_url.clone());
    Client::from_conf(builder.build())
}

fn timeout_config(timeouts: Timeouts) -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(timeouts.attempt).operation_timeout(timeouts.total).build()
}

fn failed<E>(error: SdkError<E>) -> LimiterError
where
    E: ProvideErrorMetadata + RequestId + Error + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(failure) => of_service(failure.into_err()),
        error => LimiterError::Unavailable(error.into()),
    }
}

/// Whether waiting helps against an error that the service answered. From here on the request's log lines say under
/// which id the service knows the call.
fn of_service<E>(error: E) -> LimiterError
where
    E: ProvideErrorMetadata + RequestId + Error + Send + Sync + 'static,
{
    Span::current().record("dynamodb.request_id", error.request_id());
    match error.code() {
        // Whatever else the service complains of is how it was asked, and stays so.
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
    use super::*;

    #[test]
    fn a_key_is_the_users_id_where_it_can_be() {
        assert_eq!(key("alice@example.com"), "alice@example.com");
        assert_eq!(key(&"x".repeat(256)), "x".repeat(256));
        let long = key(&"x".repeat(257));
        assert_eq!((long.len(), &long[..7]), (71, "sha256:"));
        assert_ne!(long, key(&"x".repeat(258)));
        // DynamoDB takes no empty key.
        assert_eq!(key(""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
