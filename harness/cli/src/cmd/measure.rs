//! `edgemaxx measure`: executes a plan.

use std::path::PathBuf;

use edgemaxx_contract::run_files::SAMPLES_FILE;
use edgemaxx_run::RunFolder;
use edgemaxx_run::shell::quoted;
use edgemaxx_run::stage::measure;

use crate::error::Failure;
use crate::progress::Terminal;
use crate::shell::resume_command;
use crate::terminal::answer;

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
    #[command(flatten)]
    options: Options,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let folder = RunFolder::open(&self.run)?;
        if !self.resume && folder.holds(SAMPLES_FILE) && !folder.read(SAMPLES_FILE)?.is_empty() {
            return Err(Failure::input(format!(
                "{}: holds samples already; go on with them by --resume",
                self.run.display()
            )));
        }
        let summary = measure::measure_run(&folder, self.options.with(&resume_command(None)), &Terminal)?;
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
            lock_clocks: self.lock_clocks,
            deadline: self.deadline,
            resume,
        }
    }
}
