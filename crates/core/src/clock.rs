//! The clock. Handlers take it from their state instead of reading the system's, so that tests can set it.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;

/// The current time and, in the time zone of the business, the current date.
#[derive(Clone)]
pub struct Clock {
    source: Source,
    zone: Tz,
}

#[derive(Clone)]
enum Source {
    System,
    Set(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    /// Returns the system's clock. Dates are in `zone` (`BUSINESS_TIME_ZONE`).
    pub fn system(zone: Tz) -> Self {
        Self { source: Source::System, zone }
    }

    /// Returns a clock that stands at `instant` until [`set`](Self::set) moves it. Clones share the instant.
    pub fn standing_at(instant: DateTime<Utc>, zone: Tz) -> Self {
        Self { source: Source::Set(Arc::new(Mutex::new(instant))), zone }
    }

    /// Sets a standing clock. It has no effect on the system's clock.
    pub fn set(&self, instant: DateTime<Utc>) {
        if let Source::Set(current) = &self.source {
            *current.lock().unwrap_or_else(PoisonError::into_inner) = instant;
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.source {
            Source::System => Utc::now(),
            Source::Set(instant) => *instant.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Returns the time zone of the business.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Returns the current date in the time zone of the business.
    pub fn today(&self) -> NaiveDate {
        self.now().with_timezone(&self.zone).date_naive()
    }
}

/// Returns the date `days` before `date`, or the earliest possible date.
pub fn days_before(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn today_is_the_date_in_the_business_time_zone() {
        let late_evening_in_florida = "2024-11-16T03:30:00Z".parse().unwrap();
        let clock = Clock::standing_at(late_evening_in_florida, chrono_tz::America::New_York);
        assert_eq!(clock.today().to_string(), "2024-11-15");
        clock.set("2024-11-16T05:00:00Z".parse().unwrap());
        assert_eq!(clock.today().to_string(), "2024-11-16");
    }
}
