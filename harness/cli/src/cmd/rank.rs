//! `edgemaxx rank`: estimates in, ranking.json out.

use std::path::PathBuf;

use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::ESTIMATES_FILE;
use edgemaxx_run::RunFolder;
use edgemaxx_run::stage::rank::rank_run;

use crate::table::{Align, Table};
use crate::terminal::{answer_json, answer_lines};

/// Turns estimates into scores, tiers and shares of the reward (writes ranking.json).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  edgemaxx rank runs/emoji-cpu-2026-11-22 --json")]
pub(crate) struct Args {
    /// Run folder.
    run: PathBuf,
    /// Print the ranking as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let folder = RunFolder::open(&self.run)?;
        let ranking = rank_run(&folder)?;
        if self.json {
            answer_json(&ranking)
        } else {
            answer_lines(&table(&ranking, &folder.document(ESTIMATES_FILE)?))
        }
    }
}

/// The ranking for a terminal, with the bounds that its sentence and every other table have.
pub(crate) fn table(ranking: &Ranking, estimates: &Estimates) -> Vec<String> {
    let claimed = |name: &str| {
        let of = estimates.candidates.iter().find(|of| of.name == name)?;
        of.claimed_speedup()?.lower
    };
    let mut table = Table::new([
        Align::Right,
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Left,
        Align::Left,
        Align::Left,
    ]);
    for entry in &ranking.entries {
        table.row([
            entry.position.to_string(),
            entry.name.clone(),
            format!("tier {}", entry.tier.map_or("—".to_owned(), |tier| tier.to_string())),
            claimed(&entry.name).map_or("—".to_owned(), |lower| format!("≥ {lower:.3}×")),
            format!("score {:.4}", entry.score),
            format!("weight {:.4}", entry.weight),
            entry.reasons.join("; "),
        ]);
    }
    [vec![ranking.verdict.clone(), String::new()], table.lines()].concat()
}
