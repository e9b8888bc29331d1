//! `edgemaxx measure`: executes a plan.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use edgemaxx_contract::contest::{DeviceKind, EngineSpec};
use edgemaxx_contract::plan::{Plan, Side};
use edgemaxx_contract::sample::{LaunchOutcome, Outcome, Phase};
use edgemaxx_engine::{MonotonicClock, detect_sandbox};
use edgemaxx_measure::{Event, FolderDisk, Io, MeasureError, Observer, Summary, environment, execute};

use crate::cmd::plan::Origin;
use crate::error::{Exit, Failure};
use crate::folder::RunFolder;
use crate::progress::Progress;
use crate::stop_rule::SequentialStops;
use crate::terminal::{answer, note};
use crate::{null, prepare};

/// Executes a plan: launches engines, times every request, records every attempt.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx measure runs/mine
  edgemaxx measure runs/mine --resume     after an interruption; nothing recorded is measured again")]
pub(crate) struct Args {
    /// Run folder.
    run: PathBuf,
    /// Go on with an interrupted measurement.
    #[arg(long)]
    resume: bool,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let folder = RunFolder::open(&self.run)?;
        if !self.resume && folder.file("samples.jsonl").exists() {
            return Err(Failure::input(format!(
                "{}: holds samples already; go on with them by --resume",
                self.run.display()
            )));
        }
        let summary = measure_run(&folder, &format!("edgemaxx measure {} --resume", self.run.display()))?;
        answer(&format!(
            "{} sessions complete, {} aborted; {} requests, {} failed\nnext: edgemaxx quality {}",
            summary.complete,
            summary.aborted,
            summary.attempts,
            summary.failures,
            self.run.display()
        ))
    }
}

/// Measures a planned run, or goes on with it; `resume` is the command that would go on again.
pub(crate) fn measure_run(folder: &RunFolder, resume: &str) -> anyhow::Result<Summary> {
    let plan = folder.plan()?;
    let contest = folder.contest(&plan)?;
    fit_device(&plan)?;
    let base = Origin::of(folder)?.base;
    let sandbox = detect_sandbox();
    let mut environment = environment(&plan.device, &sandbox, &prepare::pins(&plan));
    if let Some(gap) = sandbox.gap() {
        note(&format!("warning: {gap}"));
    }
    for reason in &environment.unfit {
        note(&format!("warning: no weights can come of this run: {reason}"));
    }
    // What was recorded stays true when a run is resumed on the same machine.
    if !folder.file("environment.json").exists() {
        match null::overhead_ns(&plan, prepare::native(&plan, &sandbox)?) {
            Ok(ns) => environment.protocol_ns = Some(ns),
            Err(failure) => {
                note(&format!("warning: the null engine {}: {}", failure.kind, failure.detail));
            }
        }
        environment.pins.extend(prepare::engine_settings(&plan)?);
        environment.pins.sort();
        folder.write_document("environment.json", &environment)?;
    }
    let mut launcher = prepare::launcher(folder, &plan, &base, &sandbox)?;

    let interrupt = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupt);
    let handler = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted as i32);
        }
        note("\ninterrupted: ending after the request in flight (again: at once)");
    });
    if let Err(error) = handler {
        note(&format!("warning: Ctrl-C ends this run at once: {error}"));
    }

    let clock = MonotonicClock::start();
    let mut disk = FolderDisk::open(folder.path()).map_err(|error| failure(error, resume))?;
    let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let mut io = Io { disk: &mut disk, clock: &clock, unix_ms };
    let mut watcher = Watcher { progress: Progress::begin("measure", pair_count(&plan)), done: 0 };
    let mut rule = SequentialStops::of(folder, &plan, &contest)?;
    let result = execute(&plan, &mut io, &mut launcher, &mut rule, &mut watcher, &interrupt);
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

/// Refuses a device that cannot be what the contest asks for.
fn fit_device(plan: &Plan) -> anyhow::Result<()> {
    let native = plan.pipelines.iter().any(|pipeline| pipeline.engine == EngineSpec::Native);
    let wanted = plan.device.name.as_deref().unwrap_or("any");
    let unfit = |why: String| Err(Failure::error(Exit::Environment, why));
    match plan.device.kind {
        DeviceKind::Cpu => Ok(()),
        DeviceKind::Cuda => {
            let gpus = edgemaxx_measure::gpu_names();
            if gpus.is_empty() {
                return unfit(format!(
                    "the contest is for an NVIDIA GPU ({wanted}), and the driver shows none here; run it on such a machine"
                ));
            }
            if plan.device.name.as_ref().is_some_and(|name| !gpus.contains(name)) {
                return unfit(format!("the contest is for {wanted:?}; here is {}", gpus.join(", ")));
            }
            if native && !cfg!(feature = "cuda") {
                return unfit(
                    "this build's own engine computes on the CPU only; build it with scripts/build-cuda.sh, or name another engine in the contest"
                        .to_owned(),
                );
            }
            Ok(())
        }
        DeviceKind::Metal => {
            unfit(format!("the contest is for an Apple GPU ({wanted}), which this build cannot use"))
        }
    }
}

fn pair_count(plan: &Plan) -> u64 {
    plan.sessions.iter().map(|session| session.pairs.len() as u64).sum()
}

/// An error of measuring, with its exit code and the next step.
fn failure(error: MeasureError, resume: &str) -> anyhow::Error {
    let exit = match &error {
        MeasureError::Interrupted => Exit::Interrupted,
        MeasureError::Baseline { .. } => Exit::Engine,
        MeasureError::Io { .. } | MeasureError::Locked { .. } => Exit::Environment,
        MeasureError::Log { .. } | MeasureError::Plan(_) | MeasureError::Encode(_) => Exit::Input,
    };
    let message = match error {
        MeasureError::Interrupted => format!("interrupted; nothing recorded is lost, go on with\n  {resume}"),
        MeasureError::Io { .. } | MeasureError::Baseline { .. } => format!("{error}:\n  {resume}"),
        _ => error.to_string(),
    };
    Failure::error(exit, message)
}

/// Shows what happens.
struct Watcher {
    progress: Progress,
    done: u64,
}

impl Observer for Watcher {
    fn on(&mut self, event: &Event<'_>, so_far: &edgemaxx_measure::Progress) {
        match event {
            Event::Started { resumed: true } => {
                self.done = u64::from(so_far.pairs_done);
                self.progress.skip(self.done);
            }
            Event::Session { session, .. } => {
                self.progress.doing(&format!("round {}, {}", session.round + 1, session.candidate));
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
                self.progress.line(&format!("session {session}: the baseline failed; launching both anew"));
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
        let detail = failure.detail.lines().next().unwrap_or_default();
        self.progress.line(&format!("{what}: the {side} {}: {detail}", failure.kind));
    }
}
