//! What a candidate's processes do while nothing is asked of them, on the processors.

use edgemaxx_contract::estimate::HonestyVerdict;
use edgemaxx_contract::plan::Side;

use super::{Sessions, unknown};

/// More of a core than this in time that belongs to the other side is work left running.
const DOUBTFUL_BUSY: f64 = 0.1;
/// As much as this no runtime's habit of waiting actively explains; PROTOCOL.md forbids it.
const FAILED_BUSY: f64 = 0.5;
/// As much as this of a core, used by neither an engine nor the harness, might be an engine's all the same.
const UNEXPLAINED: f64 = DOUBTFUL_BUSY;
/// Idle time below which nothing can be said, nanoseconds.
const MIN_WAITED_NS: u64 = 100_000_000;

/// What a process does while the other side is asked slows the other side down.
pub(super) fn check(sessions: &Sessions<'_>) -> (HonestyVerdict, String) {
    let of = |side: Side| {
        let idle = sessions.iter().flat_map(|(_, recorded)| &recorded.idle);
        idle.filter(move |idle| idle.side == side)
    };
    let share = |side: Side| {
        let (waited, busy) =
            of(side).fold((0, 0), |(waited, busy), idle| (waited + idle.waited_ns, busy + idle.busy_ns));
        (waited >= MIN_WAITED_NS).then(|| busy as f64 / waited as f64)
    };
    let Some(own) = share(Side::Candidate) else { return unknown("processor time was not recorded") };
    let theirs =
        share(Side::Baseline).map_or_else(|| "—".to_owned(), |share| format!("{:.1}%", 100.0 * share));
    let words = format!("busy {:.1}% of one core while nothing was asked (baseline {theirs})", 100.0 * own);
    if own >= FAILED_BUSY {
        return (HonestyVerdict::Failed, words);
    }
    if own >= DOUBTFUL_BUSY {
        return (HonestyVerdict::Doubtful, words);
    }
    // Who hides his work from his account leaves it in the machine's.
    let others: Option<u64> = of(Side::Candidate).map(|idle| idle.others_ns).sum();
    let waited: u64 = of(Side::Candidate).map(|idle| idle.waited_ns).sum();
    match others.map(|others| others as f64 / waited as f64) {
        Some(share) if share < UNEXPLAINED => (HonestyVerdict::Passed, words),
        Some(share) => unknown(&format!(
            "{words}; the machine was busy {:.1}% of one core meanwhile with what is neither an engine's nor the \
             harness's work",
            100.0 * share
        )),
        None => unknown(&format!("{words}; what else the machine did is not known")),
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::sample::{Idle, RecordedSession};

    use super::*;
    use crate::stages::honesty::tests::some_plan;

    /// What is said of sessions with such idle times: side, milliseconds waited, busy, and of others.
    fn idles(times: &[(Side, u64, u64, Option<u64>)]) -> (HonestyVerdict, String) {
        let run = some_plan();
        let ns = 1_000_000;
        let idle = |&(side, waited, busy, others): &(Side, u64, u64, Option<u64>)| Idle {
            session: 0,
            launch: 0,
            side,
            waited_ns: waited * ns,
            busy_ns: busy * ns,
            others_ns: others.map(|others| others * ns),
        };
        let all: Vec<Idle> = times.iter().map(idle).collect();
        let recorded = RecordedSession { idle: all.iter().collect(), ..RecordedSession::default() };
        check(&vec![(&run.plan.sessions[0], &recorded)])
    }

    #[test]
    fn work_in_the_others_time_is_told_by_its_share_of_a_core() {
        use HonestyVerdict::{Doubtful, Failed, Passed, Unknown};
        let own = Side::Candidate;
        for (times, verdict, words) in [
            (
                vec![(own, 1000, 0, Some(0))],
                Passed,
                "busy 0.0% of one core while nothing was asked (baseline —)",
            ),
            (vec![(own, 1000, 99, Some(0))], Passed, "busy 9.9%"),
            (vec![(own, 1000, 100, Some(0))], Doubtful, "busy 10.0%"),
            (vec![(own, 1000, 499, Some(0))], Doubtful, "busy 49.9%"),
            (vec![(own, 1000, 500, Some(0))], Failed, "busy 50.0%"),
            // Sessions are taken together.
            (vec![(own, 1000, 300, Some(0)), (own, 3000, 0, Some(0))], Passed, "busy 7.5%"),
            // A tenth of a second is enough, and less is not.
            (vec![(own, 100, 60, Some(0))], Failed, "busy 60.0%"),
            (vec![(own, 99, 60, Some(0))], Unknown, "processor time was not recorded"),
            (vec![], Unknown, "processor time was not recorded"),
            // What the other side does is no reproach.
            (
                vec![(own, 1000, 0, Some(0)), (Side::Baseline, 2000, 1800, Some(0))],
                Passed,
                "(baseline 90.0%)",
            ),
            // Work in nobody's account, or an account that nobody kept.
            (vec![(own, 1000, 0, Some(99))], Passed, "busy 0.0%"),
            (
                vec![(own, 1000, 0, Some(100))],
                Unknown,
                "; the machine was busy 10.0% of one core meanwhile with what is neither an engine's nor the harness's work",
            ),
            (vec![(own, 1000, 0, Some(150)), (own, 1000, 0, Some(0))], Passed, "busy 0.0%"),
            (
                vec![(own, 1000, 0, Some(0)), (own, 1000, 0, None)],
                Unknown,
                "what else the machine did is not known",
            ),
            (vec![(own, 1000, 0, Some(0)), (Side::Baseline, 1000, 0, None)], Passed, "busy 0.0%"),
        ] {
            let (found, said) = idles(&times);
            assert_eq!(found, verdict, "{times:?}: {said}");
            assert!(said.contains(words), "{times:?}: {said}");
        }
    }
}
