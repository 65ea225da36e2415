//! The rules of the limiter, on the times of a user's last N admitted requests, newest first.
//!
//! A request is admitted when the oldest of the N times is at least one window ago. Then all times move one place on, and the
//! request takes the first place. So each admission is at least one window later than the one N places before it, and no window
//! can hold N + 1 of them.
//!
//! For example, with N = 3, a window of 60 s and the times 50, 30 and 10, a request at 65 is refused, because 10 is only 55 s ago.
//! At 70 it is admitted, and the times are 70, 50 and 30.
//!
//! - This does not need the times to be sorted, so it also holds for instances whose clocks differ. Measured with one clock, a
//!   window can then be shorter by as much as the clocks differ, and an instance whose clock is late refuses longer by as much.
//! - It also holds while the limit changes and instances with different limits run side by side. An instance with a smaller limit
//!   leaves the places beyond its limit as they are, and the time that it drops is at least a window old. An instance with a
//!   greater limit finds places that are missing or older still, which are free. A longer window counts those earlier admissions
//!   that are still recorded.

use std::{collections::BTreeMap, fmt::Write};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Decision, store::Item};

/// How many requests are admitted in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimit {
    /// The most requests in a window, from 1 to [`MAX_LIMIT`](super::config::MAX_LIMIT).
    pub limit: u32,
    /// The length of the window in seconds.
    pub window_seconds: u32,
}

/// The state of a user's window. Times are milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub policy: RequestLimit,
    /// The number of requests that would be admitted now.
    pub remaining: u32,
    /// The time from which one more would be admitted. A refused request would be admitted then.
    pub next_admission: i64,
    /// The time of this state.
    pub now: i64,
}

/// The last admitted requests of a user, newest first, as many as the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentRequests {
    /// Their times in milliseconds since the epoch; [`NEVER`] where there was none.
    times: Vec<i64>,
    request_ids: Vec<String>,
}

/// An item of the table that this program did not write.
#[derive(Debug, thiserror::Error)]
#[error("the attribute {0} has the wrong type")]
pub struct MalformedItem(String);

impl MalformedItem {
    /// Creates the error for `attribute`.
    pub(super) fn of(attribute: &str) -> Self {
        Self(attribute.to_owned())
    }
}

/// The conditional update that makes a decision, in the terms of DynamoDB.
#[derive(Clone, Debug)]
pub struct ConditionalUpdate {
    /// `UpdateExpression`.
    pub update: String,
    /// `ConditionExpression`.
    pub condition: String,
    /// `ExpressionAttributeValues`.
    pub values: BTreeMap<&'static str, AttributeValue>,
}

/// The time of a missing admission: long before any window.
const NEVER: i64 = 0;

/// The attribute by which DynamoDB deletes the items of users who have sent no request for a while.
pub const EXPIRES_AT: &str = "expires_at";

/// How many seconds an item stays after its last window, so that it is not missing for an instance whose clock is late, or after
/// a deployment that makes the window longer.
const EXPIRY_SLACK: i64 = 3_600;

impl RequestLimit {
    /// Returns the length of the window in milliseconds.
    fn window(self) -> i64 {
        i64::from(self.window_seconds) * 1_000
    }

    /// Returns the update that admits the request `request_id` at `now`, on condition that the limit allows it. If the SDK repeats
    /// the update after a lost response, the second one changes nothing.
    pub fn conditional_update(self, now: i64, request_id: &str) -> ConditionalUpdate {
        let oldest = self.limit.saturating_sub(1);
        let mut update = "SET ".to_owned();
        for place in (1..self.limit).rev() {
            let newer = place - 1;
            // All assignments take the values from before the update. A missing attribute cannot be assigned.
            let _ = write!(
                update,
                "t{place} = if_not_exists(t{newer}, :never), r{place} = if_not_exists(r{newer}, :nobody), "
            );
        }
        let _ = write!(update, "t0 = :now, r0 = :id, {EXPIRES_AT} = :expires_at");
        let ids: Vec<String> = (0..self.limit).map(|place| format!("r{place}")).collect();
        let condition =
            format!("(attribute_not_exists(t{oldest}) OR t{oldest} <= :edge) AND NOT (:id IN ({}))", ids.join(", "));
        let expires_at = seconds_up(now + self.window()) + EXPIRY_SLACK;
        let mut values = BTreeMap::from([
            (":now", number(now)),
            (":id", AttributeValue::S(request_id.to_owned())),
            (":edge", number(now - self.window())),
            (":expires_at", number(expires_at)),
        ]);
        // DynamoDB rejects values that no expression uses.
        if self.limit > 1 {
            values.insert(":never", number(NEVER));
            values.insert(":nobody", AttributeValue::S(String::new()));
        }
        ConditionalUpdate { update, condition, values }
    }

    /// Returns the state of a user's window at `now`.
    pub fn quota(self, recent: &RecentRequests, now: i64) -> Quota {
        // Counted from the oldest on: times up to `edge`, the start of the window, are free places. If clocks differ, the times may
        // not be sorted, and places after one that is taken do not count.
        let edge = now - self.window();
        let mut taken = recent.times.iter().rev().skip_while(|time| **time <= edge);
        let next_admission = taken.next().map_or(now, |oldest| oldest + self.window());
        let free = recent.times.iter().rev().take_while(|time| **time <= edge).count();
        Quota { policy: self, remaining: u32::try_from(free).unwrap_or(self.limit), next_admission, now }
    }

    /// Returns the state of a user who is refused at `now` and until `next_admission`.
    pub fn refusal(self, next_admission: i64, now: i64) -> Quota {
        Quota { policy: self, remaining: 0, next_admission, now }
    }

    /// Decides on a request whose update was rejected because its condition was false.
    pub fn after_rejected_update(self, recent: &RecentRequests, now: i64, request_id: &str) -> Decision {
        let quota = self.quota(recent, now);
        if recent.request_ids.iter().any(|id| id == request_id) {
            // It was admitted already, and the response was lost.
            Decision::Admitted(quota)
        } else {
            Decision::Refused(quota)
        }
    }
}

impl Quota {
    /// Returns the seconds until [`next_admission`](Self::next_admission), rounded up. A request after that many seconds is
    /// admitted, and one a second earlier is not.
    pub fn reset_in(&self) -> u64 {
        u64::try_from(seconds_up(self.next_admission - self.now)).unwrap_or(0)
    }

    /// Returns [`next_admission`](Self::next_admission) in seconds since the epoch, rounded up.
    pub fn reset_at(&self) -> i64 {
        seconds_up(self.next_admission)
    }
}

impl RecentRequests {
    /// Reads the first `limit` places of an item. Missing ones are free.
    ///
    /// # Errors
    /// [`MalformedItem`] when an attribute has the wrong type.
    pub fn from_item(item: &Item, limit: u32) -> Result<Self, MalformedItem> {
        let mut recent = Self { times: Vec::new(), request_ids: Vec::new() };
        for place in 0..limit {
            let [time, request_id] = [format!("t{place}"), format!("r{place}")];
            recent.times.push(match item.get(&time) {
                None => NEVER,
                Some(value) => {
                    let parsed = value.as_n().ok().and_then(|digits| digits.parse().ok());
                    parsed.ok_or(MalformedItem(time))?
                }
            });
            recent.request_ids.push(match item.get(&request_id) {
                None => String::new(),
                Some(value) => value.as_s().map_err(|_| MalformedItem(request_id))?.clone(),
            });
        }
        Ok(recent)
    }
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Converts milliseconds to seconds, rounded up.
pub(super) fn seconds_up(milliseconds: i64) -> i64 {
    milliseconds.div_euclid(1_000) + i64::from(milliseconds.rem_euclid(1_000) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RequestLimit = RequestLimit { limit: 3, window_seconds: 60 };

    fn recent(times: &[i64]) -> RecentRequests {
        let item: Item = times.iter().enumerate().map(|(place, time)| (format!("t{place}"), number(*time))).collect();
        RecentRequests::from_item(&item, POLICY.limit).unwrap()
    }

    #[test]
    fn the_update_shifts_all_times() {
        let update = POLICY.conditional_update(100_000, "mine");
        assert_eq!(
            update.update,
            "SET t2 = if_not_exists(t1, :never), r2 = if_not_exists(r1, :nobody), \
             t1 = if_not_exists(t0, :never), r1 = if_not_exists(r0, :nobody), \
             t0 = :now, r0 = :id, expires_at = :expires_at"
        );
        assert_eq!(update.condition, "(attribute_not_exists(t2) OR t2 <= :edge) AND NOT (:id IN (r0, r1, r2))");
        assert_eq!((&update.values[":edge"], &update.values[":expires_at"]), (&number(40_000), &number(3_760)));
    }

    #[test]
    fn the_largest_update_fits_into_an_expression() {
        let policy = RequestLimit { limit: super::super::config::MAX_LIMIT, window_seconds: 60 };
        let update = policy.conditional_update(1_700_000_000_000, "mine");
        assert!(update.update.len() <= 4_096 && update.condition.len() <= 4_096, "{}", update.update.len());
    }

    #[test]
    fn quotas_have_free_places_and_the_next_admission() {
        for (description, times, remaining, next_admission) in [
            ("no item", &[][..], 3, 100_000),
            ("one admission", &[100_000], 2, 160_000),
            ("two admissions", &[100_000, 70_500], 1, 130_500),
            ("full", &[100_000, 70_500, 40_001], 0, 100_001),
            ("the oldest is exactly a window back", &[100_000, 70_500, 40_000], 1, 130_500),
            ("clocks that differ", &[30_000, 100_000, 20_000], 1, 160_000),
        ] {
            let quota = POLICY.quota(&recent(times), 100_000);
            assert_eq!((quota.remaining, quota.next_admission), (remaining, next_admission), "{description}");
        }
    }

    #[test]
    fn waiting_times_are_rounded_up_to_seconds() {
        for (next_admission, reset_in, reset_at) in
            [(100_001, 1, 101), (101_000, 1, 101), (101_001, 2, 102), (160_000, 60, 160)]
        {
            let quota = POLICY.refusal(next_admission, 100_000);
            assert_eq!((quota.reset_in(), quota.reset_at()), (reset_in, reset_at));
        }
    }

    #[test]
    fn a_repeated_update_is_an_admission() {
        let item =
            Item::from([("t0".to_owned(), number(100_000)), ("r0".to_owned(), AttributeValue::S("mine".to_owned()))]);
        let recent = RecentRequests::from_item(&item, 3).unwrap();
        assert!(POLICY.after_rejected_update(&recent, 100_000, "mine").may_proceed());
        assert!(!POLICY.after_rejected_update(&recent, 100_000, "other").may_proceed());
    }

    #[test]
    fn attributes_of_the_wrong_type_are_named() {
        for (name, value) in [("t1", AttributeValue::S("soon".to_owned())), ("r0", number(1))] {
            let item = Item::from([(name.to_owned(), value)]);
            let error = RecentRequests::from_item(&item, 3).unwrap_err();
            assert_eq!(error.to_string(), format!("the attribute {name} has the wrong type"));
        }
    }

    #[test]
    fn missing_attributes_are_free_places() {
        let item = Item::from([("t0".to_owned(), number(100_000))]);
        let recent = RecentRequests::from_item(&item, 3).unwrap();
        assert_eq!((recent.times, recent.request_ids), (vec![100_000, NEVER, NEVER], vec![String::new(); 3]));
    }
}
