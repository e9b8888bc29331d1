//! `edgemaxx reproduce`: a published candidate, measured here by the validator's own plan.

use std::path::PathBuf;

use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::{ESTIMATES_FILE, RANKING_FILE};
use edgemaxx_run::RunFolder;
use edgemaxx_run::audit::{self, Agreement, Extract, Likeness, Means};
use edgemaxx_run::origin::Origin;
use edgemaxx_run::stage::rank::rank_run;
use serde::Serialize;

use super::verify;
use crate::error::Failure;
use crate::progress::Terminal;
use crate::table::{Align, Table};
use crate::terminal::{answer, answer_json};

/// Measures one candidate of a published run on this machine: the same requests in the same order,
/// and how far the result is from the published one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx reproduce days/2026-11-22 --candidate 5F3sa2TJ… --base fixtures/contests
  edgemaxx reproduce https://example.org/days/2026-11-22 --candidate 5F3sa2TJ… --base fixtures/contests
  edgemaxx reproduce runs/mine --candidate student-5 --rounds 3 --json")]
pub(crate) struct Args {
    /// Published run folder, or its address (http:// or https://) on a static site.
    #[arg(value_name = "RUN|URL")]
    run: PathBuf,
    /// Who must have signed what lies at an address (SS58).
    #[arg(long, value_name = "ADDRESS")]
    hotkey: Option<String>,
    /// Fetch no day larger than this.
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_gib: u32,
    /// The candidate's name: in a validator's run, its hotkey.
    #[arg(long, value_name = "NAME")]
    candidate: String,
    /// Folder that the contest's paths are relative to [default: where the run was made, if that
    /// was here].
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// Measure only this many of the plan's rounds.
    #[arg(long, value_name = "N", default_value_t = u32::MAX, hide_default_value = true, value_parser = clap::value_parser!(u32).range(2..))]
    rounds: u32,
    /// New folder for the run made here [default: removed afterwards].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the comparison as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    agreement: Agreement,
    published_score: Option<f64>,
    score_here: Option<f64>,
    answers: Likeness,
}

impl Args {
    pub(crate) fn execute(mut self) -> anyhow::Result<()> {
        let fetched = tempfile::tempdir()?;
        if let Some(address) = audit::address(&self.run) {
            if self.base.is_none() {
                return Err(Failure::input(
                    "--base: name the folder of the contest, with its checkpoints; a site has none",
                ));
            }
            let hotkey = self.hotkey.clone();
            let means = Means { previous: None, base: None, hotkey, netuid: None, allow_unsigned: false };
            let most = u64::from(self.max_gib) << 30;
            self.run = verify::fetch(address, fetched.path(), most, &means)?;
            audit::whole(&self.run, &means)?;
        }
        let folder = RunFolder::open(&self.run)?;
        let base = Origin::base(self.base.as_deref(), &self.run)?;
        let part = Extract { candidate: Some(&self.candidate), rounds: self.rounds, pairs: usize::MAX };
        let plan = audit::extract(&folder.plan()?, &part)?;
        let scratch = tempfile::tempdir()?;
        let out = self.out.clone().unwrap_or_else(|| scratch.path().join("again"));
        let again = audit::measure_again(&folder, &plan, &base, &out, &Terminal)?;
        let (published, here): (Estimates, Estimates) =
            (folder.document(ESTIMATES_FILE)?, again.document(ESTIMATES_FILE)?);
        let mut found = audit::agreement(&published, &here);
        let Some(at) = found.iter().position(|agreement| agreement.candidate == self.candidate) else {
            return Err(Failure::error(
                crate::error::Exit::Engine,
                format!(
                    "{}: no interval of its speedup, here or as published; see the reports",
                    self.candidate
                ),
            ));
        };
        let ranked = rank_run(&again)?;
        let score = |ranking: &Ranking| {
            ranking.entries.iter().find(|entry| entry.name == self.candidate).map(|entry| entry.score)
        };
        let result = Answer {
            agreement: found.swap_remove(at),
            published_score: score(&folder.document(RANKING_FILE)?),
            score_here: score(&ranked),
            answers: audit::compare_answers(&folder, &again)?,
        };
        if self.json { answer_json(&result) } else { answer(&table(&result)) }
    }
}

fn table(result: &Answer) -> String {
    let number = |value: Option<f64>| value.map_or("—".to_owned(), |value| format!("{value:.4}"));
    let interval = |estimate: &edgemaxx_contract::estimate::Estimate| {
        format!("{:.4}× [{}, {}]", estimate.point, number(estimate.lower), number(estimate.upper))
    };
    let Agreement { published, here, difference: [low, point, high], overlap, .. } = &result.agreement;
    let verdict = if *overlap {
        "the intervals overlap"
    } else {
        "the intervals do not overlap: other hardware, or another state of it"
    };
    let mut table = Table::new([Align::Left; 3]);
    table.row(["", "speedup", "score"]);
    for (which, estimate, score) in
        [("published", published, result.published_score), ("here", here, result.score_here)]
    {
        table.row([which.to_owned(), interval(estimate), number(score)]);
    }
    format!(
        "{}\nhere over published: {:+.2}% [{:+.2}%, {:+.2}%]; {verdict}\nanswers: {} of {} bit for bit",
        table.lines().join("\n"),
        100.0 * point,
        100.0 * low,
        100.0 * high,
        result.answers.identical,
        result.answers.compared,
    )
}
