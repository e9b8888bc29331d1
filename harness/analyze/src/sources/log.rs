//! `samples.jsonl` of a run, with the `plan.json` that says which session measured whom.

use std::collections::BTreeSet;
use std::path::Path;

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{Plan, PlannedSession};
use edgemaxx_contract::run_files::PLAN_FILE;
use edgemaxx_contract::sample::{Attempt, Log, Mark, Phase, RecordedSession};
use edgemaxx_contract::utf8::text_of;

use super::error::SourceError;
use crate::samples::{CandidateSamples, Pair, SampleTable, Session};

pub(super) fn read(path: &Path, baseline: Option<&str>) -> Result<SampleTable, SourceError> {
    let text = |path: &Path| {
        let bytes =
            std::fs::read(path).map_err(|source| SourceError::Read { path: path.to_owned(), source })?;
        let text = text_of(&bytes).map(str::to_owned);
        text.map_err(|error| SourceError::Nothing { path: path.to_owned(), problem: error.to_string() })
    };
    let plan_path = path.with_file_name(PLAN_FILE);
    let plan = Plan::from_json(&text(&plan_path)?)
        .map_err(|source| SourceError::Plan { path: plan_path.clone(), source })?;
    plan.check().map_err(|problem| SourceError::Nothing { path: plan_path, problem })?;
    let log = Log::parse_for(&text(path)?, &plan)
        .map_err(|source| SourceError::Log { path: path.to_owned(), source })?;
    let name = &plan.baseline().name;
    if let Some(other) = baseline.filter(|other| other != name) {
        return Err(SourceError::Baseline {
            path: path.to_owned(),
            name: other.to_owned(),
            known: format!("{name} (in a run, every pair has the plan's baseline on one side)"),
        });
    }
    let mut table = from_log(&plan, &log);
    table.doubt_what_is_missing();
    if table.candidates.iter().all(|candidate| candidate.sessions.is_empty()) {
        let problem = "no complete pair; both sides of a pair must have answered".to_owned();
        return Err(SourceError::Nothing { path: path.to_owned(), problem });
    }
    Ok(table)
}

/// The complete pairs of a log, for every candidate of the plan in its order; a candidate
/// without any has no sessions. Pairs are in the order in which they were measured. Sessions of one
/// candidate in one round, as the control has them where candidates share a baseline, are one.
pub fn from_log(plan: &Plan, log: &Log) -> SampleTable {
    let recorded = log.sessions(plan);
    let stopped: BTreeSet<&str> = log.stops().map(|stop| stop.candidate.as_str()).collect();
    let candidates = plan.candidates().iter().map(|candidate| {
        let own = plan.sessions.iter().filter(|session| session.candidate == candidate.name);
        let begun: Vec<_> = own
            .filter_map(|planned| Some((planned, recorded.get(planned.index as usize)?)))
            .filter(|(_, recorded)| !recorded.launches.is_empty() || !recorded.attempts.is_empty())
            .collect();
        let mut sessions: Vec<Session> = Vec::new();
        for session in begun.iter().filter_map(|(planned, recorded)| session_from_log(planned, recorded)) {
            match sessions.last_mut().filter(|last| last.key == session.key) {
                Some(last) => last.pairs.extend(session.pairs),
                None => sessions.push(session),
            }
        }
        let mut samples = CandidateSamples::whole(candidate.name.clone(), sessions);
        // Who was stopped is expected to have done what he began, everybody else all of it.
        let due = |planned: &&PlannedSession| {
            let begun = || begun.iter().any(|(begun, _)| begun.index == planned.index);
            planned.candidate == candidate.name && (!stopped.contains(candidate.name.as_str()) || begun())
        };
        samples.counted.expected =
            plan.sessions.iter().filter(due).map(|planned| planned.pairs.len() as u64).sum();
        let asked: u64 = begun.iter().map(|(_, recorded)| pairs_asked(recorded)).sum();
        samples.counted.leave_out(asked.saturating_sub(samples.counted.compared), "failed");
        samples.counted.leave_out(samples.counted.expected.saturating_sub(asked), "not asked");
        samples
    });
    SampleTable {
        baseline: plan.baseline().name.clone(),
        candidates: candidates.collect(),
        warnings: Vec::new(),
        digest: log.chain.head(),
    }
}

/// Pairs of a session of which either side was asked.
fn pairs_asked(recorded: &RecordedSession<'_>) -> u64 {
    let measured = recorded.attempts.iter().filter_map(|attempt| match attempt.phase {
        Phase::Measured { pair } => Some(pair),
        Phase::Warmup { .. } | Phase::Repeat { .. } => None,
    });
    measured.collect::<BTreeSet<u32>>().len() as u64
}

/// The complete pairs of one session; `None` if it has none.
pub fn session_from_log(planned: &PlannedSession, recorded: &RecordedSession<'_>) -> Option<Session> {
    let pairs: Vec<Pair> = recorded
        .complete_pairs(planned.pairs.len() as u32)
        .filter_map(|(_, baseline, candidate)| pair(baseline, candidate))
        .collect();
    (!pairs.is_empty()).then_some(Session { key: planned.round, pairs })
}

fn pair(baseline: &Attempt, candidate: &Attempt) -> Option<Pair> {
    let throttled = |attempt: &Attempt| attempt.marks.contains(&Mark::Throttled);
    Some(Pair {
        baseline_ms: milliseconds(baseline)?,
        candidate_ms: milliseconds(candidate)?,
        throttled: throttled(baseline) || throttled(candidate),
    })
}

/// The latency, of each unit of an answer where it has several; `None` for a failed attempt and for a clock that stood
/// still.
pub(crate) fn milliseconds(attempt: &Attempt) -> Option<f64> {
    attempt.outcome.unit_ns().filter(|ns| *ns > 0.0).map(|ns| ns / 1e6)
}
