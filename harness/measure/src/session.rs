//! One launch of a session, or of a block of sessions that share their baseline: processes, warm-up, pairs.

use std::collections::BTreeMap;

use edgemaxx_contract::contest::Residency;
use edgemaxx_contract::plan::{PlannedRequest, PlannedSession, Side, turns};
use edgemaxx_contract::sample::{
    Attempt, Failure, FailureKind, Launch, LaunchOutcome, Mark, Outcome, Phase, Record, SessionEnd,
    SessionStatus,
};
use edgemaxx_devices::Watched;
use edgemaxx_engine::{Answer, Artefact, Ask, Codec, Launched, Loaded, Object, Question};

use crate::descriptors::lacking;
use crate::error::MeasureError;
use crate::observe::{Event, pipeline_of};
use crate::process::{Processes, idle};
use crate::remaining::{Member, Todo, Warmth, is_fatal, warm, warmth_of, was_steady};
use crate::run::Run;

/// How a launch of a session ended.
pub(crate) enum Ended {
    /// Every session's end is recorded.
    Recorded,
    /// The baseline failed; sessions without a failing candidate have no end yet.
    Baseline(Failure),
}

/// What became of the processes so far, of all that are launched for one another.
struct Course<'a> {
    sessions: Vec<&'a PlannedSession>,
    /// Those without an end.
    left: Vec<u32>,
    launch: u32,
    /// What processes have said when they were ready, as far as requests depend on it.
    known: BTreeMap<Member, Object>,
    peaks: BTreeMap<Member, Option<u64>>,
    /// Sessions whose candidate's process failed.
    lost: Vec<u32>,
}

impl Course<'_> {
    fn baseline(&self) -> Member {
        (self.sessions[0].index, Side::Baseline)
    }

    /// Notes whose process failed; whether the others go on without it.
    fn goes_on_without(&mut self, (session, side): Member) -> bool {
        if side == Side::Candidate && !self.lost.contains(&session) {
            self.lost.push(session);
        }
        side == Side::Candidate && self.left.iter().any(|session| !self.lost.contains(session))
    }

    /// Whether a process has anything to do with what is left.
    fn is_wanted(&self, (session, side): Member) -> bool {
        side == Side::Baseline || (self.left.contains(&session) && !self.lost.contains(&session))
    }
}

/// The processes that are in memory, in the order of launch, and what the baseline, or the candidate
/// before it, said of its checkpoint.
struct Residents {
    processes: Processes,
    ready: Object,
    launch: u32,
    next_id: u64,
}

/// Why a session cannot go on.
struct Broken {
    member: Member,
    failure: Failure,
}

/// Either an end of everything or of what was launched together.
enum Halt {
    Error(MeasureError),
    Broken(Broken),
}

impl From<MeasureError> for Halt {
    fn from(error: MeasureError) -> Self {
        Self::Error(error)
    }
}

/// Runs what is missing of a session, or of a block, in one launch.
pub(crate) fn run(run: &mut Run<'_, '_>, todo: &Todo) -> Result<Ended, MeasureError> {
    let plan = run.plan;
    let sessions: Vec<&PlannedSession> =
        todo.sessions.iter().map(|&session| &plan.sessions[session as usize]).collect();
    run.tell(&Event::Session { sessions: &sessions, launch: todo.launch });
    let order = turns(plan, &todo.sessions, None);
    let groups: Vec<&[Member]> = match plan.measurement.residency {
        Residency::Together => vec![&order],
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

/// Launches processes, then loads them, in that order, each while the others rest, and records how it went;
/// `None`: none of them is ready, and others are still to come.
fn launch(
    run: &mut Run<'_, '_>,
    members: &[Member],
    course: &mut Course<'_>,
) -> Result<Option<Residents>, Halt> {
    let plan = run.plan;
    let mut launched: Vec<(Member, Launched)> = Vec::new();
    for &member in members {
        let (session, side) = member;
        let Some(pipeline) = plan.pipeline(pipeline_of(plan, &plan.sessions[session as usize], side)) else {
            return Err(MeasureError::Plan(format!("sessions[{session}]: no such pipeline")).into());
        };
        match run.launcher.launch(pipeline) {
            Ok(mut process) => {
                let rest = process.engine.rest();
                launched.push((member, process));
                watch(run, course, &launched);
                if let Err(failure) = rest {
                    broken_launch(run, course, Broken { member, failure }, &mut launched)?;
                }
            }
            Err(failure) => {
                if let Some(source) = lacking(&failure) {
                    return Err(MeasureError::Descriptors { source }.into());
                }
                broken_launch(run, course, Broken { member, failure }, &mut launched)?;
            }
        }
    }
    let mut loaded: Vec<(Member, Loaded)> = Vec::new();
    for member in launched.iter().map(|(member, _)| *member).collect::<Vec<_>>() {
        let Some((_, process)) = launched.iter_mut().find(|(of, _)| *of == member) else { continue };
        let Launched { engine, load, .. } = process;
        let one = engine.wake().and_then(|()| engine.load(load));
        match one.and_then(|one| engine.rest().map(|()| one)) {
            Ok(one) => loaded.push((member, one)),
            Err(failure) => broken_launch(run, course, Broken { member, failure }, &mut launched)?,
        }
    }
    for broken in unlike(run, &loaded, course) {
        broken_launch(run, course, broken, &mut launched)?;
    }
    for (member, process) in &launched {
        let Some((_, loaded)) = loaded.iter().find(|(of, _)| of == member) else { continue };
        run.append(Record::Launch(Launch {
            session: member.0,
            launch: course.launch,
            side: member.1,
            outcome: LaunchOutcome::Ready {
                launch_ns: process.launch_ns,
                load_ns: loaded.load_ns,
                engine: process.info.clone(),
            },
        }))?;
    }
    let Some((first, _)) = launched.first() else { return Ok(None) };
    let Some(ready) = course.known.get(&course.baseline()).or(course.known.get(first)).cloned() else {
        return Ok(None);
    };
    let now_ns = run.now_ns();
    let engines = launched.into_iter().map(|(member, launched)| (member, launched.engine));
    let processes = Processes::at_rest(engines, now_ns);
    Ok(Some(Residents { processes, ready, launch: course.launch, next_id: 1 }))
}

/// Tells telemetry which processes there are.
fn watch(run: &mut Run<'_, '_>, course: &Course<'_>, launched: &[(Member, Launched)]) {
    let engines: Vec<Watched> = launched
        .iter()
        .filter_map(|((session, side), process)| {
            let root = process.engine.root()?;
            Some(Watched { session: *session, launch: course.launch, side: *side, root })
        })
        .collect();
    run.io.telemetry.watch(&engines);
}

/// Records whose fault it is that a process is not ready, and ends it; all that were launched where
/// nothing can be measured without it.
fn broken_launch(
    run: &mut Run<'_, '_>,
    course: &mut Course<'_>,
    broken: Broken,
    launched: &mut Vec<(Member, Launched)>,
) -> Result<(), Halt> {
    let Broken { member: (session, side), failure } = &broken;
    let goes_on = course.goes_on_without(broken.member);
    launched.retain_mut(|(member, process)| {
        let stays = goes_on && *member != broken.member;
        if !stays {
            process.engine.close();
        }
        stays
    });
    watch(run, course, launched);
    let outcome = LaunchOutcome::Failed(failure.clone());
    run.append(Record::Launch(Launch { session: *session, launch: course.launch, side: *side, outcome }))?;
    if goes_on { Ok(()) } else { Err(Halt::Broken(broken)) }
}

/// Who said something else when it was ready than the baseline, as far as requests depend on it: since
/// all are asked the same, everybody's must be equal.
fn unlike(run: &Run<'_, '_>, loaded: &[(Member, Loaded)], course: &mut Course<'_>) -> Vec<Broken> {
    let broken =
        |member, detail: String| Broken { member, failure: Failure { kind: FailureKind::Protocol, detail } };
    let mut found = Vec::new();
    for (member, loaded) in loaded {
        match run.io.codec.ready(&run.plan.request, &loaded.ready) {
            Ok(ready) => {
                course.known.insert(*member, ready);
            }
            Err(detail) => found.push(broken(*member, detail)),
        }
    }
    let words = |ready: &Object| serde_json::Value::Object(ready.clone()).to_string();
    let Some(baseline) = course.known.get(&course.baseline()) else { return found };
    let others = course.known.iter();
    for (member, ready) in others.filter(|(member, ready)| *ready != baseline && course.is_wanted(**member)) {
        let (own, theirs) = (words(ready), words(baseline));
        let detail = format!("ready: it says {own}, the baseline {theirs}; both sides are asked the same");
        found.push(broken(*member, detail));
    }
    found
}

/// Requests to the residents in turn until all are steady, or the plan's warm-up requests are used.
fn warm_up(run: &mut Run<'_, '_>, course: &mut Course<'_>, residents: &mut Residents) -> Result<(), Halt> {
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
fn measure(
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
fn repeat(
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

/// Ends a process that failed; the others go on where there is still a candidate among them.
fn lose(
    run: &mut Run<'_, '_>,
    course: &mut Course<'_>,
    residents: &mut Residents,
    broken: Broken,
) -> Result<(), Halt> {
    if !course.goes_on_without(broken.member) {
        return Err(Halt::Broken(broken));
    }
    let now_ns = run.now_ns();
    if let Some((mut process, record)) = residents.processes.remove(broken.member, residents.launch, now_ns) {
        if let Some(record) = record {
            run.append(record)?;
        }
        course.peaks.insert(process.member, process.engine.close().peak_rss_bytes);
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

/// The payload of a request, drawn once for all sides, while no clock runs.
fn payload(
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
struct Asked<'a> {
    request: &'a PlannedRequest,
    payload: &'a [u8],
    phase: Phase,
    /// The other side was measured in another launch.
    split: bool,
}

/// One request to one side, recorded: its outcome, or a failure that leaves the engine usable;
/// `None` if that side is not in memory.
fn ask(
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
