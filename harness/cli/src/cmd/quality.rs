//! `edgemaxx quality`: a run's pictures, or two picture files.

use std::path::{Path, PathBuf};

use edgemaxx_quality::{Comparison, compare_files};
use edgemaxx_run::RunFolder;
use edgemaxx_run::stage::quality::{Models, judge_run, load_clip};

use crate::error::Failure;
use crate::progress::Terminal;
use crate::table::{Align, Table};
use crate::terminal::{answer, answer_json};

/// Judges the pictures of a run (writes quality.jsonl), or compares two picture files.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx quality runs/emoji-cpu-2026-11-22
  edgemaxx quality published/2026-11-22 --clip fixtures/models/emoji-clip
  edgemaxx quality a.png b.png --prompt 'red apple' --clip fixtures/models/emoji-clip --json")]
pub(crate) struct Args {
    /// A run folder, or a picture.
    #[arg(value_name = "RUN | A.png")]
    first: PathBuf,
    /// The picture to compare with.
    #[arg(value_name = "B.png")]
    second: Option<PathBuf>,
    /// What both pictures should show; needs a CLIP.
    #[arg(long, requires = "second")]
    prompt: Option<String>,
    /// CLIP folder in the transformers layout [default for a run: the contest's].
    #[arg(long, value_name = "DIR")]
    clip: Option<PathBuf>,
    /// LPIPS folder [default for a run: the contest's].
    #[arg(long, value_name = "DIR", conflicts_with = "second")]
    lpips: Option<PathBuf>,
    /// Print the numbers as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        match &self.second {
            Some(second) => self.two_files(second),
            None => {
                let folder = RunFolder::open(&self.first)?;
                let quality = judge_run(&folder, self.named(), &Terminal)?;
                if self.json { answer_json(&quality.records) } else { Ok(()) }
            }
        }
    }

    fn named(&self) -> Models {
        Models { clip: self.clip.clone(), lpips: self.lpips.clone() }
    }

    fn two_files(&self, second: &Path) -> anyhow::Result<()> {
        if self.prompt.is_some() && self.clip.is_none() {
            return Err(Failure::input("--prompt: needs a CLIP; name its folder with --clip"));
        }
        let clip = self.clip.as_deref().map(load_clip).transpose()?;
        let comparison = compare_files(&self.first, second, self.prompt.as_deref(), clip.as_ref())
            .map_err(|error| Failure::input(error.to_string()))?;
        if self.json { answer_json(&comparison) } else { answer(&table(&comparison)) }
    }
}

fn table(comparison: &Comparison) -> String {
    let number = |value: Option<f64>| value.map_or("—".to_owned(), |value| format!("{value:.6}"));
    let mut table = Table::new([Align::Left; 2]);
    for (name, value) in [
        ("ssim_gray", format!("{:.6}", comparison.ssim_gray)),
        ("psnr", comparison.psnr.map_or("— (identical)".to_owned(), |db| format!("{db:.3} dB"))),
        ("phash_distance", format!("{} of 64 bits", comparison.phash_distance)),
        ("clip_image_cosine", number(comparison.clip_image_cosine)),
        ("clip_text_score_a", number(comparison.clip_text_score_a)),
        ("clip_text_score_b", number(comparison.clip_text_score_b)),
        ("wombo_2025", number(comparison.wombo_2025)),
    ] {
        table.row([name.to_owned(), value]);
    }
    table.lines().join("\n")
}
