//! The limits of each user. The rate limit admits at most N requests of a user in any window of time, exactly, over all instances. The
//! limit of [`tokens`], if there is one, refuses a user whose tokens of the day are used up.
//!
//! For the rate limit, one DynamoDB item per user has the last admissions ([`recent_requests`]), and a decision is one conditional update
//! ([`store`]). Refusals are cached for a few seconds ([`refusal_cache`]), because a rejected update costs as much as another.

pub mod config;
pub mod headers;
mod http_client;
pub mod recent_requests;
pub mod refusal_cache;
pub mod store;
pub mod tokens;

use std::{error::Error, num::NonZeroU64, time::Instant};

use app_core::{
    clock::Clock,
    http::RequestId,
    lambda::CheckResult,
    metrics::{self, Metric},
    telemetry,
};
use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use config::{LimiterConfig, OnFailure, StoreConfig};
pub use recent_requests::{Quota, RequestLimit};
pub use tokens::{PendingTokens, TokenRefusal};

use recent_requests::{MalformedItem, RecentRequests};
use refusal_cache::RefusalCache;
use store::{Store, UpdateOutcome};
use tokens::{PendingSum, UserDay, used_tokens};

/// The decision on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request goes on and counts.
    Admitted(Quota),
    /// The request must wait for [`Quota::reset_in`] seconds. It does not count.
    Refused(Quota),
    /// The rate limit admitted the request, and it counts there, but the user's tokens of the day are used up.
    OutOfTokens(TokenRefusal),
    /// The request goes on and is not counted by the rate limit, because the store failed and the configuration says so.
    Unchecked(RequestLimit),
}

/// The reason why no decision could be made. The client gets a 503.
#[derive(Debug, thiserror::Error)]
pub enum LimiterError {
    /// The store was unreachable, too slow or busy. Waiting may help. It is unknown whether the request counts.
    #[error("the store of the rate limit is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The store cannot work: no such table, no permission, a malformed item. Waiting does not help.
    #[error("the store of the rate limit cannot be used")]
    Unusable {
        source: Box<dyn Error + Send + Sync>,
        /// How to mend it, for the log.
        hint: &'static str,
    },
}

impl LimiterError {
    /// Returns `configuration` if somebody has to mend the store, for the log.
    pub fn fault(&self) -> Option<&'static str> {
        matches!(self, Self::Unusable { .. }).then_some("configuration")
    }

    /// Returns advice for the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => {
                "DynamoDB is down or slow, throttles the table, or cannot be reached: see AWS's status page and the table's throttled \
                 writes; a function in a VPC needs a route to DynamoDB; if it lasts, RATE_LIMIT_ON_FAILURE=allow lets chats go on"
            }
            Self::Unusable { hint, .. } => hint,
        }
    }
}

impl From<MalformedItem> for LimiterError {
    fn from(error: MalformedItem) -> Self {
        let hint = "another program has changed the item of this user: delete it";
        Self::Unusable { source: error.into(), hint }
    }
}

/// Decides which requests may go on. Clones share their connections and the cache.
#[derive(Clone)]
pub struct Limiter {
    policy: RequestLimit,
    tokens_per_day: Option<NonZeroU64>,
    on_failure: OnFailure,
    store: Store,
    refusals: RefusalCache,
    clock: Clock,
}

impl Limiter {
    /// Creates the limiter. Nothing is connected yet.
    pub fn new(config: &LimiterConfig, clock: Clock) -> Self {
        Self {
            policy: config.policy,
            tokens_per_day: config.tokens_per_day,
            on_failure: config.on_failure,
            store: Store::new(&config.store, &config.table),
            refusals: RefusalCache::new(config.cached_refusals),
            clock,
        }
    }

    /// Decides on a request of `user` with at most one update and, if tokens are limited, one read beside it.
    ///
    /// The id by which a repeated update is recognised is made here. A client that could choose it would bypass the limit by
    /// sending one id again and again.
    ///
    /// # Errors
    /// [`LimiterError`] within a second, unless the configuration lets requests go on when the store fails.
    pub async fn admit(&self, user: &str) -> Result<Decision, LimiterError> {
        let started = Instant::now();
        let decided = self.check_cache_and_store(user).await;
        metrics::add_time(Metric::RateLimitTime, started.elapsed());
        let (decided, was_checked) = match decided {
            Ok((decision, was_checked)) => (Ok(decision), was_checked),
            Err(error) => (Err(error), false),
        };
        let is_refused = matches!(decided, Ok(Decision::Refused(_)));
        for (metric, applies) in [
            (Metric::RateLimitAdmitted, was_checked && !is_refused),
            (Metric::RateLimitRefused, is_refused),
            (Metric::RateLimitUnchecked, decided.is_ok() && !was_checked),
            (Metric::RateLimitUnavailable, decided.is_err()),
            (Metric::TokenLimitRefused, matches!(decided, Ok(Decision::OutOfTokens(_)))),
        ] {
            metrics::count(metric, applies.into());
        }
        decided
    }

    /// Returns the decision, and whether the store has given everything that it depends on.
    async fn check_cache_and_store(&self, user: &str) -> Result<(Decision, bool), LimiterError> {
        let key = store::key(user);
        let now = self.clock.now();
        if let Some(next_admission) = self.refusals.next_admission(&key, now.timestamp_millis()) {
            return Ok((Decision::Refused(self.policy.refusal(next_admission, now.timestamp_millis())), true));
        }
        let (window, tokens) = tokio::join!(self.decide(&key, now.timestamp_millis()), self.check_tokens(&key, now));
        let was_checked = window.is_ok() && tokens.is_ok();
        let decision = self.or_unchecked(window, Decision::Unchecked(self.policy), "the rate limit was not checked")?;
        if !decision.may_proceed() {
            return Ok((decision, true));
        }
        let refusal = self.or_unchecked(tokens, None, "the tokens of the day were not checked")?;
        let window = if let Decision::Admitted(quota) = decision { Some(quota) } else { None };
        let decision = refusal.map_or(decision, |refusal| Decision::OutOfTokens(TokenRefusal { window, ..refusal }));
        Ok((decision, was_checked))
    }

    /// Returns `unchecked` and logs `message` instead of an error, if the configuration lets requests go on when the store fails.
    fn or_unchecked<T>(
        &self,
        checked: Result<T, LimiterError>,
        unchecked: T,
        message: &'static str,
    ) -> Result<T, LimiterError> {
        match (checked, self.on_failure) {
            (Err(error), OnFailure::Allow) => {
                let (fault, hint) = (error.fault(), error.hint());
                tracing::warn!(error = %telemetry::error_chain(&error), fault, hint, "{message}");
                Ok(unchecked)
            }
            (checked, _) => checked,
        }
    }

    /// Returns a refusal if the tokens of the day are used up. It is cached for a few seconds, like those of the rate limit.
    async fn check_tokens(&self, user_key: &str, now: DateTime<Utc>) -> Result<Option<TokenRefusal>, LimiterError> {
        let Some(limit) = self.tokens_per_day else { return Ok(None) };
        let UserDay { key, date, end } = UserDay::new(user_key, now, self.clock.zone());
        let now = now.timestamp_millis();
        let refusal = TokenRefusal { window: None, date, next_day: end, now };
        if self.refusals.next_admission(&key, now).is_some() {
            return Ok(Some(refusal));
        }
        let item = self.store.get(&key).await?;
        let used = used_tokens(item.as_ref())?;
        if used < limit.get() {
            return Ok(None);
        }
        self.refusals.insert(&key, now, end.timestamp_millis());
        Ok(Some(refusal))
    }

    async fn decide(&self, key: &str, now: i64) -> Result<Decision, LimiterError> {
        let request_id = Uuid::new_v4().simple().to_string();
        let update = self.policy.conditional_update(now, &request_id);
        let decision = match self.store.apply(key, &update).await? {
            UpdateOutcome::Applied(item) => Decision::Admitted(self.policy.quota(&self.recent_requests(&item)?, now)),
            UpdateOutcome::Rejected(item) => {
                self.policy.after_rejected_update(&self.recent_requests(&item)?, now, &request_id)
            }
        };
        if let Decision::Refused(quota) = decision {
            self.refusals.insert(key, now, quota.next_admission);
        }
        Ok(decision)
    }

    fn recent_requests(&self, item: &store::Item) -> Result<RecentRequests, LimiterError> {
        Ok(RecentRequests::from_item(item, self.policy.limit)?)
    }

    /// Begins to count the tokens of a request of `user` that was admitted.
    pub fn begin_tokens(&self, user: &str, RequestId(id): &RequestId) -> PendingTokens {
        PendingTokens(self.tokens_per_day.map(|_| PendingSum {
            store: self.store.clone(),
            day: UserDay::new(&store::key(user), self.clock.now(), self.clock.zone()),
            request_id: id.clone(),
        }))
    }

    /// Forgets the recent requests of `user`, but not the tokens of the day. Other instances may refuse for up to
    /// [`refusal_cache::CACHED_FOR_MS`].
    ///
    /// # Errors
    /// When the store fails, also if the configuration lets requests pass then.
    pub async fn clear(&self, user: &str) -> Result<(), LimiterError> {
        let key = store::key(user);
        // A simultaneous decision may cache its refusal meanwhile, so remove it afterwards, too.
        self.refusals.remove(&key);
        let cleared = self.store.delete(&key).await;
        self.refusals.remove(&key);
        cleared
    }

    /// Checks that decisions can be made, with one on a user that no client has: the names of users are in lower case, and tokens
    /// have no such subject.
    ///
    /// # Errors
    /// The reason why no decision can be made, also if the configuration lets requests pass then.
    pub async fn check(&self) -> CheckResult {
        let decided = self.decide("DEPLOYMENT CHECK", self.clock.now().timestamp_millis()).await;
        decided.map(drop).map_err(|error| telemetry::error_chain(&error).to_string())
    }

    /// Opens the connections to the store during Init: one, or two if a request makes two calls at once. A failure is logged, and the
    /// first request tries again.
    pub async fn warm_up(&self) {
        let second = async { if self.tokens_per_day.is_some() { self.store.connect().await } else { Ok(()) } };
        if let Err(error) = tokio::try_join!(self.store.connect(), second) {
            tracing::warn!(error = %telemetry::error_chain(&*error), "the store of the rate limit was not reached during start-up");
        }
    }
}

impl Decision {
    /// Returns whether the request may go on.
    pub fn may_proceed(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::OutOfTokens(_))
    }

    /// Returns the seconds after which a refused request would be admitted, and not a second earlier.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Refused(quota) => Some(quota.reset_in()),
            Self::OutOfTokens(refusal) => Some(refusal.retry_after()),
            Self::Admitted(_) | Self::Unchecked(_) => None,
        }
    }
}
