//! `edgemaxx measure`: executes a plan.

use std::path::PathBuf;

use edgemaxx_contract::run_files::SAMPLES_FILE;
use edgemaxx_engine::Cores;
use edgemaxx_run::RunFolder;
use edgemaxx_run::quoted::quoted;
use edgemaxx_run::stage::measure;

use crate::error::{Exit, Failure};
use crate::progress::Terminal;
use crate::resume_command::resume_command;
use crate::terminal::answer;

/// Executes a plan: launches engines, times every request, records every attempt.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx measure runs/mine
  edgemaxx measure runs/mine --resume     after an interruption; nothing recorded is measured again
  edgemaxx measure runs/mine --devices 0,1,2,3     all lanes of a run that was planned for four
  edgemaxx measure runs/mine --lane 2 --device 0   this lane alone, as on a host of its own")]
pub(crate) struct Args {
    /// Run folder.
    run: PathBuf,
    /// Go on with an interrupted measurement.
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    devices: Devices,
    /// Measure this lane of the run alone, counted from 0.
    #[arg(long, value_name = "N", conflicts_with = "devices")]
    lane: Option<u32>,
    /// Keep to these processors.
    #[arg(long, value_name = "LIST", value_delimiter = ',', hide = true)]
    cores: Vec<u32>,
    /// End when the process of this number does, which started this one.
    #[arg(long, value_name = "PID", hide = true)]
    parent: Option<i32>,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        Cores::confine(&self.cores);
        if let Some(parent) = self.parent {
            end_with(parent)?;
        }
        let run = RunFolder::open(&self.run)?;
        let folder = match self.lane {
            Some(lane) => run.lane(lane)?,
            None => run,
        };
        let begun = folder.measured(&folder.plan()?).into_iter().filter(|name| name.ends_with(SAMPLES_FILE));
        let begun = begun.filter(|name| folder.holds(name));
        if !self.resume
            && begun
                .map(|name| folder.read(&name).map(|text| !text.is_empty()))
                .any(|any| any.unwrap_or(true))
        {
            return Err(Failure::input(format!(
                "{}: holds samples already; go on with them by --resume",
                self.run.display()
            )));
        }
        let summary = measure::measure_run(
            &folder,
            self.devices.with(self.options.with(&resume_command(None))),
            &Terminal,
        )?;
        answer(&format!(
            "{} sessions complete, {} aborted; {} requests, {} failed\nnext: edgemaxx quality {}",
            summary.complete,
            summary.aborted,
            summary.attempts,
            summary.failures,
            quoted(&self.run)
        ))
    }
}

/// The cards of a run of several lanes.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Devices {
    /// The card of each lane, as `edgemaxx doctor` numbers them: all measure at the same time.
    #[arg(long, value_name = "N,N…", value_delimiter = ',', conflicts_with = "device")]
    pub(crate) devices: Vec<u32>,
}

impl Devices {
    /// The options with these cards.
    pub(crate) fn with<'a>(&'a self, options: measure::Options<'a>) -> measure::Options<'a> {
        measure::Options { devices: &self.devices, ..options }
    }
}

/// Ends this process, as a termination signal does, when its parent ends in whatever way: nobody else would end it.
pub(super) fn end_with(parent: i32) -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)?;
    // It may have ended before.
    if nix::unistd::getppid().as_raw() != parent {
        return Err(Failure::error(Exit::Interrupted, format!("--parent {parent}: it has ended")));
    }
    Ok(())
}

/// What may be left out of a measurement.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct Options {
    /// Write no telemetry.jsonl: no energy, GPU memory or clock frequencies in the report.
    #[arg(long)]
    no_telemetry: bool,
    /// Measure although this machine is not fit for the contest; no weights can come of it.
    #[arg(long)]
    allow_unfit: bool,
    /// The card that engines see, as `edgemaxx doctor` numbers it [default: the only one that the contest can mean].
    #[arg(long, value_name = "N")]
    device: Option<u32>,
    /// Lock the card's clocks for this run, and put them back afterwards; takes root's rights.
    #[arg(long)]
    lock_clocks: bool,
    /// Begin no session after this moment, seconds since 1970-01-01 UTC.
    #[arg(long, value_name = "UNIX_SECONDS", value_parser = clap::value_parser!(u64).range(..=LAST_MOMENT))]
    deadline: Option<u64>,
}

/// The end of the year 9999, seconds since 1970.
const LAST_MOMENT: u64 = 253_402_300_799;

impl Options {
    /// The same as the library takes it; `resume` is the command that would go on.
    pub(crate) fn with<'a>(&self, resume: &'a str) -> measure::Options<'a> {
        measure::Options {
            no_telemetry: self.no_telemetry,
            allow_unfit: self.allow_unfit,
            device: self.device.into(),
            devices: &[],
            lock_clocks: self.lock_clocks,
            deadline: self.deadline,
            resume,
        }
    }
}
