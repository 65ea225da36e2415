//! A cache of refusals, so that a client that keeps asking costs no calls of DynamoDB.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The milliseconds for which a refusal is cached at most. An administrator's `clear-rate-limit` takes effect on other instances
/// after this time.
pub const CACHED_FOR_MS: i64 = 3_000;

/// The latest refusals. Clones share them.
#[derive(Clone, Debug)]
pub struct RefusalCache {
    /// The most users to cache.
    capacity: usize,
    by_key: Arc<Mutex<HashMap<String, CachedRefusal>>>,
}

/// Times are milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
struct CachedRefusal {
    refused_at: i64,
    next_admission: i64,
}

impl CachedRefusal {
    /// Returns whether the refusal still counts at `now`. A clock that is set back does not prolong it.
    fn is_valid_at(&self, now: i64) -> bool {
        self.refused_at <= now && now < self.next_admission.min(self.refused_at + CACHED_FOR_MS)
    }
}

impl RefusalCache {
    /// Creates a cache for at most `capacity` users; 0 turns it off.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, by_key: Arc::default() }
    }

    /// Returns the time from which `key` is admitted again, if a refusal of it is cached.
    pub fn next_admission(&self, key: &str, now: i64) -> Option<i64> {
        let by_key = self.lock();
        let refusal = by_key.get(key).filter(|refusal| refusal.is_valid_at(now))?;
        Some(refusal.next_admission)
    }

    /// Caches a refusal. If the cache is full the refusal is dropped, which costs calls but is never wrong.
    pub fn insert(&self, key: &str, refused_at: i64, next_admission: i64) {
        let mut by_key = self.lock();
        if by_key.len() >= self.capacity {
            by_key.retain(|_, refusal| refusal.is_valid_at(refused_at));
        }
        if by_key.len() < self.capacity || by_key.contains_key(key) {
            by_key.insert(key.to_owned(), CachedRefusal { refused_at, next_admission });
        }
    }

    /// Removes the refusal of `key`.
    pub fn remove(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, CachedRefusal>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_cached_for_at_most_three_seconds() {
        let refusals = RefusalCache::new(10);
        refusals.insert("soon", 1_000, 2_500);
        refusals.insert("late", 1_000, 60_000);
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
        refusals.remove("late");
        assert_eq!(refusals.next_admission("late", 1_000), None);
    }

    #[test]
    fn the_cache_has_a_capacity() {
        let refusals = RefusalCache::new(2);
        for (key, at) in [("a", 0), ("b", 1_000), ("c", 2_000)] {
            refusals.insert(key, at, 60_000);
        }
        assert_eq!(["a", "b", "c"].map(|key| refusals.next_admission(key, 2_000).is_some()), [true, true, false]);
        // Expired refusals make room.
        refusals.insert("c", 3_500, 60_000);
        assert_eq!(["a", "b", "c"].map(|key| refusals.next_admission(key, 3_500).is_some()), [false, true, true]);
        let none = RefusalCache::new(0);
        none.insert("a", 0, 60_000);
        assert_eq!(none.next_admission("a", 0), None);
    }
}
