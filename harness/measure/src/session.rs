//! One launch of a session: both processes, warm-up, pairs.

use edgemaxx_contract::latents::torch_randn;
use edgemaxx_contract::plan::{PlannedRequest, PlannedSession, Side};
use edgemaxx_contract::sample::{
    Attempt, Failure, FailureKind, Launch, LaunchOutcome, Mark, Outcome, Phase, Record, SessionEnd,
    SessionStatus,
};
use edgemaxx_engine::{Closed, Launched, Loaded, Request};

use crate::error::MeasureError;
use crate::execute::Run;
use crate::observe::{Event, pipeline_of};
use crate::process::{Process, idle};
use crate::progress::{Todo, is_fatal, warm, was_steady};
use crate::telemetry::Watched;

/// How a launch of a session ended.
pub(crate) enum Ended {
    /// The session's end is recorded.
    Recorded,
    /// The baseline failed; the session has no end yet.
    Baseline(Failure),
}

/// Both processes, in the order of launch, and the latents' shape.
struct Pair {
    processes: [Process; 2],
    shape: [u32; 3],
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
    let mut pair = match launch(run, session, todo.launch)? {
        Ok(pair) => pair,
        Err(broken) => return end(run, session, Some(broken), [None, None]),
    };
    let result = warm_up(run, session, &mut pair)
        .and_then(|()| measure(run, session, todo, &mut pair))
        .and_then(|()| repeat(run, session, &mut pair));
    idle(run, session, pair.launch, &mut pair.processes)?;
    let [first, second] = &mut pair.processes;
    let closed = [first, second].map(|process| (process.side, process.engine.close()));
    run.io.telemetry.watch(&[]);
    let peak =
        |side| closed.iter().find(|(s, _)| *s == side).and_then(|(_, c): &(Side, Closed)| c.peak_rss_bytes);
    let peaks = [peak(Side::Baseline), peak(Side::Candidate)];
    match result {
        Ok(()) => end(run, session, None, peaks),
        Err(Halt::Broken(broken)) => end(run, session, Some(broken), peaks),
        Err(Halt::Error(error)) => Err(error),
    }
}

/// Records the session's end, unless the baseline is to be tried again.
fn end(
    run: &mut Run<'_, '_>,
    session: &PlannedSession,
    broken: Option<Broken>,
    [baseline_peak_rss_bytes, candidate_peak_rss_bytes]: [Option<u64>; 2],
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
        baseline_peak_rss_bytes,
        candidate_peak_rss_bytes,
        steady,
    }))?;
    Ok(Ended::Recorded)
}

/// Launches both sides, then loads both, each in the order of `first`, and records how it went.
fn launch(
    run: &mut Run<'_, '_>,
    session: &PlannedSession,
    launch: u32,
) -> Result<Result<Pair, Broken>, MeasureError> {
    let plan = run.plan;
    let mut launched: Vec<(Side, Launched)> = Vec::new();
    for side in Side::both_from(session.first) {
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
            Ok(ready) => loaded.push((side, ready)),
            Err(failure) => return broken_launch(run, session, launch, side, failure, launched),
        }
    }
    let shape = match common_shape(run, &loaded) {
        Ok(shape) => shape,
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
    let mut processes =
        launched.into_iter().map(|(side, launched)| Process::ready(side, launched.engine, now_ns));
    match (processes.next(), processes.next()) {
        (Some(first), Some(second)) => Ok(Ok(Pair { processes: [first, second], shape, launch, next_id: 1 })),
        _ => Err(MeasureError::Plan("a session has two sides".to_owned())),
    }
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
) -> Result<Result<Pair, Broken>, MeasureError> {
    for (_, process) in &mut launched {
        process.engine.close();
    }
    run.io.telemetry.watch(&[]);
    let outcome = LaunchOutcome::Failed(failure.clone());
    run.append(Record::Launch(Launch { session: session.index, launch, side, outcome }))?;
    Ok(Err(Broken { side, failure }))
}

/// Channels, height and width of the latents. The baseline sets them; since both sides get the
/// same noise, the candidate's must be equal.
fn common_shape(run: &Run<'_, '_>, loaded: &[(Side, Loaded)]) -> Result<[u32; 3], Broken> {
    let ready = |side| loaded.iter().find(|(s, _)| *s == side).map(|(_, loaded)| loaded.ready);
    let broken =
        |side, detail: String| Broken { side, failure: Failure { kind: FailureKind::Protocol, detail } };
    let (Some(baseline), Some(candidate)) = (ready(Side::Baseline), ready(Side::Candidate)) else {
        return Err(broken(Side::Baseline, "it was not loaded".to_owned()));
    };
    if candidate != baseline {
        let detail = format!(
            "ready: its latents have {} channels and a VAE factor of {}, the baseline's {} and {}; both get the same noise",
            candidate.latent_channels,
            candidate.vae_scale_factor,
            baseline.latent_channels,
            baseline.vae_scale_factor
        );
        return Err(broken(Side::Candidate, detail));
    }
    let (factor, request) = (baseline.vae_scale_factor, &run.plan.request);
    if factor == 0 || !request.width.is_multiple_of(factor) || !request.height.is_multiple_of(factor) {
        let detail = format!(
            "ready: its VAE factor of {factor} does not divide {}×{}; change the contest's size",
            request.width, request.height
        );
        return Err(broken(Side::Baseline, detail));
    }
    Ok([baseline.latent_channels, request.height / factor, request.width / factor])
}

/// Requests to both sides in turn until both are steady, or the plan's warm-up requests are used.
fn warm_up(run: &mut Run<'_, '_>, session: &PlannedSession, pair: &mut Pair) -> Result<(), Halt> {
    let plan = run.plan;
    let mut latencies: [Vec<u64>; 2] = Default::default();
    let mut refused: [Option<Failure>; 2] = [None, None];
    for (index, request) in (0u32..).zip(&session.warmup) {
        let request = &plan.requests[*request as usize];
        let latents = torch_randn(request.seed, pair.values());
        for which in 0..2 {
            let phase = Phase::Warmup { index };
            let question = Question { request, latents: &latents, phase, split: false };
            match ask(run, session, pair, which, question)? {
                Ok(latency) => latencies[which].push(latency),
                Err(failure) => refused[which] = Some(failure),
            }
        }
        if latencies.iter().all(|latencies| warm(plan, latencies)) {
            break;
        }
    }
    // A side that never made a picture will not make one in a pair either.
    for (which, failure) in refused.into_iter().enumerate() {
        if let Some(failure) = failure.filter(|_| latencies[which].is_empty()) {
            return Err(Halt::Broken(Broken { side: pair.processes[which].side, failure }));
        }
    }
    Ok(())
}

/// The pairs that are missing, in the plan's order.
fn measure(
    run: &mut Run<'_, '_>,
    session: &PlannedSession,
    todo: &Todo,
    pair: &mut Pair,
) -> Result<(), Halt> {
    let plan = run.plan;
    for missing in &todo.missing {
        let planned = &session.pairs[missing.pair as usize];
        let request = &plan.requests[planned.request as usize];
        let latents = torch_randn(request.seed, pair.values());
        for side in missing.sides.into_iter().flatten() {
            let which = usize::from(pair.processes[0].side != side);
            let phase = Phase::Measured { pair: missing.pair };
            let question = Question { request, latents: &latents, phase, split: missing.split() };
            if ask(run, session, pair, which, question)?.is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// Pairs asked once more, to see that no answer comes faster the second time. They end with the
/// session: a resumed one repeats only what it asked itself.
fn repeat(run: &mut Run<'_, '_>, session: &PlannedSession, pair: &mut Pair) -> Result<(), Halt> {
    let plan = run.plan;
    for planned in &session.repeats {
        let asked = run.log.session(session.index).complete_pairs(session.pairs.len() as u32).any(
            |(index, baseline, candidate)| {
                index == planned.pair && baseline.launch == pair.launch && candidate.launch == pair.launch
            },
        );
        let Some(original) = session.pairs.get(planned.pair as usize).filter(|_| asked) else { continue };
        let request = &plan.requests[original.request as usize];
        let latents = torch_randn(request.seed, pair.values());
        for side in Side::both_from(planned.first) {
            let which = usize::from(pair.processes[0].side != side);
            let phase = Phase::Repeat { pair: planned.pair };
            let question = Question { request, latents: &latents, phase, split: false };
            if ask(run, session, pair, which, question)?.is_err() {
                break;
            }
        }
    }
    Ok(())
}

impl Pair {
    /// Number of latents.
    fn values(&self) -> usize {
        self.shape.iter().map(|side| *side as usize).product()
    }
}

/// A request and what it is for.
#[derive(Clone, Copy)]
struct Question<'a> {
    request: &'a PlannedRequest,
    latents: &'a [f32],
    phase: Phase,
    /// The other side was measured in another launch.
    split: bool,
}

/// One request to one side, recorded: its latency, or a failure that leaves the engine usable.
fn ask(
    run: &mut Run<'_, '_>,
    session: &PlannedSession,
    pair: &mut Pair,
    which: usize,
    Question { request, latents, phase, split }: Question<'_>,
) -> Result<Result<u64, Failure>, Halt> {
    run.check_interrupt()?;
    let plan = run.plan;
    let (shape, id) = (pair.shape, pair.next_id);
    pair.next_id += 1;
    let process = &mut pair.processes[which];
    let side = process.side;
    let Some(pipeline) = plan.pipeline(pipeline_of(plan, session, side)) else {
        return Err(Halt::Error(MeasureError::Plan(format!(
            "sessions[{}]: no such pipeline",
            session.index
        ))));
    };
    process.engine.set_patience(run.patience.seconds(side));
    process.wakes(run.now_ns());
    let started_ns = run.now_ns();
    let answer = process.engine.generate(&Request {
        id,
        prompt: &request.prompt,
        negative_prompt: &plan.request.negative_prompt,
        seed: request.seed,
        steps: pipeline.generation.steps,
        guidance_scale: pipeline.generation.guidance_scale,
        width: plan.request.width,
        height: plan.request.height,
        latent_shape: shape,
        latents,
    });
    process.rests(run.now_ns());
    let (outcome, result) = match answer {
        Ok(answer) => {
            let image = run.store(&answer.rgb)?;
            let (latency_ns, engine_ns) = (answer.latency_ns, answer.engine_ns);
            (Outcome::Picture { latency_ns, image, engine_ns }, Ok(latency_ns))
        }
        Err(failure) => (Outcome::Failed(failure.clone()), Err(failure)),
    };
    run.append(Record::Attempt(Attempt {
        session: session.index,
        launch: pair.launch,
        side,
        phase,
        request: request.id,
        started_ns,
        outcome,
        marks: if split { vec![Mark::Split] } else { Vec::new() },
    }))?;
    match result {
        Err(failure) if is_fatal(&failure) => Err(Halt::Broken(Broken { side, failure })),
        other => Ok(other),
    }
}
