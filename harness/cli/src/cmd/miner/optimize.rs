//! `edgemaxx miner optimize`: a faster checkpoint from a given one.

use std::path::{Path, PathBuf};

use edgemaxx_run::miner::{Checked, Step, check, optimize};
use serde::Serialize;

use crate::progress::Terminal;
use crate::terminal::{answer, answer_json};

/// What `--help` says of them.
const HELP: &str = "\
Recipes, applied in the order given:
  f16 · bf16        store the weights in 16 bits
  int8              store matrices as int8 per channel, the rest as f16
  prune=N           keep at most N transformer layers per attention of the UNet
  steps=N           denoising steps            ⎫
  guidance=G        guidance scale             ⎬ written to edgemaxx.toml
  scheduler=CLASS   e.g. DDIMScheduler         ⎪
  compute=FORMAT    f32, f16 or bf16           ⎭
  weights=FORMAT    of a language model: how the engine keeps them, e.g. q8_0  ⎫ written to
  lookup=N          of a language model: tokens guessed ahead                  ⎭ edgemaxx.toml
  script=PROGRAM    run PROGRAM FROM TO: your own step";

/// Derives a checkpoint by recipes. The same input gives the same bytes; measure it with `edgemaxx miner tune`,
/// `edgemaxx run` or `edgemaxx miner submit --bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// What to do, in this order.
    #[arg(required = true, value_name = "RECIPE")]
    recipes: Vec<Step>,
    /// Checkpoint to start from: in the diffusers layout, or a language model's.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// New folder.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    to: &'a Path,
    bytes_before: u64,
    #[serde(flatten)]
    checked: Checked,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let before = check(&self.from)?;
        optimize(&self.recipes, &self.from, &self.to, &Terminal)?;
        let checked = check(&self.to)?;
        if self.json {
            return answer_json(&Answer { to: &self.to, bytes_before: before.bytes, checked });
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        answer(&format!(
            "{}: {:.1} MiB, before {:.1} MiB",
            self.to.display(),
            mib(checked.bytes),
            mib(before.bytes)
        ))
    }
}
