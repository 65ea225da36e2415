//! The issuer's public keys. They are found by OpenID Connect discovery and cached. They are fetched again when they are old, when a
//! token names an unknown one, or when the only one does not verify a token that names none, but not too often. While the issuer is
//! down, cached keys serve for a day.

use std::{
    collections::BTreeSet,
    error::Error,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use backon::{ConstantBuilder, Retryable};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use reqwest::{Client, Url};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::Mutex;

use super::crypto;
use crate::{clock::Clock, outbound, telemetry};

/// Keys are fetched again after this time, so that a key that the issuer has withdrawn is not accepted for much longer.
const MAX_AGE: TimeDelta = TimeDelta::hours(1);

/// Cached keys serve for this time while the issuer is down.
const STALE_LIMIT: TimeDelta = TimeDelta::hours(24);

/// The shortest time between two fetches, however many tokens name unknown keys or have a wrong signature.
const MIN_INTERVAL: TimeDelta = TimeDelta::seconds(30);

/// The same while there are no usable keys, so that every request fails.
const MIN_INTERVAL_WITHOUT_KEYS: TimeDelta = TimeDelta::seconds(2);

/// The same while the issuer is down and cached keys serve, because each fetch makes a request wait and is likely to fail.
const MIN_INTERVAL_WHILE_DOWN: TimeDelta = TimeDelta::minutes(5);

/// The timeouts of each of the two requests of a fetch, and of the whole fetch, for which a client waits.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest document of an issuer. Real ones are much shorter.
const DOCUMENT_LIMIT_BYTES: usize = 512 * 1024;

/// A key and the only algorithm that it is used with.
#[derive(Clone, Debug)]
pub struct Key {
    /// The name by which tokens refer to it.
    id: Option<String>,
    /// RS256 or ES256, according to the kind of the key.
    pub algorithm: Algorithm,
    pub key: Arc<DecodingKey>,
}

/// The reason why a key is not available.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The issuer has no such key.
    #[error("the issuer has no such key")]
    Unknown,
    /// The issuer is down, and the key is not cached.
    #[error("the issuer's keys are not available")]
    Unavailable,
}

/// The keys of an issuer. Clones share them.
#[derive(Clone)]
pub struct Keys(Arc<SharedKeys>);

struct SharedKeys {
    http: Client,
    issuer: String,
    clock: Clock,
    cache: RwLock<KeyCache>,
    /// Locked while keys are fetched.
    fetching: Mutex<()>,
}

#[derive(Clone, Default)]
struct KeyCache {
    keys: Arc<[Key]>,
    /// The time of the last successful fetch.
    fetched: Option<DateTime<Utc>>,
    /// The time of the last attempt.
    tried: Option<DateTime<Utc>>,
    /// Whether the last attempt failed.
    is_issuer_down: bool,
}

impl KeyCache {
    /// Returns the key that a token with this `kid` is signed with. A token that names none is signed with the only key; where there
    /// are several it must name one (OpenID Connect Core, section 10.1).
    fn find(&self, id: Option<&str>) -> Option<&Key> {
        match (id, &*self.keys) {
            (Some(_), keys) => keys.iter().find(|key| key.id.as_deref() == id),
            (None, [key]) => Some(key),
            (None, _) => None,
        }
    }

    fn is_younger_than(&self, age: TimeDelta, now: DateTime<Utc>) -> bool {
        self.fetched.is_some_and(|fetched| now.signed_duration_since(fetched).abs() < age)
    }
}

impl Keys {
    /// Creates an empty cache of the keys of `issuer`.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(issuer: &str, clock: Clock) -> Result<Self, Box<dyn Error + Send + Sync>> {
        crypto::install();
        let http = outbound::client_builder()?.connect_timeout(REQUEST_TIMEOUT).timeout(REQUEST_TIMEOUT).build()?;
        let (cache, fetching) = (RwLock::default(), Mutex::default());
        Ok(Self(Arc::new(SharedKeys { http, issuer: issuer.to_owned(), clock, cache, fetching })))
    }

    /// Fetches the keys ahead of the first request. A failure is logged.
    pub async fn warm_up(&self) {
        self.refresh(TimeDelta::zero()).await;
    }

    /// Fetches the keys and returns the names of their algorithms, such as `RS256`. For examining a configuration.
    ///
    /// # Errors
    /// When the issuer does not answer, or has no usable keys.
    pub async fn algorithms(&self) -> Result<BTreeSet<String>, FetchError> {
        let fetch = tokio::time::timeout(FETCH_TIMEOUT, self.0.fetch()).await;
        let keys = fetch.unwrap_or(Err(FetchError::TimedOut))?;
        Ok(keys.iter().map(|key| format!("{:?}", key.algorithm)).collect())
    }

    /// Returns whether there are keys that tokens can be checked with. Fetches them if there are none.
    pub async fn are_available(&self) -> bool {
        let has_keys = || self.cached().is_younger_than(STALE_LIMIT, self.0.clock.now());
        if !has_keys() {
            self.refresh(MIN_INTERVAL_WITHOUT_KEYS).await;
        }
        has_keys()
    }

    /// Returns the key with the id `id`, or without one the only key.
    ///
    /// # Errors
    /// [`KeyError`] within seconds.
    pub async fn find(&self, id: Option<&str>) -> Result<Key, KeyError> {
        let now = self.0.clock.now();
        let cached = self.cached();
        let min_interval = match cached.find(id) {
            Some(key) if cached.is_younger_than(MAX_AGE, now) => return Ok(key.clone()),
            Some(key) if cached.is_younger_than(STALE_LIMIT, now) => {
                // Use the old key instead of waiting for another request's fetch.
                if self.0.fetching.try_lock().is_err() {
                    return Ok(key.clone());
                }
                if cached.is_issuer_down { MIN_INTERVAL_WHILE_DOWN } else { MIN_INTERVAL }
            }
            None if cached.is_younger_than(STALE_LIMIT, now) => MIN_INTERVAL,
            _ => MIN_INTERVAL_WITHOUT_KEYS,
        };
        self.refresh(min_interval).await;
        let cached = self.cached();
        match cached.find(id) {
            _ if !cached.is_younger_than(STALE_LIMIT, self.0.clock.now()) => Err(KeyError::Unavailable),
            Some(key) => Ok(key.clone()),
            // It may be a new key.
            None if cached.is_issuer_down => Err(KeyError::Unavailable),
            None => Err(KeyError::Unknown),
        }
    }

    /// Returns the only key after fetching it again, unless that was done less than half a minute ago. Call it when the cached one
    /// does not verify a token that names none: the issuer may have replaced it.
    ///
    /// # Errors
    /// [`KeyError`] within seconds.
    pub async fn find_replacement(&self) -> Result<Key, KeyError> {
        self.refresh(MIN_INTERVAL).await;
        if self.cached().is_issuer_down { Err(KeyError::Unavailable) } else { self.find(None).await }
    }

    fn cached(&self) -> KeyCache {
        self.0.cache.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches the keys, unless that was tried less than `min_interval` ago. Requests that come meanwhile wait for this fetch and do
    /// not repeat it.
    async fn refresh(&self, min_interval: TimeDelta) {
        let _one_at_a_time = self.0.fetching.lock().await;
        let tried = self.cached().tried;
        if tried.is_some_and(|tried| self.0.clock.now().signed_duration_since(tried).abs() < min_interval) {
            return;
        }
        let fetch = tokio::time::timeout(FETCH_TIMEOUT, self.0.fetch()).await;
        let fetched = fetch.unwrap_or_else(|_| Err(FetchError::TimedOut));
        // The time after the fetch, which may have taken longer than the interval.
        let now = self.0.clock.now();
        let mut cached = self.0.cache.write().unwrap_or_else(PoisonError::into_inner);
        (cached.tried, cached.is_issuer_down) = (Some(now), fetched.is_err());
        match fetched {
            Ok(keys) => (cached.keys, cached.fetched) = (keys.into(), Some(now)),
            Err(error) => {
                tracing::warn!(error = %telemetry::error_chain(&error), "the keys of the issuer could not be fetched");
            }
        }
    }
}

/// The reason why the keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the issuer did not answer")]
    Http(#[source] reqwest::Error),
    #[error("the issuer did not answer in time")]
    TimedOut,
    #[error("the issuer's document is too long")]
    TooLong,
    #[error("the issuer's document is malformed")]
    Json(#[from] serde_json::Error),
    #[error("the discovery document is that of another issuer")]
    OtherIssuer,
    #[error("the discovery document does not say where the keys are")]
    NoKeySet,
    #[error("the issuer has no key for RS256 or ES256")]
    NoKeys,
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.without_url())
    }
}

/// What is read of the discovery document (OpenID Connect Discovery 1.0, section 4).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// A key set (RFC 7517). Each key is parsed by itself, so that one of an unknown type is skipped.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl SharedKeys {
    async fn fetch(&self) -> Result<Vec<Key>, FetchError> {
        let discovery: Discovery = self.get(&format!("{}/.well-known/openid-configuration", self.issuer)).await?;
        if discovery.issuer.trim_end_matches('/') != self.issuer {
            return Err(FetchError::OtherIssuer);
        }
        let key_set = Url::parse(&discovery.jwks_uri).map_err(|_| FetchError::NoKeySet)?;
        // Require HTTPS, unless the issuer's own URL is plain HTTP (on a developer's machine).
        if key_set.scheme() != "https" && !self.issuer.starts_with("http://") {
            return Err(FetchError::NoKeySet);
        }
        let KeySet { keys } = self.get(key_set.as_str()).await?;
        let keys: Vec<Key> = keys.into_iter().filter_map(|key| usable(&serde_json::from_value(key).ok()?)).collect();
        if keys.is_empty() { Err(FetchError::NoKeys) } else { Ok(keys) }
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, FetchError> {
        let again = ConstantBuilder::new().with_delay(Duration::from_millis(100)).with_max_times(1);
        let document = (|| self.document(url)).retry(again).when(|error| matches!(error, FetchError::Http(_))).await?;
        Ok(serde_json::from_slice(&document)?)
    }

    async fn document(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let mut response = self.http.get(url).send().await?.error_for_status()?;
        let mut document = Vec::new();
        while let Some(part) = response.chunk().await? {
            document.extend_from_slice(&part);
            if document.len() > DOCUMENT_LIMIT_BYTES {
                return Err(FetchError::TooLong);
            }
        }
        Ok(document)
    }
}

/// Returns the key if it verifies RS256 or ES256 signatures, else `None`. The type of the key decides the algorithm; the header of
/// the token does not.
fn usable(jwk: &Jwk) -> Option<Key> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
        _ => return None,
    };
    let common = &jwk.common;
    if common.key_algorithm.is_some_and(|named| named != KeyAlgorithm::from(algorithm))
        || common.public_key_use.as_ref().is_some_and(|named| *named != PublicKeyUse::Signature)
    {
        return None;
    }
    Some(Key { id: common.key_id.clone(), algorithm, key: Arc::new(DecodingKey::from_jwk(jwk).ok()?) })
}
