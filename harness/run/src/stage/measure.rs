//! Executing a plan.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use edgemaxx_contract::contest::{DeviceKind, EngineSpec};
use edgemaxx_contract::environment::Confinement;
use edgemaxx_contract::fleet::Fleet;
use edgemaxx_contract::plan::{Plan, Side};
use edgemaxx_contract::run_files::{ENVIRONMENT_FILE, FLEET_FILE};
use edgemaxx_contract::sample::{LaunchOutcome, Outcome, Phase};
use edgemaxx_contract::shown_text::shorten;
use edgemaxx_devices::{Chosen, Pins, Sources, Wanted, computed_on, cpu, environment, sources};
use edgemaxx_engine::{Cores, MonotonicClock, detect_sandbox, null};
use edgemaxx_measure::telemetry::{NoTelemetry, Recorder, Settings, Telemetry};
use edgemaxx_measure::{Event, FolderDisk, Io, MeasureError, Summary, execute};

#[cfg(feature = "fleet")]
pub(crate) use super::lanes::measured;
use super::lanes::{finished, measure_lanes};
pub use super::measure_options::Options;
use crate::built_in_engine::accelerator;
use crate::error::{Class, InFile as _, Result, RunError};
use crate::folder::RunFolder;
use crate::origin::Origin;
use crate::prepare::Host;
use crate::progress::{Observer, Progress};
use crate::stop_rule::Stops;
use crate::task::kit;
use crate::{build, fitness, floor, kernel_cache, prepare};

/// Measures a planned run, or goes on with it.
///
/// # Errors
/// The machine is unfit, the baseline fails, or measuring was interrupted; what was recorded is kept.
pub fn measure_run(folder: &RunFolder, options: Options<'_>, observer: &dyn Observer) -> Result<Summary> {
    let resume = options.resume;
    let plan = folder.plan()?;
    let contest = folder.contest(&plan)?;
    held_elsewhere(folder)?;
    if plan.lanes > 1 {
        return measure_lanes(folder, &plan, options, observer);
    }
    if !options.devices.is_empty() {
        return Err(RunError::input(
            "--devices: the run was planned for one lane; name its card by --device, or begin another run",
        ));
    }
    if let Some(summary) = finished(folder, &plan)? {
        observer.note("nothing is left to be measured");
        return Ok(summary);
    }
    runs_here(&plan)?;
    std::fs::create_dir_all(folder.path()).in_file(folder.path())?;
    let codec = kit(plan.task)?.codec();
    let base = Origin::of(folder)?.base;
    let sandbox = detect_sandbox();
    fitness::put_back_leftovers(observer);
    let work = floor::work(&plan, &base)?;
    let (device, threads) = (plan.device.clone(), plan.measurement.threads);
    let wanted = Wanted { device, threads, weights_bytes: floor::weights_at_once(&plan, &work) };
    let before = if folder.holds(ENVIRONMENT_FILE) { Some(folder.environment(&plan)?) } else { None };
    let card = before.as_ref().and_then(|before| before.card.as_ref());
    let chosen = fitness::choose(&plan.device, options.device, card)?;
    let found = fitness::examine(&wanted, &chosen, &sandbox, folder.path());
    let unfit = fitness::judge(&found, options.allow_unfit, observer)?;
    let pins = Pins { threads: plan.measurement.threads, card: chosen.card().cloned() };
    let cores = Cores::of(pins.threads);
    let bounds = sandbox.bounds(&pins);
    let mut environment =
        environment(build::build(), Confinement::from(&sandbox), Some(bounds), &pins, unfit);
    let host = Host { pins, sandbox };
    let _locked = if options.lock_clocks { Some(fitness::lock_clocks(&chosen, observer)?) } else { None };
    // What was recorded stays true when a run is resumed on the same machine.
    match before {
        None => {
            match null::overhead_ns(codec, &plan, &prepare::null(&plan, &host)?) {
                Ok(ns) => environment.protocol_ns = Some(ns),
                Err(failure) => observer.note(&format!("warning: the null engine {failure}")),
            }
            match floor::peaks(accelerator(plan.device.kind), &host.pins, floor::BEFORE_A_RUN) {
                Ok(peaks) => environment.peaks = Some(peaks),
                Err(error) => observer.note(&format!("warning: {error}")),
            }
            environment.work = work;
            environment.pins.extend(prepare::engine_settings(&plan, &host.pins)?);
            environment.pins.sort();
            folder.write_document(ENVIRONMENT_FILE, &environment)?;
        }
        Some(mut before) => {
            if before.build.is_some() && before.build != environment.build {
                observer.note("warning: this run was begun by an EdgeMaxx that was built otherwise");
            }
            // A machine that has become unfit meanwhile is unfit for all of the run.
            environment.unfit.retain(|reason| !before.unfit.contains(reason));
            if !environment.unfit.is_empty() {
                before.unfit.append(&mut environment.unfit);
                folder.write_document(ENVIRONMENT_FILE, &before)?;
            }
        }
    }
    // Nothing is derived anew under the engines of another process.
    let mut disk =
        FolderDisk::open_lane(folder.path(), folder.keeps()).map_err(|error| failure(error, resume))?;
    let mut launcher = prepare::launcher(folder, &plan, &base, &host)?;
    kernel_cache::compile(folder, &plan, codec, &mut launcher, observer)?;

    let interrupt = observer.interrupt();
    let clock = MonotonicClock::start();
    let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let mut recorder = if options.no_telemetry {
        None
    } else {
        Some(recorder(folder, &plan, &chosen, clock, resume, observer)?)
    };
    let telemetry: &mut dyn Telemetry = match &mut recorder {
        Some(recorder) => recorder,
        None => &mut NoTelemetry,
    };
    let _kept = cores.keep_to_harness();
    let mut io = Io { codec, disk: &mut disk, clock: &clock, telemetry, unix_ms };
    let mut watcher = Watcher { progress: observer.begin("measure", pair_count(&plan)), done: 0 };
    let deadline = options.deadline.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    let mut rule = Stops::of(folder, &plan, &contest, deadline, interrupt.clone())?;
    let result = execute(&plan, &mut io, &mut launcher, &mut rule, &mut watcher, &interrupt);
    if let Some(Err(error)) = recorder.map(Recorder::finish) {
        observer.note(&format!("warning: telemetry ended early: {error}"));
    }
    match result {
        Ok(summary) => {
            watcher.progress.end(&format!(
                "{} sessions, {} requests",
                summary.complete + summary.aborted,
                summary.attempts
            ));
            Ok(summary)
        }
        Err(error) => Err(failure(error, resume)),
    }
}

/// Refuses to go on here with what a worker of a fleet has begun: a lane is one card of one host.
fn held_elsewhere(folder: &RunFolder) -> Result<()> {
    let within = folder.within();
    let run = within.as_ref().map_or(folder, |(run, _)| run);
    if !run.holds(FLEET_FILE) {
        return Ok(());
    }
    let fleet: Fleet = run.document(FLEET_FILE)?;
    let own = within.as_ref().map(|(_, lane)| *lane);
    let lanes = (0..).zip(&fleet.lanes).filter(|(number, _)| own.is_none_or(|own| own == *number));
    match lanes.into_iter().find(|(_, lane)| lane.attempt > 0 && !lane.done) {
        Some((number, _)) => Err(RunError::input(format!(
            "{}: a worker of a fleet measures lane {number}; go on with `edgemaxx run` by --resume and --fleet",
            run.file(FLEET_FILE).display()
        ))),
        None => Ok(()),
    }
}

/// Refuses a device that this build's own engine cannot use.
fn runs_here(plan: &Plan) -> Result<()> {
    let native = plan.pipelines.iter().any(|pipeline| pipeline.engine == EngineSpec::Native);
    let unfit = |why: String| Err(RunError::of(Class::Environment, why));
    if let Err(lacks) = computed_on(plan.device.kind) {
        return unfit(lacks.to_owned());
    }
    if plan.device.kind == DeviceKind::Cuda && native && !cfg!(feature = "cuda") {
        return unfit(
            "this build's own engine computes on the CPU only; build it with scripts/build-cuda.sh, or name another engine in the contest"
                .to_owned(),
        );
    }
    Ok(())
}

/// The thread that reads the machine meanwhile.
fn recorder(
    folder: &RunFolder,
    plan: &Plan,
    chosen: &Chosen,
    clock: MonotonicClock,
    resume: &str,
    observer: &dyn Observer,
) -> Result<Recorder> {
    let Sources { list, period, unwatched } = sources(chosen.card());
    if let Some(why) = unwatched {
        observer.note(&format!("warning: no telemetry of the GPU: {why}"));
    }
    let settings = Settings { period, spare_processor: cpu::cpus() > plan.measurement.threads };
    Recorder::open(folder.path(), plan.digest(), clock, settings, list)
        .map_err(|error| failure(error, resume))
}

fn pair_count(plan: &Plan) -> u64 {
    plan.sessions.iter().map(|session| session.pairs.len() as u64).sum()
}

/// An error of measuring, with its exit code and the next step.
fn failure(error: MeasureError, resume: &str) -> RunError {
    let class = match &error {
        MeasureError::Interrupted => Class::Interrupted,
        MeasureError::Baseline { .. } => Class::Engine,
        MeasureError::Io { .. } | MeasureError::Descriptors { .. } | MeasureError::Locked { .. } => {
            Class::Environment
        }
        MeasureError::Log { .. }
        | MeasureError::Telemetry { .. }
        | MeasureError::Plan(_)
        | MeasureError::Task(_) => Class::Input,
    };
    let message = match error {
        MeasureError::Interrupted => format!("interrupted; nothing recorded is lost, go on with `{resume}`"),
        MeasureError::Io { .. } | MeasureError::Descriptors { .. } => format!("{error}: `{resume}`"),
        MeasureError::Baseline { .. } => format!(
            "{error}; where this machine is to blame, mend it and go on with `{resume}`; where the contest or the checkpoint is, change it and begin a new run in another folder, or in this one when it is removed"
        ),
        _ => error.to_string(),
    };
    RunError::of(class, message)
}

/// Characters of a failure that are shown at once; the report shows all of them.
const LINE: usize = 400;

/// Shows what happens.
struct Watcher {
    progress: Box<dyn Progress>,
    done: u64,
}

impl edgemaxx_measure::Observer for Watcher {
    fn on(&mut self, event: &Event<'_>, so_far: &edgemaxx_measure::Progress) {
        match event {
            Event::Started { resumed: true } => {
                self.done = u64::from(so_far.pairs_done);
                self.progress.skip(self.done);
            }
            Event::Session { sessions, .. } => {
                let names: Vec<&str> = sessions.iter().map(|session| session.candidate.as_str()).collect();
                let round = sessions.first().map_or(0, |session| session.round + 1);
                self.progress.doing(&format!("round {round}, {}", names.join(", ")));
            }
            Event::Launch(launch) => {
                if let LaunchOutcome::Failed(failure) = &launch.outcome {
                    self.failed("launch", launch.side, failure);
                }
            }
            Event::Attempt(attempt) => {
                if let Outcome::Failed(failure) = &attempt.outcome {
                    let what =
                        if matches!(attempt.phase, Phase::Warmup { .. }) { "warm-up" } else { "request" };
                    self.failed(what, attempt.side, failure);
                }
            }
            Event::BaselineRetry { session, .. } => {
                self.progress.line(&format!("session {session}: the baseline failed; launching all anew"));
            }
            Event::Stopped(stop) => {
                self.progress.line(&format!(
                    "{}: stopped after {} sessions: {}",
                    stop.candidate, stop.after_sessions, stop.reason
                ));
            }
            Event::Started { .. } | Event::Ended(_) => {}
        }
        let done = u64::from(so_far.pairs_done);
        self.progress.advance(done.saturating_sub(self.done));
        self.done = self.done.max(done);
    }
}

impl Watcher {
    fn failed(&self, what: &str, side: Side, failure: &edgemaxx_contract::sample::Failure) {
        self.progress.line(&shorten(&format!("{what}: the {side} {failure}"), LINE));
    }
}
