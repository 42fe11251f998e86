//! When a schedule is due: a cron expression in a time zone.
//!
//! The changes to and from daylight saving time are taken as cron takes them. An expression that names its hours and
//! minutes is due once a day whatever the clock does: a time that is skipped is due right after the gap, one that
//! comes twice is due the first time. One with `*` or steps in them follows the clock: what is skipped is not due,
//! and an hour that comes twice is due twice.

use std::str::FromStr;

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// An expression in a zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Ticks {
    cron: Cron,
    zone: TimeZone,
}

/// How far before a tick the search begins for the newest one: more than any clock was ever put back.
const LOOK_BACK_SECONDS: i64 = 3 * 3_600;

impl Ticks {
    /// `minute hour day month weekday`, with seconds in front if there are six.
    pub fn new(expression: &str, zone: TimeZone) -> Result<Ticks, String> {
        let cron = Cron::from_str(expression).map_err(|error| error.to_string())?;
        Ok(Ticks { cron, zone })
    }

    /// The first tick after this Unix time in seconds; none when there will be none.
    #[must_use]
    pub fn next_after(&self, seconds: i64) -> Option<i64> {
        let next = self.cron.find_next_occurrence(&self.at(seconds)?, false).ok()?;
        Some(next.timestamp().as_second())
    }

    /// The newest tick up to and with this Unix time in seconds; none when there was none.
    #[must_use]
    pub fn last_until(&self, seconds: i64) -> Option<i64> {
        let found = self.cron.find_previous_occurrence(&self.at(seconds)?, true).ok()?;
        // A search backwards finds a time that came twice at its second coming, when it was not due. So the way
        // forwards decides, as it does for all other ticks.
        let mut last = None;
        let mut next = self.next_after(found.timestamp().as_second() - LOOK_BACK_SECONDS);
        while let Some(tick) = next.filter(|tick| *tick <= seconds) {
            last = Some(tick);
            next = self.next_after(tick);
        }
        last
    }

    fn at(&self, seconds: i64) -> Option<Zoned> {
        Some(Timestamp::from_second(seconds).ok()?.to_zoned(self.zone.clone()))
    }
}

/// The zone of this name, such as `Europe/Berlin`; an error is the name that resembles it.
pub fn zone(name: &str) -> Result<TimeZone, Option<String>> {
    TimeZone::get(name).map_err(|_| {
        let names = jiff::tz::db().available().map(|name| name.to_string());
        let near = names.map(|known| (strsim::osa_distance(name, &known), known)).min();
        near.filter(|(distance, _)| *distance <= 1 + name.len() / 4).map(|(_, known)| known)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(expression: &str, name: &str) -> Ticks {
        Ticks::new(expression, zone(name).unwrap()).unwrap()
    }

    fn seconds(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    /// The ticks after `from`, up to and with `until`, in UTC.
    fn between(expression: &str, name: &str, from: &str, until: &str) -> Vec<String> {
        let (ticks, until) = (ticks(expression, name), seconds(until));
        let mut found = Vec::new();
        let mut at = seconds(from);
        while let Some(next) = ticks.next_after(at).filter(|next| *next <= until) {
            found.push(Timestamp::from_second(next).unwrap().to_string());
            at = next;
        }
        found
    }

    #[test]
    fn ticks_follow_each_other() {
        let cases: &[(&str, &str, &str, &str, &[&str])] = &[
            ("0 3 * * *", "UTC", "2026-11-22T03:00:00Z", "2026-11-24T00:00:00Z", &["2026-11-23T03:00:00Z"]),
            (
                "0 3 * * *",
                "Asia/Tokyo",
                "2026-11-22T00:00:00Z",
                "2026-11-22T23:00:00Z",
                &["2026-11-22T18:00:00Z"],
            ),
            (
                "*/20 8 * * MON-FRI",
                "UTC",
                "2026-11-20T08:10:00Z",
                "2026-11-23T08:10:00Z",
                &["2026-11-20T08:20:00Z", "2026-11-20T08:40:00Z", "2026-11-23T08:00:00Z"],
            ),
            ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2029-01-01T00:00:00Z", &["2028-02-29T00:00:00Z"]),
            ("@daily", "UTC", "2026-11-22T00:00:00Z", "2026-11-23T01:00:00Z", &["2026-11-23T00:00:00Z"]),
            (
                "*/30 * * * * *",
                "UTC",
                "2026-11-22T00:00:00Z",
                "2026-11-22T00:01:00Z",
                &["2026-11-22T00:00:30Z", "2026-11-22T00:01:00Z"],
            ),
        ];
        for (expression, name, from, until, expected) in cases {
            assert_eq!(between(expression, name, from, until), *expected, "{expression} in {name}");
        }
    }

    /// In Berlin 2026 the clock goes from 2:00 to 3:00 on 29 March (1:00 UTC), and from 3:00 to 2:00 on 25 October
    /// (1:00 UTC).
    #[test]
    fn daylight_saving_time_is_taken_as_cron_takes_it() {
        let cases: &[(&str, &str, &str, &[&str])] = &[
            // A fixed time in the gap: right after it, and only once.
            (
                "30 2 * * *",
                "2026-03-28T12:00:00Z",
                "2026-03-30T12:00:00Z",
                &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
            ),
            // A fixed time that comes twice: the first time.
            (
                "30 2 * * *",
                "2026-10-24T12:00:00Z",
                "2026-10-26T12:00:00Z",
                &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
            ),
            // Fixed times elsewhere: the day has 23 or 25 hours.
            ("0 12 * * *", "2026-03-28T11:00:00Z", "2026-03-29T12:00:00Z", &["2026-03-29T10:00:00Z"]),
            ("0 12 * * *", "2026-10-24T10:00:00Z", "2026-10-25T12:00:00Z", &["2026-10-25T11:00:00Z"]),
            // Every hour goes on: none is left out and none comes twice in real time.
            (
                "0 * * * *",
                "2026-03-28T23:30:00Z",
                "2026-03-29T02:00:00Z",
                &["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"],
            ),
            (
                "30 * * * *",
                "2026-10-24T23:45:00Z",
                "2026-10-25T02:00:00Z",
                &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"],
            ),
        ];
        for (expression, from, until, expected) in cases {
            assert_eq!(
                between(expression, "Europe/Berlin", from, until),
                *expected,
                "{expression} from {from}"
            );
        }
    }

    #[test]
    fn the_newest_tick_is_one_of_those_that_follow_each_other() {
        let cases = [
            ("30 2 * * *", "2026-10-25T00:45:00Z", "2026-10-25T00:30:00Z"),
            ("30 2 * * *", "2026-10-25T01:45:00Z", "2026-10-25T00:30:00Z"), // at its second coming it was not due
            ("30 2 * * *", "2026-10-25T12:00:00Z", "2026-10-25T00:30:00Z"),
            ("30 2 * * *", "2026-03-29T00:59:59Z", "2026-03-28T01:30:00Z"),
            ("30 2 * * *", "2026-03-29T12:00:00Z", "2026-03-29T01:00:00Z"),
            ("30 * * * *", "2026-10-25T01:45:00Z", "2026-10-25T01:30:00Z"),
            ("0 0 1 1 *", "2026-11-22T00:00:00Z", "2025-12-31T23:00:00Z"),
            ("0 12 * * *", "2026-11-22T11:00:00Z", "2026-11-22T11:00:00Z"), // at this very second
        ];
        for (expression, until, expected) in cases {
            let found = ticks(expression, "Europe/Berlin").last_until(seconds(until));
            assert_eq!(found, Some(seconds(expected)), "{expression} until {until}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert!(Ticks::new("61 * * * *", TimeZone::UTC).is_err());
        assert!(Ticks::new("", TimeZone::UTC).is_err());
        assert_eq!(ticks("0 0 30 2 *", "UTC").next_after(0), None, "there is no 30th of February");
        assert_eq!(zone("Europe/Berln").unwrap_err().as_deref(), Some("Europe/Berlin"));
        assert_eq!(zone("nowhere at all, really").unwrap_err(), None);
    }
}
