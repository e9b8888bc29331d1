//! What a log leaves to be done. Pure: depends on plan and log alone.

use std::collections::{BTreeMap, BTreeSet};

use edgemaxx_contract::plan::{Plan, PlannedSession, Side};
use edgemaxx_contract::sample::{
    Attempt, Failure, FailureKind, LaunchOutcome, Log, Outcome, Phase, Record, RecordedSession, SessionEnd,
    SessionStatus, Stop,
};

use crate::steady::is_steady;

/// A candidate is stopped after this many of its sessions were aborted.
pub(crate) const MAX_ABORTED: usize = 2;

/// A request to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Position of the pair in its session.
    pub(crate) pair: u32,
    /// Which sides, in order: both, or the one that is missing.
    pub(crate) sides: [Option<Side>; 2],
}

impl Missing {
    /// Whether the other side was measured in an earlier launch.
    pub(crate) fn split(&self) -> bool {
        self.sides[1].is_none()
    }
}

/// A session to be launched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Todo {
    /// Index of the session.
    pub(crate) session: u32,
    /// Number of the launch.
    pub(crate) launch: u32,
    /// What is missing, in the plan's order.
    pub(crate) missing: Vec<Missing>,
}

impl Todo {
    /// Whether anything is to be asked of any of `sides`.
    pub(crate) fn asks(&self, sides: &[Side]) -> bool {
        self.missing.iter().flat_map(|missing| missing.sides).flatten().any(|side| sides.contains(&side))
    }
}

/// Whether a failure leaves its engine unusable.
pub(crate) fn is_fatal(failure: &Failure) -> bool {
    !matches!(failure.kind, FailureKind::Refused | FailureKind::Answer)
}

/// Requests of a session not yet made. A pair whose one side failed cannot be completed: its
/// other side is not asked.
fn missing(planned: &PlannedSession, recorded: &RecordedSession<'_>) -> Vec<Missing> {
    let failed = |attempt: &Attempt| matches!(attempt.outcome, Outcome::Failed(_));
    (0u32..)
        .zip(&planned.pairs)
        .filter_map(|(pair, order)| {
            let [first, second] = Side::both_from(order.first);
            let sides = match (recorded.measured(pair, first), recorded.measured(pair, second)) {
                (None, None) => [Some(first), Some(second)],
                (Some(done), None) if !failed(done) => [Some(second), None],
                (None, Some(done)) if !failed(done) => [Some(first), None],
                _ => return None,
            };
            Some(Missing { pair, sides })
        })
        .collect()
}

/// Number of the last launch recorded, and how many there were: one more than it.
fn launches(recorded: &RecordedSession<'_>) -> u32 {
    let numbers =
        recorded.launches.iter().map(|l| l.launch).chain(recorded.attempts.iter().map(|a| a.launch));
    numbers.max().map_or(0, |last| last + 1)
}

/// Whether the candidate's process failed in the session's last launch.
fn candidate_failed(recorded: &RecordedSession<'_>) -> bool {
    let Some(last) = launches(recorded).checked_sub(1) else { return false };
    let launch = recorded.launches.iter().any(|l| {
        l.launch == last && l.side == Side::Candidate && matches!(l.outcome, LaunchOutcome::Failed(_))
    });
    let attempt = recorded.attempts.iter().any(|a| {
        let fatal = matches!(&a.outcome, Outcome::Failed(failure) if is_fatal(failure));
        a.launch == last && a.side == Side::Candidate && fatal
    });
    launch || attempt
}

/// Whether in every launch each process was steady before its first measured request.
pub(crate) fn was_steady(plan: &Plan, recorded: &RecordedSession<'_>) -> bool {
    (0..launches(recorded)).all(|launch| {
        [Side::Baseline, Side::Candidate].into_iter().all(|side| {
            let own = || recorded.attempts.iter().filter(move |a| a.launch == launch && a.side == side);
            let measured = own().any(|a| matches!(a.phase, Phase::Measured { .. }));
            let warmups: Vec<&Attempt> =
                own().filter(|a| matches!(a.phase, Phase::Warmup { .. })).copied().collect();
            !measured || warm(plan, &latencies(&warmups))
        })
    })
}

/// Whether warm-up may end for a process with these latencies.
pub(crate) fn warm(plan: &Plan, latencies: &[u64]) -> bool {
    latencies.len() >= plan.measurement.warmup_min as usize && is_steady(latencies)
}

fn latencies(attempts: &[&Attempt]) -> Vec<u64> {
    attempts
        .iter()
        .filter_map(|attempt| match &attempt.outcome {
            Outcome::Answered { latency_ns, .. } => Some(*latency_ns),
            Outcome::Failed(_) => None,
        })
        .collect()
}

/// A record that follows from the log and was not written, because the process was killed before,
/// or because a session has just ended.
pub(crate) fn due(plan: &Plan, log: &Log) -> Option<Record> {
    let sessions = log.sessions(plan);
    for (planned, recorded) in plan.sessions.iter().zip(&sessions) {
        if recorded.end.is_some() || launches(recorded) == 0 {
            continue;
        }
        let status = if candidate_failed(recorded) {
            SessionStatus::Aborted { side: Side::Candidate }
        } else if missing(planned, recorded).is_empty() {
            SessionStatus::Complete
        } else {
            continue;
        };
        return Some(Record::Session(SessionEnd {
            session: planned.index,
            status,
            baseline_peak_rss_bytes: None,
            candidate_peak_rss_bytes: None,
            steady: was_steady(plan, recorded),
        }));
    }
    plan.candidates().iter().find_map(|candidate| {
        let own = || plan.sessions.iter().zip(&sessions).filter(|(p, _)| p.candidate == candidate.name);
        let aborted = own()
            .filter(|(_, r)| r.end.is_some_and(|e| matches!(e.status, SessionStatus::Aborted { .. })))
            .count();
        if aborted < MAX_ABORTED {
            return None;
        }
        let reason = format!("{aborted} of its sessions were aborted because its process failed");
        stop(plan, log, &candidate.name, reason).map(Record::Stop)
    })
}

/// The end of a candidate; `None` if it was stopped before, or nothing of it is left to run.
pub(crate) fn stop(plan: &Plan, log: &Log, candidate: &str, reason: String) -> Option<Stop> {
    let sessions = log.sessions(plan);
    let (done, left): (Vec<_>, Vec<_>) = plan
        .sessions
        .iter()
        .filter(|planned| planned.candidate == candidate)
        .partition(|planned| sessions[planned.index as usize].end.is_some());
    if left.is_empty() || is_stopped(log, candidate) {
        return None;
    }
    let (after_sessions, sessions_saved) = (done.len() as u32, left.len() as u32);
    Some(Stop { candidate: candidate.to_owned(), after_sessions, reason, sessions_saved, beaten_by: None })
}

fn is_stopped(log: &Log, candidate: &str) -> bool {
    log.stops().any(|stop| stop.candidate == candidate)
}

/// The next session to be launched.
pub(crate) fn next(plan: &Plan, log: &Log) -> Option<Todo> {
    let sessions = log.sessions(plan);
    let stopped: BTreeSet<&str> = log.stops().map(|stop| stop.candidate.as_str()).collect();
    plan.sessions.iter().zip(&sessions).find_map(|(planned, recorded)| {
        if recorded.end.is_some() || stopped.contains(planned.candidate.as_str()) {
            return None;
        }
        let missing = missing(planned, recorded);
        Some(Todo { session: planned.index, launch: launches(recorded), missing })
    })
}

/// Measured time in the log: `started_ns` begins anew with each execution of `measure`, so the
/// last moment of each execution is summed.
pub(crate) fn spent_ns(log: &Log) -> u64 {
    let mut executions: BTreeMap<u32, u64> = BTreeMap::new();
    let (mut execution, mut last) = (0, 0);
    for record in &log.records {
        let Record::Attempt(attempt) = record else { continue };
        if attempt.started_ns < last {
            execution += 1;
        }
        last = attempt.started_ns;
        let latency = match &attempt.outcome {
            Outcome::Answered { latency_ns, .. } => *latency_ns,
            Outcome::Failed(_) => 0,
        };
        executions.insert(execution, last.saturating_add(latency));
    }
    executions.values().fold(0, |sum, end| sum.saturating_add(*end))
}

#[cfg(test)]
pub(crate) mod recount {
    use super::*;
    use crate::observe::Progress;

    /// How far a log is, counted anew from all of it.
    pub(crate) fn progress(plan: &Plan, log: &Log) -> Progress {
        let mut progress = Progress::default();
        for (planned, recorded) in plan.sessions.iter().zip(&log.sessions(plan)) {
            let pairs = planned.pairs.len() as u32;
            let done = recorded.end.is_some() || is_stopped(log, &planned.candidate);
            progress.sessions_total += 1;
            progress.pairs_total += pairs;
            progress.sessions_done += u32::from(done);
            progress.pairs_done += if done { pairs } else { pairs - missing(planned, recorded).len() as u32 };
        }
        progress
    }
}
