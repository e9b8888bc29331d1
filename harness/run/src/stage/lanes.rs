//! Executing a plan on several lanes at once: a child process of this very program for each, confined to its own
//! processors and to its own card.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use edgemaxx_contract::contest::DeviceKind;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::run_files::{ENVIRONMENT_FILE, LANES_FOLDER, SAMPLES_FILE};
use edgemaxx_devices::Ask;
use edgemaxx_engine::Cores;
use edgemaxx_measure::Summary;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::measure_options::Options;
use crate::child_failure::{FAILURE_VARIABLE, Failure};
use crate::error::{Class, InFile as _, Result, RunError};
use crate::folder::RunFolder;
use crate::progress::Observer;

/// How often it is looked whether the run is to be ended.
const LOOK: Duration = Duration::from_millis(100);

/// Where a lane's process writes down how it failed, in the lane's folder.
const FAILURE_FILE: &str = ".failure.json";

/// Measures what is left of each lane, all at the same time. A lane that fails does not end the others, unless they
/// decide together who needs no further session: what they measure is kept, and `resume` goes on with what is left.
///
/// # Errors
/// The lanes cannot have processors or cards of their own, one of them failed, or measuring was interrupted.
pub(super) fn measure_lanes(
    folder: &RunFolder,
    plan: &Plan,
    options: Options<'_>,
    observer: &dyn Observer,
) -> Result<Summary> {
    let mut lanes = Vec::new();
    for number in 0..plan.lanes {
        let own = folder.lane(number)?;
        if finished(&own, &plan.of_lane(number))?.is_none() {
            lanes.push((number, own));
        }
    }
    if lanes.is_empty() {
        observer.note("nothing is left to be measured");
    } else {
        let cards = cards(plan, &lanes, options)?;
        let threads = plan.measurement.threads;
        let cores = Cores::dealt(plan.lanes, threads).ok_or_else(|| {
            RunError::of(
                Class::Environment,
                format!(
                    "{} lanes cannot have processors of their own here: the contest computes with {threads} threads, and each lane needs as many, on cores that no other lane uses; plan the run with fewer lanes",
                    plan.lanes
                ),
            )
        })?;
        let interrupt = observer.interrupt();
        let mut running = Vec::new();
        let (told, heard) = channel();
        for (number, own) in lanes {
            let (card, cores) = (cards.get(number as usize).copied(), &cores[number as usize]);
            running.push(Lane::begin(folder, number, own, card, cores, options, told.clone())?);
        }
        drop(told);
        let mut ending = false;
        loop {
            match heard.recv_timeout(LOOK) {
                Ok((number, line)) => observer.note(&format!("lane {number}: {line}")),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // Lanes that decide together wait for one another: none goes on alone.
            let broken = plan.measurement.stopping.is_adaptive() && running.iter_mut().any(Lane::has_failed);
            if !ending && (broken || interrupt.load(Ordering::Relaxed)) {
                ending = true;
                running.iter().for_each(Lane::end);
            }
        }
        let failures: Vec<RunError> =
            running.iter_mut().filter_map(|lane| lane.failure(options.resume)).collect();
        // What is to be mended is said first.
        let worst = failures.into_iter().min_by_key(|error| error.class() == Class::Interrupted);
        worst.map_or(Ok(()), Err)?;
    }
    measured(folder, plan)
}

/// What the lanes of a run that came to their end hold; of a run with one lane, that run.
pub(crate) fn measured(folder: &RunFolder, plan: &Plan) -> Result<Summary> {
    if plan.lanes == 1 {
        return Ok(finished(folder, plan)?.unwrap_or_default());
    }
    let mut summary = Summary::default();
    for number in 0..plan.lanes {
        let own = folder.lane(number)?;
        let Some(found) = finished(&own, &plan.of_lane(number))? else { continue };
        summary.complete += found.complete;
        summary.aborted += found.aborted;
        summary.attempts += found.attempts;
        summary.failures += found.failures;
        summary.stopped.extend(found.stopped);
    }
    summary.head = Some(folder.samples(plan)?.chain.head());
    Ok(summary)
}

/// What a measurement that came to its end holds: nothing of it is touched again.
pub(super) fn finished(folder: &RunFolder, plan: &Plan) -> Result<Option<Summary>> {
    if !folder.holds(SAMPLES_FILE) {
        return Ok(None);
    }
    let path = folder.file(SAMPLES_FILE);
    // A torn last line, be it within a letter, is for `execute` to cut off.
    if fs::read(&path).in_file(&path)?.last() != Some(&b'\n') {
        return Ok(None);
    }
    Ok(edgemaxx_measure::finished(plan, &folder.samples(plan)?))
}

/// The card of each lane by number, where the contest is for cards and they are named; a lane that goes on keeps its own.
fn cards(plan: &Plan, lanes: &[(u32, RunFolder)], options: Options<'_>) -> Result<Vec<u32>> {
    let cards = options.devices;
    if plan.device.kind == DeviceKind::Cpu {
        return match cards.is_empty() {
            true => Ok(Vec::new()),
            false => Err(RunError::input(
                "--devices: the contest is for the processor; --lanes N deals its cores to N lanes",
            )),
        };
    }
    if options.device != Ask::Only {
        return Err(RunError::input(format!(
            "--device: the run has {} lanes; name the card of each by --devices",
            plan.lanes
        )));
    }
    let placed = lanes.iter().all(|(_, own)| own.holds(ENVIRONMENT_FILE));
    if cards.is_empty() && placed {
        return Ok(Vec::new());
    }
    if cards.len() != plan.lanes as usize {
        return Err(RunError::input(format!(
            "--devices: expected the cards of {} lanes, found {}",
            plan.lanes,
            cards.len()
        )));
    }
    if cards.iter().collect::<BTreeSet<_>>().len() < cards.len() {
        return Err(RunError::input("--devices: names a card twice: lanes on one card wait for each other"));
    }
    Ok(cards.to_vec())
}

/// A lane's process.
struct Lane {
    number: u32,
    folder: RunFolder,
    child: Child,
}

impl Lane {
    fn begin(
        run: &RunFolder,
        number: u32,
        folder: RunFolder,
        card: Option<u32>,
        cores: &[u32],
        options: Options<'_>,
        told: Sender<(u32, String)>,
    ) -> Result<Self> {
        let program = std::env::current_exe().map_err(|error| {
            RunError::of(Class::Environment, format!("this program cannot be found: {error}"))
        })?;
        let mut command = Command::new(program);
        command.arg("measure").arg(run.path()).args(["--resume", "--lane", &number.to_string()]);
        command.args(["--parent", &std::process::id().to_string()]);
        if !cores.is_empty() {
            let cores: Vec<String> = cores.iter().map(u32::to_string).collect();
            command.args(["--cores", &cores.join(",")]);
        }
        if let Some(card) = card {
            command.args(["--device", &card.to_string()]);
        }
        for (flag, wanted) in [
            ("--no-telemetry", options.no_telemetry),
            ("--allow-unfit", options.allow_unfit),
            ("--lock-clocks", options.lock_clocks),
        ] {
            command.args(wanted.then_some(flag));
        }
        if let Some(deadline) = options.deadline {
            command.args(["--deadline", &deadline.to_string()]);
        }
        let failure = folder.file(FAILURE_FILE);
        std::fs::create_dir_all(folder.path()).in_file(folder.path())?;
        Failure::expect_at(&failure);
        command.env(FAILURE_VARIABLE, failure);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().in_file(folder.path())?;
        if let Some(said) = child.stderr.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(said).lines().map_while(std::io::Result::ok) {
                    if told.send((number, line)).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self { number, folder, child })
    }

    /// Asks the process to end, as its own user would.
    fn end(&self) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
    }

    /// Whether it has ended otherwise than well.
    fn has_failed(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(status)) if !status.success())
    }

    /// Waits for its end: how it failed, if it did.
    fn failure(&mut self, resume: &str) -> Option<RunError> {
        let told = self.folder.file(FAILURE_FILE);
        let ended = match self.child.wait() {
            Ok(status) if status.success() => return None,
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let failure = Failure::told_at(&told);
        Failure::expect_at(&told);
        Some(match failure {
            Some(Failure { class: Class::Interrupted, .. }) => RunError::of(
                Class::Interrupted,
                format!("interrupted; nothing recorded is lost, go on with `{resume}`"),
            ),
            Some(Failure { class, message }) => {
                RunError::of(class, format!("lane {}: {message}", self.number))
            }
            None => RunError::of(
                Class::Environment,
                format!(
                    "{LANES_FOLDER}/{}: its process ended with {ended}; nothing recorded is lost, go on with `{resume}`",
                    self.number
                ),
            ),
        })
    }
}

/// No lane's process outlives this one, however it ends: on an error half-way the others are ended, too.
impl Drop for Lane {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
            let _ = self.child.wait();
        }
    }
}
