//! `edgemaxx quality`: a run's answers, or two answers' files.

use std::path::{Path, PathBuf};

use edgemaxx_contract::metric::{Metric, Model};
use edgemaxx_contract::quality::Judgement;
use edgemaxx_contract::task::TaskRef;
use edgemaxx_run::RunFolder;
use edgemaxx_run::stage::quality::{Models, judge_run};
use edgemaxx_run::task::of_answer;

use crate::error::Failure;
use crate::progress::Terminal;
use crate::table::{Align, Table};
use crate::terminal::{answer, answer_json};

/// Judges the answers of a run (writes quality.jsonl), or compares two answers' files.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx quality runs/emoji-cpu-2026-11-22
  edgemaxx quality published/2026-11-22 --clip fixtures/models/emoji-clip
  edgemaxx quality a.png b.png --prompt 'red apple' --clip fixtures/models/emoji-clip --json")]
pub(crate) struct Args {
    /// A run folder, or an answer: a picture, or a text's tokens.
    #[arg(value_name = "RUN | ANSWER")]
    first: PathBuf,
    /// The answer to compare with.
    #[arg(value_name = "ANSWER")]
    second: Option<PathBuf>,
    /// What both pictures should show; needs a CLIP.
    #[arg(long, requires = "second")]
    prompt: Option<String>,
    /// CLIP folder in the transformers layout [default for a run: the contest's].
    #[arg(long, value_name = "DIR")]
    clip: Option<PathBuf>,
    /// LPIPS folder [default for a run: the contest's].
    #[arg(long, value_name = "DIR")]
    lpips: Option<PathBuf>,
    /// The baseline's checkpoint, which judges texts [default for a run: the contest's].
    #[arg(long, value_name = "DIR")]
    baseline: Option<PathBuf>,
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
        Models::named([
            (Model::Clip, self.clip.clone()),
            (Model::Lpips, self.lpips.clone()),
            (Model::Baseline, self.baseline.clone()),
        ])
    }

    fn two_files(&self, second: &Path) -> anyhow::Result<()> {
        if self.prompt.is_some() && self.clip.is_none() {
            return Err(Failure::input("--prompt: needs a CLIP; name its folder with --clip"));
        }
        let task = of_answer(&self.first).task();
        let judge = self.named().judge(task)?;
        let judgement = judge
            .compare(&self.first, second, self.prompt.as_deref())
            .map_err(|error| Failure::input(error.to_string()))?;
        if self.json { answer_json(&judgement) } else { answer(&table(task, &judgement)) }
    }
}

/// A line for each metric that was computed or could have been, the sides' own values beside those that have them.
fn table(task: TaskRef, judgement: &Judgement) -> String {
    let mut table = Table::new([Align::Left; 2]);
    for metric in Metric::of_task(task.name()).filter(|metric| !metric.is_held_back()) {
        let (unit, digits) = (metric.entry().unit.words(), metric.entry().unit.digits_of_one(6));
        let value = match judgement.values.get(&metric) {
            Some(value) => format!("{value:.digits$} {unit}"),
            None => "—".to_owned(),
        };
        let sides = judgement.sides.get(&metric).map_or(String::new(), |sides| {
            format!(" ({:.digits$} and {:.digits$})", sides.baseline, sides.candidate)
        });
        table.row([metric.to_string(), format!("{}{sides}", value.trim_end())]);
    }
    table.lines().join("\n")
}
