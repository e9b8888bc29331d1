//! How `ci` spends its minutes: how long a session takes is told by those that the first second begins, which are measured for
//! this alone.

use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::{Log, Record};
use toml::{Table, Value};

use crate::error::{Result, RunError};

/// Sessions of a plan; what as many cannot tell, more hardly would.
const MOST: u32 = 400;
/// However long one seems to take: a first start may take far longer than the others.
const LEAST: u32 = 40;

/// Minutes in which sessions are begun that tell how long one takes.
pub const PILOT_MINUTES: f64 = 1.0 / 60.0;

/// Of the minutes that are left, those of an attempt: one that may not be the last leaves a quarter.
pub fn attempt_minutes(left: f64, last: bool) -> f64 {
    if last { left } else { 0.75 * left }
}

/// Whether another attempt is begun: a tenth of all minutes must be left.
pub fn is_enough(left: f64, all: f64) -> bool {
    left >= 0.1 * all
}

/// The contest with so many sessions.
///
/// # Errors
/// The text is no TOML.
pub fn with_sessions(contest: &str, sessions: u32) -> Result<String> {
    let bad =
        |error: &dyn std::fmt::Display| RunError::input(format!("the contest of both versions: {error}"));
    let mut contest = contest.parse::<Table>().map_err(|error| bad(&error))?;
    let measurement = contest.entry("measurement").or_insert_with(|| Table::new().into());
    if let Value::Table(measurement) = measurement {
        measurement.insert("sessions".to_owned(), sessions.into());
    }
    toml::to_string(&contest).map_err(|error| bad(&error))
}

/// Seconds that a session of everybody takes, as far as the log tells: from the first launch to the last answer.
pub fn seconds_each(plan: &Plan, log: &Log) -> f64 {
    let ends = log.records.iter().filter_map(|record| match record {
        Record::Attempt(attempt) => Some(attempt.started_ns + attempt.outcome.latency_ns().unwrap_or(0)),
        _ => None,
    });
    let ended = log.records.iter().filter(|record| matches!(record, Record::Session(_))).count().max(1);
    ends.max().unwrap_or(0) as f64 / 1e9 * plan.candidates().len() as f64 / ended as f64
}

/// How many sessions of `each` seconds to plan for `minutes`, and no fewer than `least` or 40. A plan that is as long as the time
/// looks no more often than it must, and every look costs the others precision.
pub fn sessions_within(minutes: f64, each: f64, least: u32) -> u32 {
    let sessions = if each > 0.0 { minutes * 60.0 / each } else { f64::INFINITY };
    (sessions.min(f64::from(MOST)) as u32).max(least).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_as_long_as_the_time() {
        assert_eq!(sessions_within(10.0, 3.0, 4), 200);
        assert_eq!((sessions_within(10.0, 0.1, 4), sessions_within(10.0, 0.0, 4)), (400, 400));
        assert_eq!((sessions_within(1.0, 60.0, 4), sessions_within(0.0, 1.0, 500)), (40, 500));
    }

    #[test]
    fn a_contest_has_the_sessions_it_is_given() {
        for text in ["name = \"a\"\n", "name = \"a\"\n[measurement]\nsessions = 3\npairs = 2\n"] {
            let changed: Table = with_sessions(text, 7).unwrap().parse().unwrap();
            assert_eq!(changed["measurement"]["sessions"].as_integer(), Some(7));
            assert_eq!(changed["name"].as_str(), Some("a"));
        }
        assert!(with_sessions("name = ", 7).is_err());
    }
}
