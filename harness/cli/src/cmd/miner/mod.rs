//! `edgemaxx miner`: from a checkpoint to an entry on chain.

mod optimize;
mod oracle;
#[cfg(feature = "chain")]
mod status;
#[cfg(all(feature = "chain", feature = "hub"))]
mod submit;
mod tune;

#[cfg(not(feature = "chain"))]
use super::left_out::status;
#[cfg(not(all(feature = "chain", feature = "hub")))]
use super::left_out::submit;

/// Optimises a checkpoint, tunes its settings, publishes and commits it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx miner optimize bf16 steps=12 --from models/base --to models/mine
  edgemaxx miner tune contest.toml --from models/mine --steps 6,8,10,12 --dtype f32,bf16
  edgemaxx miner submit --from models/mine --repository me/fast-sdxl --contest sdxl-4090 --dry-run
  edgemaxx miner oracle published/2026-11-22 --run runs/mine
  edgemaxx miner status")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Check, publish and commit a checkpoint.
    Submit(Box<submit::Args>),
    /// Show what the chain holds of this hotkey.
    Status(Box<status::Args>),
    /// Derive a faster checkpoint.
    Optimize(optimize::Args),
    /// Search settings; show which are not beaten in speed and likeness at once.
    Tune(tune::Args),
    /// Say what a candidate may expect of a contest like a published one.
    Oracle(oracle::Args),
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        match self.what {
            What::Submit(args) => args.execute(),
            What::Status(args) => args.execute(),
            What::Optimize(args) => args.execute(),
            What::Tune(args) => args.execute(),
            What::Oracle(args) => args.execute(),
        }
    }
}
