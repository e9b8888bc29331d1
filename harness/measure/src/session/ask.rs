//! One request to one process, and what is recorded of it; it is timed in the engine's driver.

use edgemaxx_contract::plan::{PlannedRequest, PlannedSession};
use edgemaxx_contract::sample::{Attempt, Failure, FailureKind, Mark, Outcome, Phase, Record};
use edgemaxx_engine::{Answer, Artefact, Ask, Codec, Question};

use super::course::{Broken, Halt, Residents};
use crate::error::MeasureError;
use crate::observe::pipeline_of;
use crate::process::Processes;
use crate::remaining::{Member, is_fatal};
use crate::run::Run;

/// The payload of a request, drawn once for all sides, while no clock runs.
pub(super) fn payload(
    run: &Run<'_, '_>,
    session: &PlannedSession,
    residents: &Residents,
    request: &PlannedRequest,
) -> Result<Vec<u8>, MeasureError> {
    let drawn = run.io.codec.payload(&run.plan.request, request, &residents.ready);
    drawn.map_err(|problem| unaskable(session, request, &problem))
}

fn unaskable(session: &PlannedSession, request: &PlannedRequest, problem: &str) -> MeasureError {
    MeasureError::Plan(format!(
        "sessions[{}]: request {} cannot be asked: {problem}",
        session.index, request.id
    ))
}

/// A request and what it is for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) request: &'a PlannedRequest,
    pub(super) payload: &'a [u8],
    pub(super) phase: Phase,
    /// The other side was measured in another launch.
    pub(super) split: bool,
}

/// One request to one side, recorded: its outcome, or a failure that leaves the engine usable;
/// `None` if that side is not in memory.
pub(super) fn ask(
    run: &mut Run<'_, '_>,
    residents: &mut Residents,
    member: Member,
    Asked { request, payload, phase, split }: Asked<'_>,
) -> Result<Option<Result<Outcome, Failure>>, Halt> {
    run.check_interrupt()?;
    let (plan, codec) = (run.plan, run.io.codec);
    let (session, side) = (&plan.sessions[member.0 as usize], member.1);
    let Residents { processes, ready, launch, next_id } = residents;
    if !processes.members().contains(&member) {
        return Ok(None);
    }
    let id = *next_id;
    *next_id += 1;
    let Some(pipeline) = plan.pipeline(pipeline_of(plan, session, side)) else {
        return Err(Halt::Error(MeasureError::Plan(format!(
            "sessions[{}]: no such pipeline",
            session.index
        ))));
    };
    let question = Question { request: &plan.request, settings: &pipeline.settings, planned: request };
    let header = codec.header(question, ready);
    let header = header.map_err(|problem| Halt::Error(unaskable(session, request, &problem)))?;
    let ask = Ask { id, header, payload, limits: codec.limits(&plan.request) };
    let patience = run.patience.seconds(side);
    let woken = processes.wake(member, run.now_ns());
    let started_ns = run.now_ns();
    let answer = match woken {
        Ok(None) => return Ok(None),
        Ok(Some(engine)) => {
            engine.set_patience(patience);
            let answer = engine.ask(&ask);
            // Who does not come to rest has failed, whatever it answered.
            processes.rest(member, run.now_ns()).and(answer)
        }
        Err(failure) => Err(failure),
    };
    let cpu_ns = processes.spent_ns(member);
    let kept = answer.and_then(|answer| keep(codec, question, answer, processes, member));
    let (outcome, result) = match kept {
        Ok((said, artefact)) => {
            let answer = run.store(&artefact)?;
            let Answer { latency_ns, first_ns, engine_ns, .. } = said;
            let Artefact { units, parts, .. } = artefact;
            let outcome = Outcome::Answered { latency_ns, first_ns, units, parts, answer, engine_ns };
            (outcome.clone(), Ok(outcome))
        }
        Err(failure) => (Outcome::Failed(failure.clone()), Err(failure)),
    };
    run.append(Record::Attempt(Attempt {
        session: session.index,
        launch: *launch,
        side,
        phase,
        request: request.id,
        started_ns,
        cpu_ns,
        outcome,
        marks: if split { vec![Mark::Split] } else { Vec::new() },
    }))?;
    match result {
        Err(failure) if is_fatal(&failure) => Err(Halt::Broken(Broken { member, failure })),
        other => Ok(Some(other)),
    }
}

/// What is kept of a side's answer, if it is one to the question.
fn keep(
    codec: &dyn Codec,
    question: Question<'_>,
    answer: Answer,
    processes: &mut Processes,
    member: Member,
) -> Result<(Answer, Artefact), Failure> {
    match codec.artefact(question, &answer) {
        Ok(artefact) => Ok((answer, artefact)),
        Err(problem) => {
            Err(Failure { kind: FailureKind::Answer, detail: processes.with_last_words(member, problem) })
        }
    }
}
