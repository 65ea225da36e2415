//! The issuer's public keys: found by OpenID Connect discovery, kept, and fetched anew when they are old or when a token
//! names one that is not among them, though at most once in a while. While the issuer is down, those that are known
//! serve on for a day.

use std::{
    collections::HashMap,
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

/// After this long keys are fetched anew, so that one that the issuer withdrew is not taken for much longer.
const MAX_AGE: TimeDelta = TimeDelta::hours(1);

/// How long keys serve while the issuer is down.
const STALE_LIMIT: TimeDelta = TimeDelta::hours(24);

/// The least time from one fetch to the next, however many tokens name keys that nobody knows.
const LEAST_INTERVAL: TimeDelta = TimeDelta::seconds(30);

/// The same while there are no keys that may be used, so that everybody is refused.
const LEAST_INTERVAL_WITHOUT_KEYS: TimeDelta = TimeDelta::seconds(2);

/// The same while the issuer is down and the old keys serve: whoever comes then waits for a fetch that is likely in vain.
const LEAST_INTERVAL_WHILE_DOWN: TimeDelta = TimeDelta::minutes(5);

/// How long one of the two requests of a fetch may take, and how long the fetch, for which somebody waits.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// More than any issuer's document has.
const DOCUMENT_LIMIT_BYTES: usize = 512 * 1024;

/// A key, and the only algorithm that it is used with.
#[derive(Clone, Debug)]
pub struct Key {
    /// RS256 or ES256, by the kind of key.
    pub algorithm: Algorithm,
    /// The public key.
    pub key: Arc<DecodingKey>,
}

/// Why a key is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The issuer has no such key, as far as is known, and it was asked a moment ago.
    #[error("the issuer has no such key")]
    Unknown,
    /// The issuer cannot be asked, and no keys are known, or not this one.
    #[error("the issuer's keys cannot be had")]
    Unavailable,
}

/// The keys of an issuer. Clones share them.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    http: Client,
    issuer: String,
    clock: Clock,
    known: RwLock<Known>,
    /// Held while keys are fetched.
    fetching: Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Arc<HashMap<String, Key>>,
    /// When they were fetched; never where there are none.
    fetched: Option<DateTime<Utc>>,
    /// When that was tried last, and whether in vain.
    tried: Option<DateTime<Utc>>,
    is_issuer_down: bool,
}

impl Known {
    fn is_younger(&self, now: DateTime<Utc>, than: TimeDelta) -> bool {
        self.fetched.is_some_and(|fetched| now.signed_duration_since(fetched).abs() < than)
    }
}

impl Keys {
    /// The keys of `issuer`; nothing is fetched yet.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(issuer: &str, clock: Clock) -> Result<Self, Box<dyn Error + Send + Sync>> {
        crypto::install();
        let http = outbound::client_builder()?.connect_timeout(REQUEST_TIMEOUT).timeout(REQUEST_TIMEOUT).build()?;
        let (known, fetching) = (RwLock::default(), Mutex::default());
        Ok(Self(Arc::new(Inner { http, issuer: issuer.to_owned(), clock, known, fetching })))
    }

    /// Fetches the keys ahead of the first request. A failure is only logged.
    pub async fn warm_up(&self) {
        self.refresh(TimeDelta::zero()).await;
    }

    /// The key that the issuer calls `id`.
    ///
    /// # Errors
    /// [`KeyError`] within seconds.
    pub async fn find(&self, id: &str) -> Result<Key, KeyError> {
        let now = self.0.clock.now();
        let known = self.known();
        let least_interval = match known.keys.get(id) {
            Some(key) if known.is_younger(now, MAX_AGE) => return Ok(key.clone()),
            Some(key) if known.is_younger(now, STALE_LIMIT) => {
                // Good enough for those who would have to wait for somebody else's fetch.
                if self.0.fetching.try_lock().is_err() {
                    return Ok(key.clone());
                }
                if known.is_issuer_down { LEAST_INTERVAL_WHILE_DOWN } else { LEAST_INTERVAL }
            }
            None if known.is_younger(now, STALE_LIMIT) => LEAST_INTERVAL,
            _ => LEAST_INTERVAL_WITHOUT_KEYS,
        };
        self.refresh(least_interval).await;
        let known = self.known();
        match known.keys.get(id) {
            _ if !known.is_younger(self.0.clock.now(), STALE_LIMIT) => Err(KeyError::Unavailable),
            Some(key) => Ok(key.clone()),
            // It may be a new one.
            None if known.is_issuer_down => Err(KeyError::Unavailable),
            None => Err(KeyError::Unknown),
        }
    }

    fn known(&self) -> Known {
        self.0.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches the keys, unless that was tried less than `least_interval` ago. One at a time: whoever comes meanwhile waits,
    /// and then finds that it was tried.
    async fn refresh(&self, least_interval: TimeDelta) {
        let _one_at_a_time = self.0.fetching.lock().await;
        let tried = self.known().tried;
        if tried.is_some_and(|tried| self.0.clock.now().signed_duration_since(tried).abs() < least_interval) {
            return;
        }
        let fetch = tokio::time::timeout(FETCH_TIMEOUT, self.0.fetch()).await;
        let fetched = fetch.unwrap_or_else(|_| Err(FetchError::TimedOut));
        // At its end, since it may have taken longer than the interval.
        let now = self.0.clock.now();
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        (known.tried, known.is_issuer_down) = (Some(now), fetched.is_err());
        match fetched {
            Ok(keys) => (known.keys, known.fetched) = (Arc::new(keys), Some(now)),
            Err(error) => {
                tracing::warn!(error = %telemetry::error_chain(&error), "the keys of the issuer of tokens could not be fetched");
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the issuer did not answer")]
    Http(#[source] reqwest::Error),
    #[error("the issuer did not answer in time")]
    TimedOut,
    #[error("the issuer's document is too long")]
    TooLong,
    #[error("the issuer's document is not what it should be")]
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

/// A key set (RFC 7517). Keys are read one by one: a kind that nobody here knows must not spoil the others.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Inner {
    async fn fetch(&self) -> Result<HashMap<String, Key>, FetchError> {
        let discovery: Discovery = self.get(&format!("{}/.well-known/openid-configuration", self.issuer)).await?;
        if discovery.issuer.trim_end_matches('/') != self.issuer {
            return Err(FetchError::OtherIssuer);
        }
        let key_set = Url::parse(&discovery.jwks_uri).map_err(|_| FetchError::NoKeySet)?;
        // As safe as the way to the issuer itself: plain HTTP only where that is plain, too, on a developer's machine.
        if key_set.scheme() != "https" && !self.issuer.starts_with("http://") {
            return Err(FetchError::NoKeySet);
        }
        let KeySet { keys } = self.get(key_set.as_str()).await?;
        let keys: HashMap<String, Key> =
            keys.into_iter().filter_map(|key| usable(&serde_json::from_value(key).ok()?)).collect();
        if keys.is_empty() { Err(FetchError::NoKeys) } else { Ok(keys) }
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, FetchError> {
        let again = ConstantBuilder::new().with_delay(Duration::from_millis(100)).with_max_times(1);
        let document = (|| self.document(url)).retry(again).when(|error| matches!(error, FetchError::Http(_))).await?;
        Ok(serde_json::from_slice(&document)?)
    }

    async fn document(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let mut answer = self.http.get(url).send().await?.error_for_status()?;
        let mut document = Vec::new();
        while let Some(part) = answer.chunk().await? {
            document.extend_from_slice(&part);
            if document.len() > DOCUMENT_LIMIT_BYTES {
                return Err(FetchError::TooLong);
            }
        }
        Ok(document)
    }
}

/// The key and its name, if it is one for signatures that are taken. What the key is decides on the algorithm, never what a
/// token says.
fn usable(jwk: &Jwk) -> Option<(String, Key)> {
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
    let key = Key { algorithm, key: Arc::new(DecodingKey::from_jwk(jwk).ok()?) };
    Some((common.key_id.clone()?, key))
}
