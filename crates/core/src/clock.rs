//! Time as the program sees it. Nobody asks the wall clock: handlers get the [`Clock`] from their state, so that
//! tests can set it.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;

/// The current instant and, in the business's time zone, the current date.
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
    /// The machine's clock; dates are those of `zone` (`BUSINESS_TIME_ZONE`).
    pub fn system(zone: Tz) -> Self {
        Self { source: Source::System, zone }
    }

    /// A clock that stands at `instant` until [`set`](Self::set) moves it. Clones share the instant.
    pub fn standing_at(instant: DateTime<Utc>, zone: Tz) -> Self {
        Self { source: Source::Set(Arc::new(Mutex::new(instant))), zone }
    }

    /// Moves a standing clock; the system's clock stays as it is.
    pub fn set(&self, instant: DateTime<Utc>) {
        if let Source::Set(current) = &self.source {
            *current.lock().unwrap_or_else(PoisonError::into_inner) = instant;
        }
    }

    /// The current instant.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.source {
            Source::System => Utc::now(),
            Source::Set(instant) => *instant.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Today's date where the business is (design, reading 6).
    pub fn today(&self) -> NaiveDate {
        self.now().with_timezone(&self.zone).date_naive()
    }
}

/// `date` less `days`, or the earliest date there is.
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
