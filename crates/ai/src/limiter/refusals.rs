//! What an instance remembers of refusals, so that a client who keeps asking costs no calls.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How long a refusal is remembered at most, in milliseconds: an administrator's clear is seen that soon.
pub const MEMORY: i64 = 3_000;

/// Refusals of the last moments, of at most so many users. Clones share them.
#[derive(Clone, Debug)]
pub struct Refusals {
    capacity: usize,
    by_key: Arc<Mutex<HashMap<String, Refusal>>>,
}

/// Instants are milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    refused_at: i64,
    next_admission: i64,
}

impl Refusal {
    /// A clock that was set back makes nothing last longer.
    fn is_remembered_at(&self, now: i64) -> bool {
        self.refused_at <= now && now < self.next_admission.min(self.refused_at + MEMORY)
    }
}

impl Refusals {
    /// Remembers at most `capacity` users; none with 0.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, by_key: Arc::default() }
    }

    /// When the next request of `key` will be admitted, if it is remembered at `now` that it was refused.
    pub fn next_admission(&self, key: &str, now: i64) -> Option<i64> {
        let by_key = self.lock();
        let refusal = by_key.get(key).filter(|refusal| refusal.is_remembered_at(now))?;
        Some(refusal.next_admission)
    }

    /// Remembers a refusal. With no room left it is not remembered, which costs calls but refuses nobody wrongly.
    pub fn remember(&self, key: &str, refused_at: i64, next_admission: i64) {
        let mut by_key = self.lock();
        if by_key.len() >= self.capacity {
            by_key.retain(|_, refusal| refusal.is_remembered_at(refused_at));
        }
        if by_key.len() < self.capacity || by_key.contains_key(key) {
            by_key.insert(key.to_owned(), Refusal { refused_at, next_admission });
        }
    }

    /// Forgets what is remembered of `key`.
    pub fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Refusal>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_remembered_until_the_next_admission_but_at_most_three_seconds() {
        let refusals = Refusals::new(10);
        refusals.remember("soon", 1_000, 2_500);
        refusals.remember("late", 1_000, 60_000);
        for (key, now, expected) in [
            ("soon", 1_000, Some(2_500)),
            ("soon", 2_499, Some(2_500)),
            ("soon", 2_500, None),
            ("late", 3_999, Some(60_000)),
            ("late", 4_000, None),
            ("late", 999, None),
            ("other", 1_000, None),
        ] {
            assert_eq!(refusals.next_admission(key, now), expected, "{key} at {now}");
        }
        refusals.forget("late");
        assert_eq!(refusals.next_admission("late", 1_000), None);
    }

    #[test]
    fn no_more_users_than_the_capacity_are_remembered() {
        let refusals = Refusals::new(2);
        for (key, at) in [("a", 0), ("b", 1_000), ("c", 2_000)] {
            refusals.remember(key, at, 60_000);
        }
        assert_eq!(["a", "b", "c"].map(|key| refusals.next_admission(key, 2_000).is_some()), [true, true, false]);
        // What is over makes room.
        refusals.remember("c", 3_500, 60_000);
        assert_eq!(["a", "b", "c"].map(|key| refusals.next_admission(key, 3_500).is_some()), [false, true, true]);
        let none = Refusals::new(0);
        none.remember("a", 0, 60_000);
        assert_eq!(none.next_admission("a", 0), None);
    }
}
