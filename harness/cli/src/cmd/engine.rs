//! `edgemaxx engine`: engine processes, which the harness starts, and their check.

use std::ffi::OsString;
use std::time::Duration;

use clap::Subcommand;
use edgemaxx_candle::Accelerator;
use edgemaxx_contract::contest::EngineSpec;
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_run::built_in_engine;
use edgemaxx_run::task::of_name;

use crate::error::{Exit, Failure};
use crate::terminal::{answer_json, answer_lines};

/// Engine processes: the harness starts them and speaks with them over a socket.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    engine: Engine,
}

#[derive(Debug, Subcommand)]
enum Engine {
    /// Put any engine through the protocol and say in words what is wrong.
    Check(super::engine_check::Args),
    /// Fetch what a candidate's engine needs: with a network, without anything of yours.
    Install(super::engine_install::Args),
    /// Measure what an answer and a part of a stream cost the harness itself.
    Cost(super::engine_cost::Args),
    /// The built-in engine; started by the harness.
    Candle {
        /// Device to compute on: cpu or cuda.
        #[arg(long, default_value = "cpu")]
        device: Accelerator,
        /// Say what decides bits and speed on the device, one NAME=VALUE a line, and end.
        #[arg(long)]
        settings: bool,
        /// Number format that --settings is asked about.
        #[arg(long, default_value = "f16", value_parser = super::generate::dtype, requires = "settings")]
        dtype: Dtype,
    },
    /// The built-in engine of candle-transformers' models; started by the harness.
    CandleTransformers {
        /// Device to compute on: cpu.
        #[arg(long, default_value = "cpu")]
        device: Accelerator,
    },
    /// Measure what the device can do at most, as JSON; started by the harness.
    Peaks {
        /// Device: cpu or cuda.
        #[arg(long, default_value = "cpu")]
        device: Accelerator,
        /// Threads that engines compute with.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
        threads: u32,
        /// About how long it may take, milliseconds.
        #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
        ms: u64,
    },
    /// An engine that answers at once: what the protocol itself costs; started by the harness.
    Null,
    /// A scripted engine for tests of the harness; started by the harness.
    #[command(disable_help_flag = true)]
    Mock {
        /// As its usage says.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        match self.engine {
            Engine::Check(args) => args.execute(),
            Engine::Install(args) => args.execute(),
            Engine::Cost(args) => args.execute(),
            Engine::Candle { device, settings: true, dtype } => say_settings(device, dtype),
            Engine::Candle { device, .. } => serve(&EngineSpec::Native, device),
            Engine::CandleTransformers { device } => serve(&EngineSpec::CandleTransformers, device),
            Engine::Peaks { device, threads, ms } => say_peaks(device, threads, Duration::from_millis(ms)),
            Engine::Null => edgemaxx_engine::null::serve(|task| Some(of_name(task).ok()?.codec()))
                .map(|_| ())
                .map_err(|error| Failure::error(Exit::Engine, error.to_string())),
            Engine::Mock { arguments } => match edgemaxx_engine::mock::run(arguments) {
                Ok(()) => Ok(()),
                // The script decides the status, which may be any.
                Err(error) => {
                    crate::terminal::note(&format!("error: {error}"));
                    std::process::exit(i32::from(error.exit_code()))
                }
            },
        }
    }
}

fn serve(engine: &EngineSpec, device: Accelerator) -> anyhow::Result<()> {
    built_in_engine::serve(engine, device).map_err(|error| Failure::error(Exit::Engine, error.to_string()))
}

/// What decides bits and speed on the device; fails with exit code 3 where it cannot be used.
fn say_settings(device: Accelerator, dtype: Dtype) -> anyhow::Result<()> {
    let failure = |error| super::generate::engine_failure(&error, Exit::Environment);
    let device = device.open().map_err(failure)?;
    let settings =
        edgemaxx_candle::settings(&device, built_in_engine::engine_dtype(dtype)).map_err(failure)?;
    let lines: Vec<String> = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    answer_lines(&lines)
}

/// What the device can do at most; fails with exit code 3 where it cannot be used.
fn say_peaks(device: Accelerator, threads: u32, budget: Duration) -> anyhow::Result<()> {
    let failure = |error| super::generate::engine_failure(&error, Exit::Environment);
    let device = device.open().map_err(failure)?;
    answer_json(&edgemaxx_candle::peaks(&device, threads as usize, budget).map_err(failure)?)
}
