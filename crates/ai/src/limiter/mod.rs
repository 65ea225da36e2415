//! The rate limiter: at most so many requests of a user in any window of time, exactly, whatever instance they reach.
//!
//! One DynamoDB item per user holds the last admissions ([`register`]); a decision is one conditional write
//! ([`store`]). Refusals are remembered for a moment ([`refusals`]), since a refused write costs as much as another.

pub mod config;
pub mod headers;
pub mod refusals;
pub mod register;
pub mod store;

use std::{error::Error, time::Instant};

use app_core::{
    clock::Clock,
    metrics::{self, Metric},
    telemetry,
};
use uuid::Uuid;

pub use config::{LimiterConfig, OnFailure, StoreConfig};
pub use register::{Policy, Quota};

use refusals::Refusals;
use register::Register;
use store::{Shifted, Store};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may go on, and took a place in the window.
    Admitted(Quota),
    /// It must wait until [`Quota::reset_in`] seconds have passed, and took nothing.
    Refused(Quota),
    /// It may go on uncounted: the store failed, and the configuration prefers that to an error.
    Unchecked(Policy),
}

/// Why no decision could be made. To the client both mean 503.
#[derive(Debug, thiserror::Error)]
pub enum LimiterError {
    /// The store was unreachable, too slow or busy. Waiting may help. The request may have taken a place in the
    /// window: nobody knows.
    #[error("the store of the rate limit is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The store answered something that waiting will not cure: no such table, no permission, a damaged item.
    #[error("the store of the rate limit cannot be used")]
    Unusable(#[source] Box<dyn Error + Send + Sync>),
}

/// Decides which requests may go on. Clones share the connections and what is remembered.
#[derive(Clone)]
pub struct Limiter {
    policy: Policy,
    on_failure: OnFailure,
    store: Store,
    refusals: Refusals,
    clock: Clock,
}

impl Limiter {
    /// The limiter that `config` describes; nothing is connected yet.
    pub fn new(config: &LimiterConfig, clock: Clock) -> Self {
        Self {
            policy: config.policy,
            on_failure: config.on_failure,
            store: Store::new(&config.store, &config.table),
            refusals: Refusals::new(config.remembered_refusals),
            clock,
        }
    }

    /// Decides on a request of `user`, by at most one write.
    ///
    /// The id that lets a repeated write be recognised is made here: were it the client's, whoever sends the same one
    /// again would be admitted again.
    ///
    /// # Errors
    /// [`LimiterError`] within a second, unless the configuration says to let requests go on then.
    pub async fn admit(&self, user: &str) -> Result<Decision, LimiterError> {
        let started = Instant::now();
        let decided = self.admit_unmeasured(user).await;
        metrics::add_time(Metric::RateLimitTime, started.elapsed());
        for (metric, is_it) in [
            (Metric::RateLimitAdmitted, matches!(decided, Ok(Decision::Admitted(_)))),
            (Metric::RateLimitRefused, matches!(decided, Ok(Decision::Refused(_)))),
            (Metric::RateLimitUnchecked, matches!(decided, Ok(Decision::Unchecked(_)))),
            (Metric::RateLimitUnavailable, decided.is_err()),
        ] {
            metrics::count(metric, is_it.into());
        }
        decided
    }

    async fn admit_unmeasured(&self, user: &str) -> Result<Decision, LimiterError> {
        let key = store::key(user);
        let now = self.clock.now().timestamp_millis();
        if let Some(next_admission) = self.refusals.next_admission(&key, now) {
            return Ok(Decision::Refused(self.policy.refusal(next_admission, now)));
        }
        let decided = self.decide(&key, now).await;
        match (decided, self.on_failure) {
            (Err(error), OnFailure::Allow) => {
                tracing::warn!(error = %telemetry::error_chain(&error), "a request went on without its rate being checked");
                Ok(Decision::Unchecked(self.policy))
            }
            (decided, _) => decided,
        }
    }

    async fn decide(&self, key: &str, now: i64) -> Result<Decision, LimiterError> {
        let request_id = Uuid::new_v4().simple().to_string();
        let shift = self.policy.shift(now, &request_id);
        let decision = match self.store.apply(key, &shift).await? {
            Shifted::Done(item) => Decision::Admitted(self.policy.quota(&self.register(&item)?, now)),
            Shifted::Refused(item) => self.policy.after_refused_write(&self.register(&item)?, now, &request_id),
        };
        if let Decision::Refused(quota) = decision {
            self.refusals.remember(key, now, quota.next_admission);
        }
        Ok(decision)
    }

    fn register(&self, item: &store::Item) -> Result<Register, LimiterError> {
        Register::of_item(item, self.policy.limit).map_err(|error| LimiterError::Unusable(error.into()))
    }

    /// Gives `user` an empty window. Other instances may go on refusing for [`refusals::MEMORY`].
    ///
    /// # Errors
    /// [`LimiterError`], whatever the configuration says of failures.
    pub async fn clear(&self, user: &str) -> Result<(), LimiterError> {
        let key = store::key(user);
        // A decision that is under way may remember its refusal meanwhile, so forget afterwards, too.
        self.refusals.forget(&key);
        let cleared = self.store.delete(&key).await;
        self.refusals.forget(&key);
        cleared
    }

    /// Opens the connection to the store, during a function's Init. A failure is only logged: the first request tries
    /// again.
    pub async fn warm_up(&self) {
        if let Err(error) = self.store.touch().await {
            tracing::warn!(error = %telemetry::error_chain(&error), "the store of the rate limit is not reachable yet");
        }
    }
}

impl Decision {
    /// Whether the request may go on.
    pub fn is_admitted(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    /// The seconds after which a refused request would be admitted: exactly then, and not a second earlier.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Refused(quota) => Some(quota.reset_in()),
            Self::Admitted(_) | Self::Unchecked(_) => None,
        }
    }
}
