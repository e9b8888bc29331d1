//! One launch of a session: its processes, warm-up, pairs.

use std::collections::BTreeMap;

use edgemaxx_contract::contest::Residency;
use edgemaxx_contract::plan::{PlannedRequest, PlannedSession, Side};
use edgemaxx_contract::sample::{
    Attempt, Failure, FailureKind, Launch, LaunchOutcome, Mark, Outcome, Phase, Record, SessionEnd,
    SessionStatus,
};
use edgemaxx_devices::Watched;
use edgemaxx_engine::{Answer, Artefact, Ask, Codec, Engine, Launched, Loaded, Object, Question};

use crate::error::MeasureError;
use crate::observe::{Event, pipeline_of};
use crate::process::{Process, idle};
use crate::remaining::{Todo, is_fatal, warm, was_steady};
use crate::run::Run;

/// How a launch of a session ended.
pub(crate) enum Ended {
    /// The session's end is recorded.
    Recorded,
    /// The baseline failed; the session has no end yet.
    Baseline(Failure),
}

/// The processes that are in memory, in the order of launch, and what all of them said of their
/// checkpoint.
struct Residents {
    processes: Vec<Process>,
    ready: Object,
    launch: u32,
    next_id: u64,
}

/// Why a session cannot go on.
struct Broken {
    side: Side,
    failure: Failure,
}

/// Either an end of everything or of this session.
enum Halt {
    Error(MeasureError),
    Broken(Broken),
}

impl From<MeasureError> for Halt {
    fn from(error: MeasureError) -> Self {
        Self::Error(error)
    }
}

/// Runs what is missing of a session in one launch.
pub(crate) fn run(run: &mut Run<'_, '_>, todo: &Todo) -> Result<Ended, MeasureError> {
    let plan = run.plan;
    let session = &plan.sessions[todo.session as usize];
    run.tell(&Event::Session { session, launch: todo.launch });
    let both = Side::both_from(session.first);
    let blocks: Vec<&[Side]> = match plan.measurement.residency {
        Residency::Together => vec![&both],
        Residency::Alternating => both.iter().map(std::slice::from_ref).collect(),
    };
    let (mut known, mut peaks) = (BTreeMap::new(), BTreeMap::new());
    for sides in blocks {
        if !todo.asks(sides) {
            continue;
        }
        let mut residents = match launch(run, session, todo.launch, sides, &mut known)? {
            Ok(residents) => residents,
            Err(broken) => return end(run, session, Some(broken), &peaks),
        };
        let result = warm_up(run, session, &mut residents)
            .and_then(|()| measure(run, session, todo, &mut residents))
            .and_then(|()| repeat(run, session, &mut residents));
        idle(run, session, todo.launch, &mut residents.processes)?;
        for process in &mut residents.processes {
            peaks.insert(process.side, process.engine.close().peak_rss_bytes);
        }
        run.io.telemetry.watch(&[]);
        match result {
            Ok(()) => {}
            Err(Halt::Broken(broken)) => return end(run, session, Some(broken), &peaks),
            Err(Halt::Error(error)) => return Err(error),
        }
    }
    end(run, session, None, &peaks)
}

/// Records the session's end, unless the baseline is to be tried again.
fn end(
    run: &mut Run<'_, '_>,
    session: &PlannedSession,
    broken: Option<Broken>,
    peaks: &BTreeMap<Side, Option<u64>>,
) -> Result<Ended, MeasureError> {
    let status = match broken {
        None => SessionStatus::Complete,
        Some(Broken { side: Side::Baseline, failure }) => return Ok(Ended::Baseline(failure)),
        Some(Broken { side: Side::Candidate, .. }) => SessionStatus::Aborted { side: Side::Candidate },
    };
    let steady = was_steady(run.plan, &run.log.session(session.index));
    run.append(Record::Session(SessionEnd {
        session: session.index,
        status,
        baseline_peak_rss_bytes: peaks.get(&Side::Baseline).copied().flatten(),
        candidate_peak_rss_bytes: peaks.get(&Side::Candidate).copied().flatten(),
        steady,
    }))?;
    Ok(Ended::Recorded)
}

/// Launches `sides`, then loads them, in that order, and records how it went. `known` is
/// what the sides of the session have said when they were ready.
fn launch(
    run: &mut Run<'_, '_>,
    session: &PlannedSession,
    launch: u32,
    sides: &[Side],
    known: &mut BTreeMap<Side, Object>,
) -> Result<Result<Residents, Broken>, MeasureError> {
    let plan = run.plan;
    let mut launched: Vec<(Side, Launched)> = Vec::new();
    for side in sides.iter().copied() {
        let Some(pipeline) = plan.pipeline(pipeline_of(plan, session, side)) else {
            return Err(MeasureError::Plan(format!("sessions[{}]: no such pipeline", session.index)));
        };
        match run.launcher.launch(pipeline) {
            Ok(process) => {
                launched.push((side, process));
                watch(run, session, launch, &launched);
            }
            Err(failure) => return broken_launch(run, session, launch, side, failure, launched),
        }
    }
    let mut loaded: Vec<(Side, Loaded)> = Vec::new();
    for index in 0..launched.len() {
        let (side, process) = &mut launched[index];
        let side = *side;
        match process.engine.load(&process.load) {
            Ok(one) => loaded.push((side, one)),
            Err(failure) => return broken_launch(run, session, launch, side, failure, launched),
        }
    }
    let ready = match common_ready(run, &loaded, known) {
        Ok(ready) => ready,
        Err(Broken { side, failure }) => return broken_launch(run, session, launch, side, failure, launched),
    };
    for ((side, process), (_, loaded)) in launched.iter().zip(&loaded) {
        run.append(Record::Launch(Launch {
            session: session.index,
            launch,
            side: *side,
            outcome: LaunchOutcome::Ready {
                launch_ns: process.launch_ns,
                load_ns: loaded.load_ns,
                engine: process.info.clone(),
            },
        }))?;
    }
    let now_ns = run.now_ns();
    let rests = |(side, launched): (Side, Launched)| Process::ready(side, launched.engine, now_ns);
    let processes = launched.into_iter().map(rests).collect();
    Ok(Ok(Residents { processes, ready, launch, next_id: 1 }))
}

/// Tells telemetry which processes there are.
fn watch(run: &mut Run<'_, '_>, session: &PlannedSession, launch: u32, launched: &[(Side, Launched)]) {
    let engines: Vec<Watched> = launched
        .iter()
        .filter_map(|(side, process)| {
            let root = process.engine.root()?;
            Some(Watched { session: session.index, launch, side: *side, root })
        })
        .collect();
    run.io.telemetry.watch(&engines);
}

/// Ends what was launched and records whose fault it is.
fn broken_launch(
    run: &mut Run<'_, '_>,
    session: &PlannedSession,
    launch: u32,
    side: Side,
    failure: Failure,
    mut launched: Vec<(Side, Launched)>,
) -> Result<Result<Residents, Broken>, MeasureError> {
    for (_, process) in &mut launched {
        process.engine.close();
    }
    run.io.telemetry.watch(&[]);
    let outcome = LaunchOutcome::Failed(failure.clone());
    run.append(Record::Launch(Launch { session: session.index, launch, side, outcome }))?;
    Ok(Err(Broken { side, failure }))
}

/// What the sides of the session have said when they were ready, as far as requests depend on it.
/// The baseline sets it; since both sides are asked the same, the candidate's must be equal.
fn common_ready(
    run: &Run<'_, '_>,
    loaded: &[(Side, Loaded)],
    known: &mut BTreeMap<Side, Object>,
) -> Result<Object, Broken> {
    let broken =
        |side, detail: String| Broken { side, failure: Failure { kind: FailureKind::Protocol, detail } };
    for (side, loaded) in loaded {
        let ready = run.io.codec.ready(&run.plan.request, &loaded.ready);
        known.insert(*side, ready.map_err(|detail| broken(*side, detail))?);
    }
    let words = |ready: &Object| serde_json::Value::Object(ready.clone()).to_string();
    if let (Some(baseline), Some(candidate)) = (known.get(&Side::Baseline), known.get(&Side::Candidate))
        && candidate != baseline
    {
        let (own, theirs) = (words(candidate), words(baseline));
        let detail = format!("ready: it says {own}, the baseline {theirs}; both sides are asked the same");
        return Err(broken(Side::Candidate, detail));
    }
    let ready = known.values().next().cloned();
    ready.ok_or_else(|| broken(Side::Baseline, "it was not loaded".to_owned()))
}

/// Requests to the residents in turn until all are steady, or the plan's warm-up requests are used.
fn warm_up(run: &mut Run<'_, '_>, session: &PlannedSession, residents: &mut Residents) -> Result<(), Halt> {
    let plan = run.plan;
    let sides: Vec<Side> = residents.processes.iter().map(|process| process.side).collect();
    let mut latencies: Vec<Vec<u64>> = vec![Vec::new(); sides.len()];
    let mut refused: Vec<Option<Failure>> = vec![None; sides.len()];
    for (index, request) in (0u32..).zip(&session.warmup) {
        let request = &plan.requests[*request as usize];
        let payload = payload(run, session, residents, request)?;
        for (which, side) in sides.iter().enumerate() {
            let phase = Phase::Warmup { index };
            let asked = Asked { request, payload: &payload, phase, split: false };
            match ask(run, session, residents, *side, asked)? {
                Some(Ok(latency)) => latencies[which].push(latency),
                Some(Err(failure)) => refused[which] = Some(failure),
                None => {}
            }
        }
        if latencies.iter().all(|latencies| warm(plan, latencies)) {
            break;
        }
    }
    // A side that never answered will not answer in a pair either.
    for ((side, latencies), refused) in sides.into_iter().zip(latencies).zip(refused) {
        if let Some(failure) = refused.filter(|_| latencies.is_empty()) {
            return Err(Halt::Broken(Broken { side, failure }));
        }
    }
    Ok(())
}

/// The pairs that are missing, in the plan's order.
fn measure(
    run: &mut Run<'_, '_>,
    session: &PlannedSession,
    todo: &Todo,
    residents: &mut Residents,
) -> Result<(), Halt> {
    let plan = run.plan;
    for missing in &todo.missing {
        let planned = &session.pairs[missing.pair as usize];
        let request = &plan.requests[planned.request as usize];
        let payload = payload(run, session, residents, request)?;
        for side in missing.sides.into_iter().flatten() {
            let phase = Phase::Measured { pair: missing.pair };
            let asked = Asked { request, payload: &payload, phase, split: missing.split() };
            if let Some(Err(_)) = ask(run, session, residents, side, asked)? {
                break;
            }
        }
    }
    Ok(())
}

/// Pairs asked once more, to see that no answer comes faster the second time. They end with the
/// session: a resumed one repeats only what it asked itself.
fn repeat(run: &mut Run<'_, '_>, session: &PlannedSession, residents: &mut Residents) -> Result<(), Halt> {
    let plan = run.plan;
    for planned in &session.repeats {
        let Some(original) = session.pairs.get(planned.pair as usize) else { continue };
        let request = &plan.requests[original.request as usize];
        let payload = payload(run, session, residents, request)?;
        for side in Side::both_from(planned.first) {
            let recorded = run.log.session(session.index);
            let answered = recorded.measured(planned.pair, side).is_some_and(|first| {
                first.launch == residents.launch && matches!(first.outcome, Outcome::Answered { .. })
            });
            let phase = Phase::Repeat { pair: planned.pair };
            let asked = Asked { request, payload: &payload, phase, split: false };
            if answered && let Some(Err(_)) = ask(run, session, residents, side, asked)? {
                break;
            }
        }
    }
    Ok(())
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

/// One request to one side, recorded: its latency, or a failure that leaves the engine usable;
/// `None` if that side is not in memory.
fn ask(
    run: &mut Run<'_, '_>,
    session: &PlannedSession,
    residents: &mut Residents,
    side: Side,
    Asked { request, payload, phase, split }: Asked<'_>,
) -> Result<Option<Result<u64, Failure>>, Halt> {
    run.check_interrupt()?;
    let (plan, codec) = (run.plan, run.io.codec);
    let Residents { processes, ready, launch, next_id } = residents;
    let Some(process) = processes.iter_mut().find(|process| process.side == side) else { return Ok(None) };
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
    process.engine.set_patience(run.patience.seconds(side));
    process.wakes(run.now_ns());
    let started_ns = run.now_ns();
    let answer = process.engine.ask(&ask);
    process.rests(run.now_ns());
    let kept = answer.and_then(|answer| keep(codec, question, answer, process.engine.as_mut()));
    let (outcome, result) = match kept {
        Ok((said, artefact)) => {
            let answer = run.store(&artefact)?;
            let Answer { latency_ns, first_ns, engine_ns, .. } = said;
            let units = artefact.units;
            (Outcome::Answered { latency_ns, first_ns, units, answer, engine_ns }, Ok(latency_ns))
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
        outcome,
        marks: if split { vec![Mark::Split] } else { Vec::new() },
    }))?;
    match result {
        Err(failure) if is_fatal(&failure) => Err(Halt::Broken(Broken { side, failure })),
        other => Ok(Some(other)),
    }
}

/// What is kept of an answer, if it is one to the question.
fn keep(
    codec: &dyn Codec,
    question: Question<'_>,
    answer: Answer,
    engine: &mut dyn Engine,
) -> Result<(Answer, Artefact), Failure> {
    match codec.artefact(question, &answer) {
        Ok(artefact) => Ok((answer, artefact)),
        Err(problem) => Err(Failure { kind: FailureKind::Answer, detail: engine.with_last_words(problem) }),
    }
}
