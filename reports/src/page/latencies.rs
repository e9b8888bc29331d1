//! What was timed, read off the log by candidate and session.

use std::collections::BTreeMap;

use edgemaxx_contract::plan::{Plan, Side};
use edgemaxx_contract::sample::{Attempt, Log, Mark, Outcome, Phase, RecordedSession};

use crate::plot::{SessionLatencies, TimedAnswer};

/// What was recorded of one candidate.
#[derive(Debug, Default)]
pub(crate) struct CandidateLatencies {
    /// Its sessions in the order of execution, those begun only.
    pub sessions: Vec<SessionLatencies>,
    /// Sessions planned.
    pub planned: u32,
}

impl CandidateLatencies {
    /// Measured latencies of one side, milliseconds, in order.
    pub(crate) fn latencies(&self, candidate: bool) -> Vec<f64> {
        let latencies = self.sessions.iter().flat_map(|s| &s.timed);
        latencies.filter(|s| !s.warmup && s.candidate == candidate).map(|s| s.latency_ms).collect()
    }

    /// Units and whole latency, milliseconds, of the measured answers of one side.
    pub(crate) fn answers(&self, candidate: bool) -> Vec<(f64, f64)> {
        let answers = self.sessions.iter().flat_map(|session| &session.answers);
        answers.filter(|(side, _)| *side == candidate).map(|(_, answer)| *answer).collect()
    }

    /// Requests answered, throttled ones among them, failed requests.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let latencies = || self.sessions.iter().flat_map(|s| &s.timed);
        let failed = self.sessions.iter().map(|s| s.failures.len()).sum();
        (latencies().count(), latencies().filter(|s| s.throttled).count(), failed)
    }
}

/// Sorts the log by candidate.
pub(crate) fn by_candidate<'a>(plan: &'a Plan, log: &Log) -> BTreeMap<&'a str, CandidateLatencies> {
    let mut candidates: BTreeMap<&str, CandidateLatencies> = BTreeMap::new();
    for (planned, recorded) in plan.sessions.iter().zip(log.sessions(plan)) {
        let candidate = candidates.entry(&planned.candidate).or_default();
        candidate.planned += 1;
        if !recorded.launches.is_empty() || !recorded.attempts.is_empty() {
            candidate.sessions.push(session(&recorded));
        }
    }
    candidates
}

fn session(recorded: &RecordedSession<'_>) -> SessionLatencies {
    let mut session = SessionLatencies::default();
    let mut attempts: Vec<&Attempt> = recorded.attempts.clone();
    attempts.retain(|a| !matches!(a.phase, Phase::Repeat { .. }));
    // Warm-up first, so that it can be shaded; otherwise in order of time.
    attempts.sort_by_key(|a| (a.launch, matches!(a.phase, Phase::Measured { .. }), a.started_ns));
    let mut pairs: BTreeMap<u32, [Option<f64>; 2]> = BTreeMap::new();
    for attempt in attempts {
        let Some(unit_ns) = attempt.outcome.unit_ns() else {
            session.failures.push(session.timed.len());
            continue;
        };
        let candidate = attempt.side == Side::Candidate;
        let latency_ms = unit_ns / 1e6;
        if let Phase::Measured { pair } = attempt.phase {
            pairs.entry(pair).or_default()[usize::from(candidate)] = Some(latency_ms);
        }
        if let (Outcome::Answered { latency_ns, units, .. }, Phase::Measured { .. }) =
            (&attempt.outcome, attempt.phase)
        {
            session.answers.push((candidate, (f64::from(*units), *latency_ns as f64 / 1e6)));
        }
        session.timed.push(TimedAnswer {
            candidate,
            latency_ms,
            warmup: matches!(attempt.phase, Phase::Warmup { .. }),
            throttled: attempt.marks.contains(&Mark::Throttled),
        });
    }
    session.ratios = pairs
        .into_values()
        .filter_map(|[baseline, candidate]| Some(baseline? / candidate?))
        .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
        .collect();
    session
}
