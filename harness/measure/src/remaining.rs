//! What a log leaves to be done. Pure: depends on plan and log alone.

use std::collections::{BTreeMap, BTreeSet};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::{Plan, PlannedSession, Side, turns};
use edgemaxx_contract::sample::{
    Block, Blocks, Failure, FailureKind, LaunchOutcome, Log, Outcome, Record, RecordedSession, ScoresOutcome,
    SessionEnd, SessionStatus, Stop,
};

use crate::steady::was_steady;

/// A candidate is stopped after this many of its sessions were aborted.
pub(crate) const MAX_ABORTED: usize = 2;

/// Whose process, by where it is recorded: the session's index, and the side of it.
pub(crate) type Member = (u32, Side);

/// A request to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Position of the pair in its session.
    pub(crate) pair: u32,
    /// Of whom, in order, and whether the other side was measured in an earlier launch.
    pub(crate) members: Vec<(Member, bool)>,
}

/// A session to be launched, or a block of sessions that share their baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Todo {
    /// Indices of the sessions; the first one carries the baseline.
    pub(crate) sessions: Vec<u32>,
    /// Number of the launch.
    pub(crate) launch: u32,
    /// What is missing, in the plan's order.
    pub(crate) missing: Vec<Missing>,
}

impl Todo {
    /// Whether anything is to be asked of any of `members`.
    pub(crate) fn asks(&self, members: &[Member]) -> bool {
        self.missing.iter().flat_map(|missing| &missing.members).any(|(member, _)| members.contains(member))
    }
}

/// Whether a failure leaves its engine unusable.
pub(crate) fn is_fatal(failure: &Failure) -> bool {
    !matches!(failure.kind, FailureKind::Refused | FailureKind::Answer)
}

/// How many pairs of a session are not yet asked of both sides.
fn open(planned: &PlannedSession, recorded: &RecordedSession<'_>) -> u32 {
    (0..planned.pairs.len() as u32).map(|pair| u32::from(recorded.is_open(pair))).sum()
}

/// Requests not yet made of sessions that are launched together, of those that have no end.
fn missing(plan: &Plan, sessions: &[u32], recorded: &[RecordedSession<'_>]) -> Vec<Missing> {
    let of = |session: u32| &recorded[session as usize];
    let left: Vec<u32> = sessions.iter().copied().filter(|&session| of(session).end.is_none()).collect();
    let pairs = plan.sessions[sessions[0] as usize].pairs.len() as u32;
    let member = |pair: u32, (session, side): Member| {
        let asked = |session: u32, side: Side| of(session).measured(pair, side).is_some();
        let sharing: &[u32] = if side == Side::Baseline { sessions } else { &[session] };
        let is_due = |other: &u32| left.contains(other) && of(*other).is_open(pair);
        let due = !asked(session, side) && sharing.iter().any(is_due);
        due.then(|| ((session, side), sharing.iter().any(|&other| asked(other, side.other()))))
    };
    let of_pair = |pair: u32| Missing {
        pair,
        members: turns(plan, sessions, Some(pair))
            .into_iter()
            .filter_map(|turn| member(pair, turn))
            .collect(),
    };
    (0..pairs).map(of_pair).filter(|missing| !missing.members.is_empty()).collect()
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

/// Whether the baseline went through a whole session beside another candidate than this one.
pub(crate) fn baseline_answers_beside_others(plan: &Plan, log: &Log, candidate: &str) -> bool {
    let sessions = log.sessions(plan);
    plan.sessions.iter().zip(&sessions).any(|(planned, recorded)| {
        let complete = recorded.end.is_some_and(|end| end.status == SessionStatus::Complete);
        planned.candidate != candidate && complete
    })
}

/// A record that follows from the log and was not written, because the process was killed before,
/// or because a session has just ended.
pub fn due(plan: &Plan, log: &Log) -> Option<Record> {
    let sessions = log.sessions(plan);
    for (planned, recorded) in plan.sessions.iter().zip(&sessions) {
        if recorded.end.is_some() || launches(recorded) == 0 {
            continue;
        }
        let status = if candidate_failed(recorded) {
            SessionStatus::Aborted { side: Side::Candidate }
        } else if open(planned, recorded) == 0 {
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
    if plan.is_shared() && under_way(plan, log).is_none() && block(plan, log).is_none() {
        // Blocks that nobody is left for need no control.
        let control = plan.control()?;
        let reason = "no candidate is left to be measured beside it".to_owned();
        return stop(plan, log, &control.name, reason).map(Record::Stop);
    }
    plan.candidates().iter().find_map(|candidate| {
        let own = || plan.sessions.iter().zip(&sessions).filter(|(p, _)| p.candidate == candidate.name);
        let aborted = own()
            .filter(|(_, r)| r.end.is_some_and(|e| matches!(e.status, SessionStatus::Aborted { .. })))
            .count();
        if aborted < MAX_ABORTED {
            return None;
        }
        let whose = |side| {
            let status = SessionStatus::Aborted { side };
            own().any(|(_, recorded)| recorded.end.is_some_and(|end| end.status == status))
        };
        let who = match (whose(Side::Candidate), whose(Side::Baseline)) {
            (_, false) => "its process",
            (false, true) => "the baseline, beside it alone,",
            (true, true) => "its process, or the baseline, beside it alone,",
        };
        let reason = format!("{aborted} of its sessions were aborted because {who} failed");
        stop(plan, log, &candidate.name, reason).map(Record::Stop)
    })
}

/// An answer of the baseline about which a side is still to be asked, untimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unscored {
    /// Under which session what it says is recorded.
    pub(crate) session: u32,
    /// Position of the pair in its session.
    pub(crate) pair: u32,
    /// What was asked.
    pub(crate) request: u32,
    /// What the baseline answered.
    pub(crate) answer: Digest,
}

/// About which answers a side is still to be asked for a candidate: those of the candidate's first session for all of whose first
/// pairs the baseline was asked. None once it has failed to say anything of one of them.
pub(crate) fn unscored(plan: &Plan, log: &Log, candidate: &str, side: Side) -> Vec<Unscored> {
    let own = plan.sessions.iter().filter(|planned| planned.candidate == candidate);
    let first = own.map(|planned| (planned, log.session(planned.index))).find_map(|(planned, recorded)| {
        let pairs = recorded.pairs_to_score(plan.scored(planned))?;
        Some((planned, recorded, pairs))
    });
    let Some((planned, recorded, pairs)) = first else { return Vec::new() };
    let said = |pair: u32| recorded.scores_of(pair, side);
    if pairs.iter().any(|(pair, _)| matches!(said(*pair), Some(ScoresOutcome::Failed(_)))) {
        return Vec::new();
    }
    let left = pairs.into_iter().filter(|(pair, _)| said(*pair).is_none());
    let session = recorded.place(planned.index, side);
    left.map(|(pair, answer)| Unscored {
        session,
        pair,
        request: planned.pairs[pair as usize].request,
        answer,
    })
    .collect()
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

/// The block that begins now: none is under way, and candidates are left.
pub(crate) fn block(plan: &Plan, log: &Log) -> Option<Block> {
    if !plan.is_shared() || under_way(plan, log).is_some() {
        return None;
    }
    let mut blocks = Blocks::new(plan);
    log.records.iter().for_each(|record| blocks.add(record));
    blocks.next().map(|sessions| Block { sessions })
}

/// The block under way: one of its sessions has no end, and its candidate was not stopped.
fn under_way(plan: &Plan, log: &Log) -> Option<Vec<u32>> {
    let block = log.records.iter().rev().find_map(|record| match record {
        Record::Block(block) => Some(&block.sessions),
        _ => None,
    })?;
    let ended = |session: &u32| {
        let end = |record: &Record| matches!(record, Record::Session(end) if end.session == *session);
        log.records.iter().rev().any(end)
    };
    let stopped = |session: &u32| is_stopped(log, &plan.sessions[*session as usize].candidate);
    block.iter().any(|session| !ended(session) && !stopped(session)).then(|| block.clone())
}

/// The next session to be launched, or the block that has begun.
pub(crate) fn next(plan: &Plan, log: &Log) -> Option<Todo> {
    next_without(plan, log, None)
}

/// The same, of another candidate than this one.
pub(crate) fn next_without(plan: &Plan, log: &Log, without: Option<&str>) -> Option<Todo> {
    let recorded = log.sessions(plan);
    let stopped: BTreeSet<&str> = log.stops().map(|stop| stop.candidate.as_str()).collect();
    let is_left = |planned: &&PlannedSession| {
        let name = planned.candidate.as_str();
        recorded[planned.index as usize].end.is_none() && !stopped.contains(name) && without != Some(name)
    };
    let sessions = match plan.is_shared() {
        true => under_way(plan, log)?,
        false => vec![plan.sessions.iter().find(is_left)?.index],
    };
    Some(todo(plan, sessions, &recorded))
}

/// What is left of the session, or block, that begins with this one; `None`: it has ended.
pub(crate) fn again(plan: &Plan, log: &Log, session: u32) -> Option<Todo> {
    let recorded = log.sessions(plan);
    let sessions = match plan.is_shared() {
        true => under_way(plan, log)?,
        false => vec![session],
    };
    let left = recorded[session as usize].end.is_none() || plan.is_shared();
    left.then(|| todo(plan, sessions, &recorded))
}

fn todo(plan: &Plan, sessions: Vec<u32>, recorded: &[RecordedSession<'_>]) -> Todo {
    let launch = sessions.iter().map(|&session| launches(&recorded[session as usize])).max().unwrap_or(0);
    let missing = missing(plan, &sessions, recorded);
    Todo { sessions, launch, missing }
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
            progress.pairs_done += if done { pairs } else { pairs - open(planned, recorded) };
        }
        progress
    }
}
