//! How long a candidate takes from spawn to ready.

use edgemaxx_contract::estimate::HonestyVerdict;
use edgemaxx_contract::plan::Side;
use edgemaxx_contract::sample::LaunchOutcome;

use super::{Sessions, unknown};
use crate::estimators::quantiles::Sorted;

/// Loading longer than this many times the baseline's, and than so many milliseconds more.
const LONG_LOAD: (f64, f64) = (10.0, 10_000.0);

/// Loading is not scored; requests are unknown then, so that only preparation can be hidden in it.
pub(super) fn check(sessions: &Sessions<'_>) -> (HonestyVerdict, String) {
    let median = |side: Side| {
        let launches = sessions.iter().flat_map(|(_, recorded)| &recorded.launches);
        let ms = launches.filter(|launch| launch.side == side).filter_map(|launch| match launch.outcome {
            LaunchOutcome::Ready { launch_ns, load_ns, .. } => Some((launch_ns + load_ns) as f64 / 1e6),
            LaunchOutcome::Failed(_) => None,
        });
        Sorted::new(ms.collect()).quantile(0.5)
    };
    let (Some(own), Some(theirs)) = (median(Side::Candidate), median(Side::Baseline)) else {
        return unknown("it was never loaded");
    };
    let (times, more_ms) = LONG_LOAD;
    let long = own > theirs * times && own > theirs + more_ms;
    let verdict = if long { HonestyVerdict::Doubtful } else { HonestyVerdict::Passed };
    (verdict, format!("{:.2} s from spawn to ready (baseline {:.2} s)", own / 1e3, theirs / 1e3))
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::sample::{EngineInfo, Launch, RecordedSession};

    use super::*;
    use crate::stages::honesty::tests::some_plan;

    /// What is said of launches that took so many milliseconds from spawn to ready, half of them for loading.
    fn loads(times: &[(Side, u64)]) -> (HonestyVerdict, String) {
        let run = some_plan();
        let launch = |&(side, ms): &(Side, u64)| {
            let engine = EngineInfo { name: "by hand".to_owned(), version: String::new() };
            let outcome = LaunchOutcome::Ready { launch_ns: ms * 250_000, load_ns: ms * 750_000, engine };
            Launch { session: 0, launch: 0, side, outcome }
        };
        let all: Vec<Launch> = times.iter().map(launch).collect();
        let recorded = RecordedSession { launches: all.iter().collect(), ..RecordedSession::default() };
        check(&vec![(&run.plan.sessions[0], &recorded)])
    }

    #[test]
    fn loading_is_long_by_both_measures_together() {
        use HonestyVerdict::{Doubtful, Passed, Unknown};
        let (own, theirs) = (Side::Candidate, Side::Baseline);
        for (times, verdict, words) in [
            (vec![(own, 500), (theirs, 1000)], Passed, "0.50 s from spawn to ready (baseline 1.00 s)"),
            // More than ten times, and more than ten seconds more.
            (vec![(own, 20_000), (theirs, 2_000)], Passed, "20.00 s"),
            (vec![(own, 20_001), (theirs, 2_000)], Doubtful, "20.00 s"),
            (vec![(own, 10_500), (theirs, 500)], Passed, "10.50 s"),
            (vec![(own, 10_501), (theirs, 500)], Doubtful, "10.50 s"),
            (vec![(own, 9_000), (theirs, 100)], Passed, "9.00 s"),
            (vec![(own, 30_000), (theirs, 15_000)], Passed, "30.00 s"),
            // Medians: one slow launch is no habit.
            (vec![(own, 500), (own, 60_000), (own, 700), (theirs, 1000)], Passed, "0.70 s"),
            (vec![(own, 500)], Unknown, "it was never loaded"),
            (vec![(theirs, 500)], Unknown, "it was never loaded"),
        ] {
            let (found, said) = loads(&times);
            assert_eq!(found, verdict, "{times:?}: {said}");
            assert!(said.contains(words), "{times:?}: {said}");
        }
    }
}
