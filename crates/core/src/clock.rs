//! The clock. Handlers take it from their state instead of reading the system's, so that tests can set it.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
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

/// Returns the first instant after `date` in `zone`. That is midnight, except where the clocks are put forward at midnight. `None` if
/// the next date is beyond all that can be represented.
pub fn end_of_day(date: NaiveDate, zone: Tz) -> Option<DateTime<Tz>> {
    let midnight = date.succ_opt()?.and_time(NaiveTime::MIN);
    // A zone that changes sides of the date line skips a whole day.
    let mut quarters_of_an_hour = (0..=2 * 24 * 4).map(|quarter| TimeDelta::minutes(15 * quarter));
    quarters_of_an_hour.find_map(|skipped| zone.from_local_datetime(&midnight.checked_add_signed(skipped)?).earliest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_when_the_next_one_begins() {
        use chrono_tz::{Africa::Cairo, America::Havana, America::New_York, Pacific::Apia};
        for (zone, date, end) in [
            (Tz::UTC, "2024-12-31", "2025-01-01T00:00:00+00:00"),
            (New_York, "2024-11-15", "2024-11-16T00:00:00-05:00"),
            // The clocks are put forward, and back.
            (New_York, "2026-03-08", "2026-03-09T00:00:00-04:00"),
            (New_York, "2026-11-01", "2026-11-02T00:00:00-05:00"),
            // They are put forward at midnight; they are put back at one o'clock, so that midnight comes twice.
            (Cairo, "2024-04-25", "2024-04-26T01:00:00+03:00"),
            (Havana, "2024-11-02", "2024-11-03T00:00:00-04:00"),
            // 30 December 2011 was skipped.
            (Apia, "2011-12-29", "2011-12-31T00:00:00+14:00"),
        ] {
            let date: NaiveDate = date.parse().unwrap();
            let ended = end_of_day(date, zone).unwrap();
            assert_eq!(ended.to_rfc3339(), end);
            assert!((ended - TimeDelta::seconds(1)).date_naive() <= date && ended.date_naive() > date, "{zone}");
        }
        assert_eq!(end_of_day(NaiveDate::MAX, New_York), None);
    }

    #[test]
    fn today_is_the_date_in_the_business_time_zone() {
        let late_evening_in_florida = "2024-11-16T03:30:00Z".parse().unwrap();
        let clock = Clock::standing_at(late_evening_in_florida, chrono_tz::America::New_York);
        assert_eq!(clock.today().to_string(), "2024-11-15");
        clock.set("2024-11-16T05:00:00Z".parse().unwrap());
        assert_eq!(clock.today().to_string(), "2024-11-16");
    }
}
