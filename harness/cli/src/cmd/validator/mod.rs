//! `edgemaxx validator`: a day that always ends in a verdict.

mod contests;
mod hands;
mod run;
mod status;

use edgemaxx_validator::store::StoreError;

use self::run::Run;
use self::status::StatusArgs;
use crate::error::{Exit, Failure};

/// In a validator's folder: its status as it last was.
const STATUS_FILE: &str = "status.json";

/// Runs a subnet's contest every day at noon in New York, or says how it is doing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx validator run --contest contest.toml --netuid 39 --wallet.name validator --wallet.hotkey hot
  edgemaxx validator run --contest contest.toml --once --at now --data trial --subtensor.network test
  edgemaxx validator run --contest contest.toml --once --at next --data trial --subtensor.network test
  edgemaxx validator status --json")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Collect, measure, publish, set weights; every day, or once.
    Run(Box<Run>),
    /// What a validator on this machine is doing.
    Status(StatusArgs),
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        match self.what {
            What::Run(args) => args.execute(),
            What::Status(args) => args.execute(),
        }
    }
}

fn environment(error: StoreError) -> anyhow::Error {
    Failure::error(Exit::Environment, error.to_string())
}
