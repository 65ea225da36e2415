//! The arithmetic of the limiter: a user's last N admissions as a shift register, newest first.
//!
//! A request is admitted when the oldest of the N lies at least one window back; then all move on by one place and the
//! request takes the first. So every admission is at least a window later than the one N before it, and therefore no
//! half-open window holds N + 1: of N + 1 admissions two would be a multiple of N apart.
//!
//! - That argument needs no order of the recorded times, so it also holds for instances whose clocks differ: by the
//!   times recorded there are never more than N in a window. By a common clock a window can be shorter by as much as
//!   the clocks differ; an instance whose clock is late refuses longer, by the same.
//! - It holds while limits change, too, in any mixture of instances: one with a smaller limit leaves the places beyond
//!   its own as they are, and what it drops lies a window back already. A greater limit finds places that are absent,
//!   or hold what is older still: both are free. A longer window counts of earlier admissions what the register still
//!   holds.

use std::{collections::BTreeMap, fmt::Write};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Decision, store::Item};

/// How many requests are admitted in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The number of requests, from 1 to [`MAX_LIMIT`](super::config::MAX_LIMIT).
    pub limit: u32,
    /// The window, in seconds.
    pub window_seconds: u32,
}

/// Where a user stands. Instants are milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What holds for everybody.
    pub policy: Policy,
    /// How many more requests would be admitted at once.
    pub remaining: u32,
    /// When one more than now would be admitted: for a refused request, when it would be.
    pub next_admission: i64,
    /// When this was so.
    pub now: i64,
}

/// The last admissions of a user, newest first, as many as the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// When they were, in milliseconds since the epoch; [`NEVER`] where there was none.
    times: Vec<i64>,
    /// The ids of the requests.
    request_ids: Vec<String>,
}

/// An item of the table that is not one of ours.
#[derive(Debug, thiserror::Error)]
#[error("the attribute {0} is not of its type")]
pub struct DamagedItem(String);

/// The conditional write that is a decision, as DynamoDB takes it.
#[derive(Clone, Debug)]
pub struct Shift {
    /// `UpdateExpression`.
    pub update: String,
    /// `ConditionExpression`.
    pub condition: String,
    /// `ExpressionAttributeValues`.
    pub values: BTreeMap<&'static str, AttributeValue>,
}

/// Where there was no admission: long before any window.
const NEVER: i64 = 0;

/// The name of the attribute by which DynamoDB removes items of users who have not asked for long.
pub const EXPIRES_AT: &str = "expires_at";

/// How long an item outlives its last window, in seconds, so that neither a clock that is late nor a window that a
/// deployment makes longer misses it.
const EXPIRY_SLACK: i64 = 3_600;

impl Policy {
    /// The window in milliseconds.
    fn window(self) -> i64 {
        i64::from(self.window_seconds) * 1_000
    }

    /// The write that admits the request `request_id` at `now`, on condition that there is room. A repetition of it,
    /// after an answer that was lost, changes nothing.
    pub fn shift(self, now: i64, request_id: &str) -> Shift {
        let oldest = self.limit.saturating_sub(1);
        let mut update = "SET ".to_owned();
        for place in (1..self.limit).rev() {
            let newer = place - 1;
            // Assignments take the values from before all of them. A place that is absent cannot be assigned from.
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
        // DynamoDB refuses values that no expression uses.
        if self.limit > 1 {
            values.insert(":never", number(NEVER));
            values.insert(":nobody", AttributeValue::S(String::new()));
        }
        Shift { update, condition, values }
    }

    /// Where a user stands whose admissions are those of `register`.
    pub fn quota(self, register: &Register, now: i64) -> Quota {
        // Places become free from the oldest on, and only so: times need not be in order where clocks differ.
        let edge = now - self.window();
        let mut taken = register.times.iter().rev().skip_while(|time| **time <= edge);
        let next_admission = taken.next().map_or(now, |oldest| oldest + self.window());
        let free = register.times.iter().rev().take_while(|time| **time <= edge).count();
        Quota { policy: self, remaining: u32::try_from(free).unwrap_or(self.limit), next_admission, now }
    }

    /// Where a user stands who is refused at `now` and until `next_admission`.
    pub fn refusal(self, next_admission: i64, now: i64) -> Quota {
        Quota { policy: self, remaining: 0, next_admission, now }
    }

    /// What it means that the condition of the write did not hold on `register`.
    pub fn after_refused_write(self, register: &Register, now: i64, request_id: &str) -> Decision {
        let quota = self.quota(register, now);
        if register.request_ids.iter().any(|id| id == request_id) {
            // It was written already, and the answer was lost.
            Decision::Admitted(quota)
        } else {
            Decision::Refused(quota)
        }
    }
}

impl Quota {
    /// The seconds until [`next_admission`](Self::next_admission), rounded up: whoever waits that long is in time, and
    /// one second less is too early.
    pub fn reset_in(&self) -> u64 {
        u64::try_from(seconds_up(self.next_admission - self.now)).unwrap_or(0)
    }

    /// [`next_admission`](Self::next_admission) in seconds since the epoch, rounded up.
    pub fn reset_at(&self) -> i64 {
        seconds_up(self.next_admission)
    }
}

impl Register {
    /// The first `limit` places of an item; those that are absent are free.
    ///
    /// # Errors
    /// [`DamagedItem`] when an attribute is not of its type.
    pub fn of_item(item: &Item, limit: u32) -> Result<Self, DamagedItem> {
        let mut register = Self { times: Vec::new(), request_ids: Vec::new() };
        for place in 0..limit {
            let [time, request_id] = [format!("t{place}"), format!("r{place}")];
            register.times.push(match item.get(&time) {
                None => NEVER,
                Some(value) => {
                    let parsed = value.as_n().ok().and_then(|digits| digits.parse().ok());
                    parsed.ok_or(DamagedItem(time))?
                }
            });
            register.request_ids.push(match item.get(&request_id) {
                None => String::new(),
                Some(value) => value.as_s().map_err(|_| DamagedItem(request_id))?.clone(),
            });
        }
        Ok(register)
    }
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Milliseconds as seconds, rounded up.
fn seconds_up(milliseconds: i64) -> i64 {
    milliseconds.div_euclid(1_000) + i64::from(milliseconds.rem_euclid(1_000) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { limit: 3, window_seconds: 60 };

    fn register(times: &[i64]) -> Register {
        let item: Item = times.iter().enumerate().map(|(place, time)| (format!("t{place}"), number(*time))).collect();
        Register::of_item(&item, POLICY.limit).unwrap()
    }

    #[test]
    fn the_write_is_the_one_of_the_design() {
        let shift = POLICY.shift(100_000, "mine");
        assert_eq!(
            shift.update,
            "SET t2 = if_not_exists(t1, :never), r2 = if_not_exists(r1, :nobody), \
             t1 = if_not_exists(t0, :never), r1 = if_not_exists(r0, :nobody), \
             t0 = :now, r0 = :id, expires_at = :expires_at"
        );
        assert_eq!(shift.condition, "(attribute_not_exists(t2) OR t2 <= :edge) AND NOT (:id IN (r0, r1, r2))");
        assert_eq!((&shift.values[":edge"], &shift.values[":expires_at"]), (&number(40_000), &number(3_760)));
    }

    #[test]
    fn the_largest_write_fits_into_an_expression() {
        let policy = Policy { limit: super::super::config::MAX_LIMIT, window_seconds: 60 };
        let shift = policy.shift(1_700_000_000_000, "mine");
        assert!(shift.update.len() <= 4_096 && shift.condition.len() <= 4_096, "{}", shift.update.len());
    }

    #[test]
    fn a_quota_says_what_is_free_and_when_there_is_more() {
        for (description, times, remaining, next_admission) in [
            ("no item", &[][..], 3, 100_000),
            ("one admission", &[100_000], 2, 160_000),
            ("two admissions", &[100_000, 70_500], 1, 130_500),
            ("full", &[100_000, 70_500, 40_001], 0, 100_001),
            ("the oldest is exactly a window back", &[100_000, 70_500, 40_000], 1, 130_500),
            ("clocks that differ", &[30_000, 100_000, 20_000], 1, 160_000),
        ] {
            let quota = POLICY.quota(&register(times), 100_000);
            assert_eq!((quota.remaining, quota.next_admission), (remaining, next_admission), "{description}");
        }
    }

    #[test]
    fn waiting_is_said_in_whole_seconds_rounded_up() {
        for (next_admission, reset_in, reset_at) in
            [(100_001, 1, 101), (101_000, 1, 101), (101_001, 2, 102), (160_000, 60, 160)]
        {
            let quota = POLICY.refusal(next_admission, 100_000);
            assert_eq!((quota.reset_in(), quota.reset_at()), (reset_in, reset_at));
        }
    }

    #[test]
    fn a_refused_write_that_was_made_before_is_an_admission() {
        let item =
            Item::from([("t0".to_owned(), number(100_000)), ("r0".to_owned(), AttributeValue::S("mine".to_owned()))]);
        let register = Register::of_item(&item, 3).unwrap();
        assert!(POLICY.after_refused_write(&register, 100_000, "mine").is_admitted());
        assert!(!POLICY.after_refused_write(&register, 100_000, "other").is_admitted());
    }

    #[test]
    fn an_attribute_of_another_type_is_named() {
        for (name, value) in [("t1", AttributeValue::S("soon".to_owned())), ("r0", number(1))] {
            let item = Item::from([(name.to_owned(), value)]);
            let error = Register::of_item(&item, 3).unwrap_err();
            assert_eq!(error.to_string(), format!("the attribute {name} is not of its type"));
        }
    }
}
