//! The limit of tokens. A user whose answers of a day have used `AI_TOKENS_PER_DAY` tokens is refused until the next day begins, in
//! the time zone of the business.
//!
//! One DynamoDB item per user and day has the sum. A request reads it, side by side with the decision of the rate limit. When the
//! exchange has ended, one transaction adds the tokens that it used. It also creates an item whose key is the request's id, on
//! condition that there is none. So the tokens of a request are added once, however often the transaction is sent: after a lost
//! response, and also by an instance that was frozen meanwhile. Both items have a fixed size. DynamoDB deletes them a week after the
//! day, long after the last repetition.
//!
//! - Nothing is reserved for requests that are under way. Each of them may exceed the limit, and a user can have as many as the rate
//!   limit admits until the first of them has ended.
//! - The tokens count for the day on which they were asked for, also if the answer ends after midnight.
//! - If a client leaves or a stream breaks, the tokens count that Anthropic had named until then: those of the input, but not those of
//!   the output, which it names at the end.
//! - The log has a line with the tokens before they are added, and another one afterwards. The second line is missing if the process
//!   ended between them, and it is a warning if the transaction failed. In both cases the item of the request's id tells whether the
//!   tokens were added.

use std::sync::Arc;

use app_core::{clock, telemetry};
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{
    Quota,
    recent_requests::{MalformedItem, seconds_up},
    store::{self, Item, Store},
};

/// The attribute with the sum.
pub const USED_TOKENS: &str = "used_tokens";

/// How long items stay after the end of their day.
const KEPT_FOR: TimeDelta = TimeDelta::days(7);

/// A refusal because the tokens of the day are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRefusal {
    /// The state of the window of the rate limit, which admitted the request; `None` if that was not checked.
    pub window: Option<Quota>,
    /// The day whose tokens are used up.
    pub date: NaiveDate,
    /// The beginning of the next day, from which the user is admitted again.
    pub next_day: DateTime<Tz>,
    /// The time of the refusal in milliseconds since the epoch.
    pub now: i64,
}

/// A day of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDay {
    /// The key of the item with the sum.
    pub key: String,
    pub date: NaiveDate,
    /// The beginning of the next day.
    pub end: DateTime<Tz>,
}

/// The sum to which the tokens of a running exchange are added at its end. `None` without a limit.
pub struct PendingTokens(pub(super) Option<PendingSum>);

pub(super) struct PendingSum {
    pub store: Store,
    pub day: UserDay,
    pub request_id: Arc<str>,
}

impl TokenRefusal {
    /// Returns the seconds until the next day, rounded up.
    pub fn retry_after(&self) -> u64 {
        u64::try_from(seconds_up(self.next_day.timestamp_millis() - self.now)).unwrap_or(0)
    }

    /// Returns the message for the client.
    pub fn message(&self) -> String {
        let next_day = self.next_day.to_rfc3339_opts(SecondsFormat::Secs, true);
        format!(
            "Your tokens of {} are used up. The next day begins at {next_day}. Try again in {} seconds.",
            self.date,
            self.retry_after()
        )
    }
}

impl UserDay {
    /// Returns the day of `now` in `zone`. `user_key` is the key of the user's window.
    pub fn new(user_key: &str, now: DateTime<Utc>, zone: Tz) -> Self {
        let date = now.with_timezone(&zone).date_naive();
        // The last date that can be represented does not end.
        let end = clock::end_of_day(date, zone).unwrap_or(DateTime::<Utc>::MAX_UTC.with_timezone(&zone));
        Self { key: store::sum_key(user_key, date), date, end }
    }

    /// Returns when the items of the day expire, in seconds since the epoch.
    pub fn expires_at(&self) -> i64 {
        self.end.timestamp().saturating_add(KEPT_FOR.num_seconds())
    }
}

/// Reads the sum of an item. It is 0 without an item.
///
/// # Errors
/// [`MalformedItem`] when the attribute has the wrong type.
pub fn used_tokens(item: Option<&Item>) -> Result<u64, MalformedItem> {
    let Some(value) = item.and_then(|item| item.get(USED_TOKENS)) else { return Ok(0) };
    let digits = value.as_n().map(String::as_str).unwrap_or_default();
    digits.parse().map_err(|_| MalformedItem::of(USED_TOKENS))
}

impl PendingTokens {
    /// Logs that `used` tokens are to be added.
    pub fn announce(&self, used: u64) {
        if let Some(PendingSum { day, request_id, .. }) = self.0.as_ref().filter(|_| used > 0) {
            tracing::info!(
                request.id = &**request_id,
                tokens.used = used,
                tokens.day = %day.date,
                "the tokens of an answer are to be added to those of the day"
            );
        }
    }

    /// Adds `used` tokens, if that is any, and logs whether they were added.
    pub async fn add(self, used: u64) {
        let Some(PendingSum { store, day, request_id }) = self.0.filter(|_| used > 0) else { return };
        match store.add_tokens(&day, used, &request_id).await {
            Ok(()) => tracing::info!(
                request.id = &*request_id,
                tokens.used = used,
                tokens.day = %day.date,
                "the tokens of an answer were added to those of the day"
            ),
            Err(error) => tracing::warn!(
                request.id = &*request_id,
                tokens.used = used,
                tokens.day = %day.date,
                error = %telemetry::error_chain(&error),
                fault = error.fault(),
                hint = error.hint(),
                "the tokens of an answer may be missing from those of the day"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use chrono_tz::America::New_York;

    use super::*;

    #[test]
    fn a_refusal_says_when_the_next_day_begins() {
        for (now, date, retry_after, next_day) in [
            ("2026-01-15T12:00:00.250Z", "2026-01-15", 61_200, "2026-01-16T00:00:00-05:00"),
            ("2026-01-16T04:59:59.001Z", "2026-01-15", 1, "2026-01-16T00:00:00-05:00"),
            ("2026-01-16T05:00:00Z", "2026-01-16", 86_400, "2026-01-17T00:00:00-05:00"),
            // Days of 23 and 25 hours.
            ("2026-03-08T05:00:00Z", "2026-03-08", 23 * 3_600, "2026-03-09T00:00:00-04:00"),
            ("2026-11-01T04:00:00Z", "2026-11-01", 25 * 3_600, "2026-11-02T00:00:00-05:00"),
        ] {
            let now: DateTime<Utc> = now.parse().unwrap();
            let day = UserDay::new("ann", now, New_York);
            let refusal = TokenRefusal { window: None, date: day.date, next_day: day.end, now: now.timestamp_millis() };
            assert_eq!(refusal.retry_after(), retry_after, "{now}");
            assert_eq!(
                refusal.message(),
                format!(
                    "Your tokens of {date} are used up. The next day begins at {next_day}. Try again in {retry_after} seconds."
                )
            );
        }
    }

    #[test]
    fn a_missing_sum_is_0_and_a_malformed_one_an_error() {
        let item = |value| Item::from([(USED_TOKENS.to_owned(), value)]);
        assert_eq!(used_tokens(None).unwrap(), 0);
        assert_eq!(used_tokens(Some(&Item::new())).unwrap(), 0);
        assert_eq!(used_tokens(Some(&item(AttributeValue::N("12".to_owned())))).unwrap(), 12);
        for value in [AttributeValue::S("12".to_owned()), AttributeValue::N("-1".to_owned())] {
            let error = used_tokens(Some(&item(value))).unwrap_err();
            assert_eq!(error.to_string(), "the attribute used_tokens has the wrong type");
        }
    }
}
