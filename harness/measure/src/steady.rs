//! When a process is warm.

use std::collections::BTreeSet;

use edgemaxx_contract::plan::{Plan, Side};
use edgemaxx_contract::sample::{Attempt, Outcome, Phase, RecordedSession};

/// A later latency may be above the one before it by this fraction.
pub const STEADY_RISE: f64 = 0.05;
/// A later latency may be below the one before it by this fraction: less, because a process that
/// still gets faster is not warm.
pub const STEADY_FALL: f64 = 0.02;

/// Whether a process is steady after these warm-up latencies of one kind of request (nanoseconds, in order): the last one
/// is within [`STEADY_RISE`] above and [`STEADY_FALL`] below the one before it. What came earlier,
/// such as a cold start, does not matter. Callers ask for the plan's `warmup_min` too.
pub fn is_steady(latencies: &[f64]) -> bool {
    let [.., previous, last] = latencies else { return false };
    let ratio = last / previous.max(1.0);
    (1.0 - STEADY_FALL..=1.0 + STEADY_RISE).contains(&ratio)
}

/// Whether in every launch each process was steady before its first measured request.
pub(crate) fn was_steady(plan: &Plan, recorded: &RecordedSession<'_>) -> bool {
    let launches: BTreeSet<u32> = recorded.attempts.iter().map(|attempt| attempt.launch).collect();
    launches.into_iter().all(|launch| {
        [Side::Baseline, Side::Candidate].into_iter().all(|side| {
            let own = || recorded.attempts.iter().filter(move |a| a.launch == launch && a.side == side);
            let measured = own().any(|a| matches!(a.phase, Phase::Measured { .. }));
            let warmups: Vec<&Attempt> =
                own().filter(|a| matches!(a.phase, Phase::Warmup { .. })).copied().collect();
            !measured || warm(plan, &warmth(plan, &warmups))
        })
    })
}

/// A warm-up request that was answered: its kind, and its latency, of each unit where an answer has several.
pub(crate) type Warmth<'a> = (Option<&'a str>, f64);

/// Whether warm-up may end for a process after these requests: those of each kind became steady.
pub(crate) fn warm(plan: &Plan, answered: &[Warmth<'_>]) -> bool {
    let steady = |kind: Option<&str>| {
        let own: Vec<f64> = answered.iter().filter(|(of, _)| *of == kind).map(|(_, ns)| *ns).collect();
        is_steady(&own)
    };
    let kinds: BTreeSet<Option<&str>> = answered.iter().map(|(kind, _)| *kind).collect();
    answered.len() >= plan.measurement.warmup_min as usize
        && !kinds.is_empty()
        && kinds.into_iter().all(steady)
}

/// What a request's outcome says of how warm its process is; `None`: it failed.
pub(crate) fn warmth_of<'a>(plan: &'a Plan, request: u32, outcome: &Outcome) -> Option<Warmth<'a>> {
    let kind = plan.requests.get(request as usize).and_then(|request| plan.task.kind(&request.ask));
    outcome.unit_ns().map(|ns| (kind, ns))
}

fn warmth<'a>(plan: &'a Plan, attempts: &[&Attempt]) -> Vec<Warmth<'a>> {
    attempts.iter().filter_map(|attempt| warmth_of(plan, attempt.request, &attempt.outcome)).collect()
}

#[cfg(test)]
mod tests {
    use super::is_steady;

    #[test]
    fn needs_two_alike_and_no_fall() {
        assert!(!is_steady(&[]));
        assert!(!is_steady(&[100.0]));
        assert!(is_steady(&[100.0, 104.0]));
        assert!(is_steady(&[100.0, 98.0]));
        assert!(!is_steady(&[100.0, 97.0]), "still getting faster");
        assert!(!is_steady(&[100.0, 106.0]));
        assert!(!is_steady(&[300.0, 100.0]), "a cold start");
        assert!(is_steady(&[300.0, 100.0, 101.0]), "over");
        assert!(!is_steady(&[0.0, 5.0]));
    }
}
