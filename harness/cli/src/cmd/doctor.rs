//! `edgemaxx doctor`: is this machine fit to measure?

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use edgemaxx_contract::contest::{Contest, Device, DeviceKind};
use edgemaxx_engine::{SandboxStatus, detect_sandbox};
use edgemaxx_measure::preflight::{
    Check, ClockError, Fitness, Lock, NvmlClocks, Wanted, checks, gather, leftover, lock, restore,
};
use serde::Serialize;

use crate::error::{Exit, Failure, InFile as _};
use crate::rehearse::rehearse;
use crate::terminal::{answer, answer_json, answer_lines, note};

/// Looks at this machine the way a run does, and says how to mend what is wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx doctor fixtures/contests/emoji-cpu.toml
  edgemaxx doctor contest.toml --fix        the commands that mend it
  edgemaxx doctor --json                    this machine, for no contest in particular
  edgemaxx doctor --restore                 unlock clocks that somebody left locked

`run` and `measure` look at the same things, and end before they measure where one is unfit; with
--allow-unfit they go on, and no weights can come of the run. --lock-clocks locks a GPU's clocks for
the run and puts them back, after a crash the next time that EdgeMaxx is started.

Exit code: 0 fit · 2 the contest asks for what cannot be done · 3 unfit, or no weights can come of this machine.")]
pub(crate) struct Args {
    /// Contest to be fit for.
    contest: Option<PathBuf>,
    /// Print the commands that mend what they can.
    #[arg(long)]
    fix: bool,
    /// Put back clocks that are locked, whoever locked them.
    #[arg(long, conflicts_with_all = ["contest", "fix"])]
    restore: bool,
    /// Print the checks as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    fit: bool,
    checks: &'a [Check],
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        if self.restore {
            let put_back = restore(&state_folder(), &mut NvmlClocks).map_err(clock_failure)?;
            return answer(&match put_back {
                Some(gpu) => format!("GPU {gpu}: clocks put back"),
                None => "no clocks were locked by EdgeMaxx".to_owned(),
            });
        }
        put_back_leftovers();
        let wanted = match &self.contest {
            Some(path) => {
                let contest = Contest::parse(&std::fs::read_to_string(path).in_file(path)?).in_file(path)?;
                let base = path.parent().unwrap_or(Path::new(""));
                rehearse(&contest, base, &[]).with_context(|| path.display().to_string())?;
                Wanted { device: contest.device, threads: contest.measurement.threads }
            }
            None => any_device(),
        };
        let found = examine(&wanted, &detect_sandbox(), Path::new("."));
        let fit = found.iter().all(|check| check.fitness < Fitness::NoWeights);
        if self.json {
            answer_json(&Answer { fit, checks: &found })?;
        } else if self.fix {
            let commands: Vec<&str> =
                found.iter().flat_map(|check| &check.commands).map(String::as_str).collect();
            answer(&if commands.is_empty() {
                "no command mends anything here".to_owned()
            } else {
                commands.join("\n")
            })?;
        } else {
            answer_lines(&table(&found))?;
        }
        if fit {
            Ok(())
        } else {
            Err(Failure::error(Exit::Environment, "this machine is not fit; see above"))
        }
    }
}

/// A GPU of any name where there is one, else the processor.
fn any_device() -> Wanted {
    let kind = if edgemaxx_measure::gpu_names().is_empty() { DeviceKind::Cpu } else { DeviceKind::Cuda };
    Wanted { device: Device { kind, name: None, free_memory_mib: None, driver: None }, threads: 1 }
}

/// All checks of this machine; `folder` is where the run is written.
pub(crate) fn examine(wanted: &Wanted, sandbox: &SandboxStatus, folder: &Path) -> Vec<Check> {
    // Engines see the first GPU by PCI bus.
    let gpu = (wanted.device.kind == DeviceKind::Cuda).then_some(0);
    checks(wanted, &gather(gpu, sandbox, folder))
}

/// What a run does with what was found: ends, or goes on and says so. What keeps weights from it.
pub(crate) fn judge(found: &[Check], allow_unfit: bool) -> anyhow::Result<Vec<String>> {
    let words = |check: &Check| format!("{}: {}: {}", check.name, check.found, check.cure);
    let unfit: Vec<String> = found.iter().filter(|c| c.fitness == Fitness::Unfit).map(words).collect();
    if !unfit.is_empty() && !allow_unfit {
        return Err(Failure::error(
            Exit::Environment,
            format!(
                "this machine is not fit for the contest, and nothing was measured:\n{}\nmend it (`edgemaxx doctor` tells more), or measure all the same by --allow-unfit: no weights can come of it",
                unfit.join("\n")
            ),
        ));
    }
    for check in found.iter().filter(|check| check.fitness == Fitness::Advice) {
        note(&format!("advice: {}", words(check)));
    }
    let marked: Vec<String> = found.iter().filter(|c| c.fitness >= Fitness::NoWeights).map(words).collect();
    for reason in &marked {
        note(&format!("warning: no weights can come of this run: {reason}"));
    }
    Ok(marked)
}

/// Locks the GPU's clocks for this run to what it holds by default, or at most.
pub(crate) fn lock_clocks() -> anyhow::Result<Lock> {
    let facts = gather(Some(0), &SandboxStatus::Unsandboxed { reason: String::new() }, Path::new("."));
    let gpu = match facts.gpu {
        Some(Ok(gpu)) => gpu,
        Some(Err(why)) => return Err(Failure::error(Exit::Environment, format!("--lock-clocks: {why}"))),
        None => return Err(Failure::input("--lock-clocks: no GPU is used")),
    };
    let mhz = gpu.default_clock_mhz.or(gpu.clock_mhz.map(|(_, most)| most)).ok_or_else(|| {
        Failure::error(Exit::Environment, "--lock-clocks: the driver does not tell its clocks")
    })?;
    let held = lock(&state_folder(), Box::new(NvmlClocks), gpu.index, mhz).map_err(clock_failure)?;
    note(&format!("GPU {}: clocks locked to {mhz} MHz for this run", gpu.index));
    Ok(held)
}

/// Puts back the clocks that a crashed run left locked.
pub(crate) fn put_back_leftovers() {
    match leftover(&state_folder(), &mut NvmlClocks) {
        Ok(None) => {}
        Ok(Some(gpu)) => note(&format!("GPU {gpu}: put back the clocks that a run which crashed had locked")),
        Err(error @ ClockError::State { .. }) => {
            note(&format!("warning: cannot tell whether a run that crashed left clocks locked: {error}"));
        }
        Err(error) => note(&format!("warning: a run that crashed left clocks locked: {error}")),
    }
}

fn clock_failure(error: ClockError) -> anyhow::Error {
    Failure::error(Exit::Environment, error.to_string())
}

/// Where it is kept what must be put back.
fn state_folder() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("XDG_STATE_HOME")
        .or_else(|| Some(named("HOME")?.join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("edgemaxx")
}

fn table(found: &[Check]) -> Vec<String> {
    let mut lines = Vec::new();
    for check in found {
        let sign = match check.fitness {
            Fitness::Fit => "ok",
            Fitness::Unknown => "?",
            Fitness::Advice => "advice",
            Fitness::NoWeights => "NO WEIGHTS",
            Fitness::Unfit => "UNFIT",
        };
        lines.push(format!("{sign:<11} {:<19} {}", check.name, check.found));
        if check.fitness > Fitness::Unknown {
            lines.push(format!("{:31} why: {}", "", check.why));
            lines.push(format!("{:31} cure: {}", "", check.cure));
            lines.extend(check.commands.iter().map(|command| format!("{:31} $ {command}", "")));
        }
    }
    lines
}
