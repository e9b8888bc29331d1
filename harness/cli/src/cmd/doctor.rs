//! `edgemaxx doctor`: is this machine fit to measure?

use std::path::{Path, PathBuf};

use edgemaxx_candle::Accelerator;
use edgemaxx_contract::contest::DeviceKind;
use edgemaxx_contract::environment::Card;
use edgemaxx_contract::floor::Peaks;
use edgemaxx_devices::{Check, Chosen, Fitness, Pins, Wanted, any_device};
use edgemaxx_engine::detect_sandbox;
use edgemaxx_run::fitness::{choose, examine, put_back_leftovers, restore_clocks};
use edgemaxx_run::floor;
use edgemaxx_run::look::{Looked, look};
use serde::Serialize;

use crate::error::{Exit, Failure};
use crate::progress::Terminal;
use crate::table::{Align, Table};
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
    /// The card to look at, by its number [default: the only one that the contest can mean].
    #[arg(long, value_name = "N")]
    device: Option<u32>,
    /// Print the commands that mend what they can.
    #[arg(long)]
    fix: bool,
    /// Put back clocks that are locked, whoever locked them.
    #[arg(long, conflicts_with_all = ["contest", "fix", "device"])]
    restore: bool,
    /// Print the checks as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    fit: bool,
    /// What the device can do at most; `None`: it could not be measured.
    peaks: Option<&'a Peaks>,
    checks: &'a [Check],
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        if self.restore {
            let put_back = restore_clocks()?;
            if put_back.is_empty() {
                return answer("no clocks were locked by EdgeMaxx");
            }
            let line = |card: &Card| format!("GPU {}: clocks put back", card.index);
            return answer_lines(&put_back.iter().map(line).collect::<Vec<_>>());
        }
        put_back_leftovers(&Terminal);
        let wanted = match &self.contest {
            Some(path) => {
                let Looked { contest, weights_bytes } = look(path, &Terminal)?;
                Wanted { device: contest.device, threads: contest.measurement.threads, weights_bytes }
            }
            None => Wanted { device: any_device(), threads: 1, weights_bytes: None },
        };
        let chosen = choose(&wanted.device, self.device.into(), None)?;
        let found = examine(&wanted, &chosen, &detect_sandbox(), Path::new("."));
        let fit = found.iter().all(|check| check.fitness < Fitness::NoWeights);
        if self.json {
            answer_json(&Answer { fit, peaks: peaks(&wanted, &chosen).as_ref(), checks: &found })?;
        } else if self.fix {
            let commands: Vec<&str> =
                found.iter().flat_map(|check| &check.commands).map(String::as_str).collect();
            answer(&if commands.is_empty() {
                "no command mends anything here".to_owned()
            } else {
                commands.join("\n")
            })?;
        } else {
            let mut lines = table(&found);
            lines.extend(peaks(&wanted, &chosen).as_ref().map(said));
            answer_lines(&lines)?;
        }
        if fit {
            Ok(())
        } else {
            Err(Failure::error(Exit::Environment, "this machine is not fit; see above"))
        }
    }
}

/// What the device can do at most, in a process of its own.
fn peaks(wanted: &Wanted, chosen: &Chosen) -> Option<Peaks> {
    let device = match wanted.device.kind {
        DeviceKind::Cuda if cfg!(feature = "cuda") => Accelerator::Cuda,
        DeviceKind::Cuda => return None,
        DeviceKind::Cpu | DeviceKind::Metal => Accelerator::Cpu,
    };
    let pins = Pins { threads: wanted.threads, card: chosen.card().cloned() };
    match floor::peaks(device, &pins, floor::ALONE) {
        Ok(peaks) => Some(peaks),
        Err(error) => {
            note(&format!("warning: {}", error.words()));
            None
        }
    }
}

fn said(peaks: &Peaks) -> String {
    let speeds = peaks.flops.iter().map(|(format, speed)| format!("{format} {:.1}", *speed as f64 / 1e9));
    let speeds: Vec<String> = speeds.collect();
    format!("fastest: {} Gflop/s; copies {:.1} GB/s", speeds.join(", "), peaks.bytes as f64 / 1e9)
}

fn table(found: &[Check]) -> Vec<String> {
    let mut table = Table::new([Align::Left; 3]);
    for check in found {
        let sign = match check.fitness {
            Fitness::Fit => "ok",
            Fitness::Unknown => "?",
            Fitness::Advice => "advice",
            Fitness::NoWeights => "NO WEIGHTS",
            Fitness::Unfit => "UNFIT",
        };
        table.row([sign, check.name, &check.found]);
        if check.fitness > Fitness::Unknown {
            table.row(["", "", &format!("why: {}", check.why)]);
            table.row(["", "", &format!("cure: {}", check.cure)]);
            check.commands.iter().for_each(|command| table.row(["", "", &format!("$ {command}")]));
        }
    }
    table.lines()
}
