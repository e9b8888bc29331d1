//! One launch of a session, or of a block of sessions that share their baseline: processes, warm-up, pairs.

use std::collections::{BTreeMap, BTreeSet};

use edgemaxx_contract::contest::Residency;
use edgemaxx_contract::plan::{PlannedSession, Side, turns};
use edgemaxx_contract::sample::{Failure, Record, SessionEnd, SessionStatus};

use super::course::{Broken, Course, Halt};
use super::launch::launch;
use super::score::score;
use super::turns::{measure, repeat, warm_up};
use crate::error::MeasureError;
use crate::observe::Event;
use crate::process::idle;
use crate::remaining::{Member, Todo};
use crate::run::Run;
use crate::steady::was_steady;

/// How a launch of a session ended.
pub(crate) enum Ended {
    /// Every session's end is recorded.
    Recorded,
    /// The baseline failed; sessions without a failing candidate have no end yet.
    Baseline(Failure),
}

/// Runs what is missing of a session, or of a block, in one launch.
pub(crate) fn run(run: &mut Run<'_, '_>, todo: &Todo) -> Result<Ended, MeasureError> {
    let plan = run.plan;
    let sessions: Vec<&PlannedSession> =
        todo.sessions.iter().map(|&session| &plan.sessions[session as usize]).collect();
    run.tell(&Event::Session { sessions: &sessions, launch: todo.launch });
    let order = turns(plan, &todo.sessions, None);
    let groups: Vec<&[Member]> = match plan.measurement.residency {
        Residency::Together | Residency::Swapped => vec![&order],
        Residency::Alternating => order.iter().map(std::slice::from_ref).collect(),
    };
    let left = todo.sessions.iter().copied().filter(|&session| run.log.session(session).end.is_none());
    let mut course = Course {
        left: left.collect(),
        sessions,
        launch: todo.launch,
        known: BTreeMap::new(),
        peaks: BTreeMap::new(),
        lost: Vec::new(),
        scorers: BTreeSet::new(),
    };
    for members in groups {
        let members: Vec<Member> =
            members.iter().copied().filter(|&member| course.is_wanted(member)).collect();
        if !todo.asks(&members) {
            continue;
        }
        match together(run, todo, &members, &mut course) {
            Ok(()) => {}
            Err(Halt::Error(error)) => return Err(error),
            Err(Halt::Broken(Broken { member: (_, Side::Candidate), .. })) => break,
            Err(Halt::Broken(Broken { member: (_, Side::Baseline), failure })) => {
                end(run, &course, |session| course.lost.contains(&session))?;
                return Ok(Ended::Baseline(failure));
            }
        }
    }
    end(run, &course, |_| true)?;
    Ok(Ended::Recorded)
}

/// Launches processes, asks them what is missing, and closes them.
fn together(
    run: &mut Run<'_, '_>,
    todo: &Todo,
    members: &[Member],
    course: &mut Course<'_>,
) -> Result<(), Halt> {
    let Some(mut residents) = launch(run, members, course)? else { return Ok(()) };
    let result = warm_up(run, course, &mut residents)
        .and_then(|()| measure(run, todo, course, &mut residents))
        .and_then(|()| repeat(run, todo, course, &mut residents));
    idle(run, todo.launch, &mut residents.processes)?;
    if result.is_ok() {
        score(run, course, &mut residents)?;
    }
    for process in residents.processes.iter_mut() {
        course.peaks.insert(process.member, process.engine.close().peak_rss_bytes);
    }
    run.io.telemetry.watch(&[]);
    result
}

/// Records the ends of sessions that have none yet.
fn end(
    run: &mut Run<'_, '_>,
    course: &Course<'_>,
    is_over: impl Fn(u32) -> bool,
) -> Result<(), MeasureError> {
    let peak = |member: Member| course.peaks.get(&member).copied().flatten();
    for session in course.sessions.iter().map(|planned| planned.index).filter(|&session| is_over(session)) {
        let recorded = run.log.session(session);
        if recorded.end.is_some() {
            continue;
        }
        let steady = was_steady(run.plan, &recorded);
        let status = match course.lost.contains(&session) {
            true => SessionStatus::Aborted { side: Side::Candidate },
            false => SessionStatus::Complete,
        };
        run.append(Record::Session(SessionEnd {
            session,
            status,
            baseline_peak_rss_bytes: peak(course.baseline()),
            candidate_peak_rss_bytes: peak((session, Side::Candidate)),
            steady,
        }))?;
    }
    Ok(())
}
