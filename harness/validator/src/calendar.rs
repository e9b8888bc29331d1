//! When days begin: at noon in New York, whatever daylight saving does that day.

use edgemaxx_contract::plan::Day;
use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

/// Where noon is noon.
const ZONE: &str = "America/New_York";
const NOON: Time = Time::constant(12, 0, 0, 0);

/// A moment or day outside of what can be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct CalendarError {
    what: String,
    problem: String,
}

fn error(what: impl ToString) -> impl FnOnce(jiff::Error) -> CalendarError {
    let what = what.to_string();
    move |problem| CalendarError { what, problem: problem.to_string() }
}

fn date_of(day: &Day) -> Result<Date, CalendarError> {
    day.to_string().parse().map_err(error(day))
}

fn day_of(date: Date) -> Result<Day, CalendarError> {
    let text = date.to_string();
    text.parse()
        .map_err(|_| CalendarError { what: text, problem: "expected a year of four digits".to_owned() })
}

fn zone() -> Result<TimeZone, CalendarError> {
    // The bundled database: a machine without one, or with an old one, has the same noon.
    jiff::tz::db().get(ZONE).map_err(error(ZONE))
}

/// The noon that begins `day`, seconds since 1970-01-01 UTC.
///
/// # Errors
/// [`CalendarError`] for years that the calendar does not have.
pub fn noon(day: &Day) -> Result<i64, CalendarError> {
    let noon = date_of(day)?.to_datetime(NOON).to_zoned(zone()?).map_err(error(day))?;
    Ok(noon.timestamp().as_second())
}

/// The day whose noon was the last one at `unix_s`.
///
/// # Errors
/// [`CalendarError`] for moments that the calendar does not have.
pub fn day_at(unix_s: i64) -> Result<Day, CalendarError> {
    let now = Timestamp::from_second(unix_s).map_err(error(unix_s))?.to_zoned(zone()?);
    let date = if now.time() >= NOON { now.date() } else { now.date().yesterday().map_err(error(unix_s))? };
    day_of(date)
}

/// The day after `day`.
///
/// # Errors
/// [`CalendarError`] at the end of the calendar.
pub fn next(day: &Day) -> Result<Day, CalendarError> {
    day_of(date_of(day)?.checked_add(1.day()).map_err(error(day))?)
}

/// Days from `from` to `to`; negative backwards.
///
/// # Errors
/// [`CalendarError`] for days that the calendar does not have.
pub fn days_between(from: &Day, to: &Day) -> Result<i64, CalendarError> {
    let span = date_of(from)?.until(date_of(to)?).map_err(error(from))?;
    Ok(i64::from(span.get_days()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn noon_moves_with_daylight_saving() {
        let noon = |day: &str| noon(&day.parse().unwrap()).unwrap();
        // New York is UTC−4 in summer and UTC−5 in winter; in 2026 it changes on 8 March and 1 November.
        assert_eq!(noon("2026-03-07"), at("2026-03-07T17:00:00Z"));
        assert_eq!(noon("2026-03-08"), at("2026-03-08T16:00:00Z"));
        assert_eq!(noon("2026-10-31"), at("2026-10-31T16:00:00Z"));
        assert_eq!(noon("2026-11-01"), at("2026-11-01T17:00:00Z"));
        assert_eq!(noon("2026-11-01") - noon("2026-10-31"), 25 * 3600);
        assert_eq!(noon("2026-03-08") - noon("2026-03-07"), 23 * 3600);
    }

    #[test]
    fn a_moment_belongs_to_the_last_noon() {
        let day = |text: &str| day_at(at(text)).unwrap().to_string();
        assert_eq!(day("2026-11-22T16:59:59Z"), "2026-11-21");
        assert_eq!(day("2026-11-22T17:00:00Z"), "2026-11-22");
        assert_eq!(day("2026-11-23T04:59:59Z"), "2026-11-22");
        let mut current: Day = "2026-02-27".parse().unwrap();
        for _ in 0..400 {
            let after = next(&current).unwrap();
            let noon = noon(&after).unwrap();
            assert_eq!((day_at(noon).unwrap(), day_at(noon - 1).unwrap()), (after.clone(), current));
            current = after;
        }
    }
}
