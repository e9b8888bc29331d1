//! How long an answer is waited for.

use edgemaxx_contract::contest::Timeouts;
use edgemaxx_contract::plan::Side;
use edgemaxx_contract::sample::{Log, Outcome, Record};

/// A candidate that takes longer than this many times the baseline's longest answer so far has
/// lost, whatever its answer.
const TIMES: f64 = 2.0;
/// No candidate is given up earlier: a single answer may meet a busy machine.
const FLOOR_S: f64 = 30.0;

/// Knows how long answers take. Depends on the log alone, so that a resumed run waits as long.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    /// The contest's limit, seconds.
    most_s: f64,
    /// The baseline's longest answer so far, seconds.
    longest_s: Option<f64>,
}

impl Patience {
    /// What a log teaches.
    pub(crate) fn of(timeouts: Timeouts, log: &Log) -> Self {
        let mut patience = Self { most_s: timeouts.request_s, longest_s: None };
        log.records.iter().for_each(|record| patience.add(record));
        patience
    }

    /// One more record of the log.
    pub(crate) fn add(&mut self, record: &Record) {
        if let Record::Attempt(attempt) = record
            && attempt.side == Side::Baseline
            && let Outcome::Answered { latency_ns, .. } = attempt.outcome
        {
            let seconds = latency_ns as f64 / 1e9;
            self.longest_s = Some(self.longest_s.map_or(seconds, |longest| longest.max(seconds)));
        }
    }

    /// Seconds that a side's next answer may take.
    pub(crate) fn seconds(&self, side: Side) -> f64 {
        match (side, self.longest_s) {
            (Side::Candidate, Some(longest)) => (TIMES * longest).max(FLOOR_S).min(self.most_s),
            _ => self.most_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_get_twice_the_baselines_worst_and_never_more_than_the_contest_allows() {
        let with = |longest_s, most_s| Patience { most_s, longest_s };
        assert_eq!(with(None, 120.0).seconds(Side::Candidate), 120.0, "nothing is known yet");
        assert_eq!(with(Some(2.0), 120.0).seconds(Side::Candidate), 30.0);
        assert_eq!(with(Some(20.0), 120.0).seconds(Side::Candidate), 40.0);
        assert_eq!(with(Some(90.0), 120.0).seconds(Side::Candidate), 120.0);
        assert_eq!(with(Some(2.0), 10.0).seconds(Side::Candidate), 10.0);
        assert_eq!(with(Some(2.0), 120.0).seconds(Side::Baseline), 120.0);
    }
}
