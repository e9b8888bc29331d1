//! `edgemaxx miner oracle`: what a candidate may expect of a contest like a published one.

use std::path::PathBuf;

use edgemaxx_analyze::{Oracle, Question, oracle};
use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::plan::Role;
use edgemaxx_contract::run_files::ESTIMATES_FILE;
use edgemaxx_run::RunFolder;

use crate::error::Failure;
use crate::terminal::{answer, answer_json};

/// Says how likely a candidate is to be first, what it may expect to earn, and what would change it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx miner oracle published/2026-11-22 --run runs/mine
  edgemaxx miner oracle published/2026-11-22 --run runs/mine --candidate steps-10 --json")]
pub(crate) struct Args {
    /// Folder of a published day.
    published: PathBuf,
    /// A run of one's own against the same baseline.
    #[arg(long, value_name = "RUN")]
    run: PathBuf,
    /// Which of its candidates; not needed where it has one.
    #[arg(long, value_name = "NAME")]
    candidate: Option<String>,
    /// Days to draw.
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    days: u32,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let published = RunFolder::open(&self.published)?;
        let plan = published.plan()?;
        let (contest, environment) = (published.contest(&plan)?, published.environment(&plan)?);
        let (estimates, ranking): (Estimates, _) =
            (published.document(ESTIMATES_FILE)?, published.ranking()?);
        let local = RunFolder::open(&self.run)?;
        if local.plan()?.baseline().digest != plan.baseline().digest {
            return Err(Failure::input(format!(
                "{}: its baseline is another one than that of {}: speedups over different baselines say nothing about one another",
                self.run.display(),
                self.published.display()
            )));
        }
        let mine: Estimates = local.document(ESTIMATES_FILE)?;
        let candidates: Vec<_> = mine.candidates.iter().filter(|of| of.role == Role::Candidate).collect();
        let own = match &self.candidate {
            Some(name) => candidates.iter().find(|of| of.name == *name),
            None => candidates.first().filter(|_| candidates.len() == 1),
        };
        let Some(own) = own else {
            let names: Vec<&str> = candidates.iter().map(|of| of.name.as_str()).collect();
            return Err(Failure::input(format!(
                "--candidate: expected one of {} in {}",
                names.join(", "),
                self.run.display()
            )));
        };
        let question = Question {
            contest: &contest,
            estimates: &estimates,
            ranking: &ranking,
            environment: &environment,
            own,
        };
        let found =
            oracle(&question, self.days as usize).map_err(|error| Failure::input(error.to_string()))?;
        if self.json { answer_json(&found) } else { answer(&words(&found)) }
    }
}

fn words(found: &Oracle) -> String {
    let percent = |part: f64| format!("{:.0}%", 100.0 * part);
    let faster = |by: Option<f64>| match by {
        Some(0.0) => "as it is".to_owned(),
        Some(by) => format!("{:.1}% faster", 100.0 * by),
        None => "not even four times as fast".to_owned(),
    };
    let sessions = match found.sessions_for_sure {
        Some(enough) if enough == found.sessions => "are enough to be first alone in 95% of days".to_owned(),
        Some(enough) => format!("are too few; with {enough} it is first alone in 95% of days"),
        None => "and eight times as many do not make it first alone in 95% of days: speed would".to_owned(),
    };
    format!(
        "{}\nfirst     {} of {} drawn days, alone in {}; accepted in {}\nshare     {:.3} of the rewards on average\nfaster    first alone in half of days: {}; in 95%: {}\nsessions  {} {sessions}",
        found.candidate,
        percent(found.first),
        found.days,
        percent(found.alone),
        percent(found.accepted),
        found.share,
        faster(found.faster_for_half),
        faster(found.faster_for_sure),
        found.sessions,
    )
}
