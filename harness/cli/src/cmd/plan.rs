//! `edgemaxx plan`: contest and entropy in, plan.json out.

use std::path::PathBuf;
use std::time::Duration;

use edgemaxx_contract::plan::{Day, Entropy};
use edgemaxx_contract::run_files::PLAN_FILE;
use edgemaxx_run::RunFolder;
use edgemaxx_run::fitness::advise_on_memory;
use edgemaxx_run::look::weights_at_once;
use edgemaxx_run::quoted::quoted;
use edgemaxx_run::stage::plan::{self, OFFLINE};

use crate::cmd::forecast;
use crate::progress::Terminal;
use crate::terminal::{answer, answer_json};

/// Draws the plan of a contest: a pure function of its inputs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx plan fixtures/contests/emoji-cpu.toml --out runs/mine
  edgemaxx plan contest.toml --out runs/day --day 2026-11-22 --entropy 0x5f2c…
  edgemaxx plan contest.toml --out runs/day --until 0.5% --budget 90
  edgemaxx plan contest.toml --out runs/day --lanes 4     for four cards, or four hosts")]
pub(crate) struct Args {
    #[command(flatten)]
    draw: Draw,
    /// New folder for the run.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Time the baseline takes for an answer, e.g. 2.0s: says how long the plan takes.
    #[arg(long, visible_alias = "picture", value_name = "TIME", value_parser = forecast::duration)]
    answer: Option<Duration>,
    /// Time from launch to ready, e.g. 15s.
    #[arg(long, requires = "answer", value_name = "TIME", value_parser = forecast::duration)]
    load: Option<Duration>,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

/// What a plan is drawn from.
#[derive(Debug, clap::Args)]
pub(crate) struct Draw {
    /// Contest file.
    #[arg(value_name = "CONTEST.toml")]
    pub(crate) contest: PathBuf,
    /// Folder that the contest's paths are relative to [default: the contest's own].
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// Day of the contest [default: today, UTC].
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Option<Day>,
    /// Public randomness: a block hash, or any literal.
    #[arg(long, value_name = "TEXT", default_value = OFFLINE)]
    entropy: Entropy,
    /// Fewer sessions and pairs: a first look, which never sets weights.
    #[arg(long)]
    quick: bool,
    /// End a candidate once its speedup is known to ± this much, or it is surely out of the race.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    until: Option<f64>,
    /// Begin no session after this many minutes of measuring; whoever is surely out of the race ends early.
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    budget: Option<f64>,
    /// Deal the rounds to this many lanes: cards, or sets of cores, that measure at the same time [default: 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) lanes: Option<u32>,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let (resolved, drawn) = self.draw.options().draw(&Terminal)?;
        let folder = RunFolder::create(&self.out)?;
        plan::save(&folder, &resolved, &drawn)?;
        let weights = weights_at_once(&drawn, &resolved.base)?;
        weights.inspect(|weights| advise_on_memory(*weights, &drawn.device, &Terminal));
        if self.json {
            return answer_json(&drawn);
        }
        answer(&format!(
            "{}: {} sessions of {} pairs, {} pipelines, plan {}\n{}{}\nnext: edgemaxx measure {}",
            self.out.join(PLAN_FILE).display(),
            drawn.sessions.len(),
            drawn.sessions.first().map_or(0, |session| session.pairs.len()),
            drawn.pipelines.len(),
            drawn.digest().short(),
            forecast::of_plan(&drawn, self.answer, self.load),
            weights.map_or(String::new(), |bytes| format!(
                "\nholds     at least {} MiB of weights in memory at once",
                bytes >> 20
            )),
            quoted(&self.out),
        ))
    }
}

impl Draw {
    /// What a plan is drawn from, as the library takes it.
    pub(crate) fn options(&self) -> plan::Draw {
        plan::Draw {
            contest: self.contest.clone(),
            base: self.base.clone(),
            day: self.day.clone(),
            entropy: self.entropy.clone(),
            quick: self.quick,
            until: self.until,
            budget: self.budget,
            lanes: self.lanes,
        }
    }
}

/// `0.5%` as 0.005.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    number
        .filter(|percent| *percent > 0.0 && *percent < 100.0)
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "expected a percentage above 0% and below 100%, e.g. 0.5%".to_owned())
}

pub(super) fn minutes(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    number
        .filter(|minutes| minutes.is_finite() && *minutes > 0.0)
        .ok_or_else(|| "expected a positive number of minutes".to_owned())
}
