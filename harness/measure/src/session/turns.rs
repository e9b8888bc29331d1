//! Who is asked what, and when: the warm-up, the pairs, what is asked again.

use edgemaxx_contract::plan::{Side, turns};
use edgemaxx_contract::sample::{Failure, Outcome, Phase};

use super::ask::{Asked, ask, payload};
use super::course::{Broken, Course, Halt, Residents, lose};
use crate::remaining::{Member, Todo};
use crate::run::Run;
use crate::steady::{Warmth, warm, warmth_of};

/// Requests to the residents in turn until all are steady, or the plan's warm-up requests are used.
pub(super) fn warm_up(
    run: &mut Run<'_, '_>,
    course: &mut Course<'_>,
    residents: &mut Residents,
) -> Result<(), Halt> {
    let plan = run.plan;
    let session = course.sessions[0];
    let members = residents.processes.members();
    let mut answered: Vec<Vec<Warmth<'_>>> = vec![Vec::new(); members.len()];
    let mut refused: Vec<Option<Failure>> = vec![None; members.len()];
    for (index, request) in (0u32..).zip(&session.warmup) {
        let request = &plan.requests[*request as usize];
        let payload = payload(run, session, residents, request)?;
        for (which, member) in members.iter().enumerate() {
            let phase = Phase::Warmup { index };
            let asked = Asked { request, payload: &payload, phase, split: false };
            match ask_on(run, course, residents, *member, asked)? {
                Some(Ok(outcome)) => answered[which].extend(warmth_of(plan, request.id, &outcome)),
                Some(Err(failure)) => refused[which] = Some(failure),
                None => {}
            }
        }
        let mut all = members.iter().zip(&answered);
        if all.all(|(member, answered)| !course.is_wanted(*member) || warm(plan, answered)) {
            break;
        }
    }
    // A side that never answered will not answer in a pair either.
    for ((member, answered), refused) in members.into_iter().zip(answered).zip(refused) {
        if let Some(failure) = refused.filter(|_| answered.is_empty()) {
            lose(run, course, residents, Broken { member, failure })?;
        }
    }
    Ok(())
}

/// The pairs that are missing, in the plan's order.
pub(super) fn measure(
    run: &mut Run<'_, '_>,
    todo: &Todo,
    course: &mut Course<'_>,
    residents: &mut Residents,
) -> Result<(), Halt> {
    let plan = run.plan;
    let session = course.sessions[0];
    for missing in &todo.missing {
        if residents.processes.is_empty() {
            break;
        }
        let planned = &session.pairs[missing.pair as usize];
        let request = &plan.requests[planned.request as usize];
        let payload = payload(run, session, residents, request)?;
        for &(member, split) in &missing.members {
            let phase = Phase::Measured { pair: missing.pair };
            let asked = Asked { request, payload: &payload, phase, split };
            let answer = ask_on(run, course, residents, member, asked)?;
            // Without the baseline's answer, or the only candidate's, the pair has come to nothing.
            let alone = member.1 == Side::Baseline || course.sessions.len() == 1;
            if matches!(answer, Some(Err(_))) && alone {
                break;
            }
        }
    }
    Ok(())
}

/// Pairs asked once more, to see that no answer comes faster the second time. They end with the
/// session: a resumed one repeats only what it asked itself.
pub(super) fn repeat(
    run: &mut Run<'_, '_>,
    todo: &Todo,
    course: &mut Course<'_>,
    residents: &mut Residents,
) -> Result<(), Halt> {
    let plan = run.plan;
    let session = course.sessions[0];
    for planned in &session.repeats {
        let Some(original) = session.pairs.get(planned.pair as usize) else { continue };
        let request = &plan.requests[original.request as usize];
        let payload = payload(run, session, residents, request)?;
        let order = match planned.first {
            Some(first) => Side::both_from(first).map(|side| (session.index, side)).to_vec(),
            None => turns(plan, &todo.sessions, Some(planned.pair)),
        };
        for member in order {
            let recorded = run.log.session(member.0);
            let answered = recorded.measured(planned.pair, member.1).is_some_and(|first| {
                first.launch == residents.launch && matches!(first.outcome, Outcome::Answered { .. })
            });
            let phase = Phase::Repeat { pair: planned.pair };
            let asked = Asked { request, payload: &payload, phase, split: false };
            let alone = member.1 == Side::Baseline || course.sessions.len() == 1;
            if answered && matches!(ask_on(run, course, residents, member, asked)?, Some(Err(_))) && alone {
                break;
            }
        }
    }
    Ok(())
}

/// [`ask`], where the others go on without a candidate whose process fails.
fn ask_on(
    run: &mut Run<'_, '_>,
    course: &mut Course<'_>,
    residents: &mut Residents,
    member: Member,
    asked: Asked<'_>,
) -> Result<Option<Result<Outcome, Failure>>, Halt> {
    match ask(run, residents, member, asked) {
        Err(Halt::Broken(broken)) => lose(run, course, residents, broken).map(|()| None),
        other => other,
    }
}
