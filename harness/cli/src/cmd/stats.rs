//! `edgemaxx stats`: how often the statistics are wrong, and how long a contest takes.

use std::path::PathBuf;

use clap::Subcommand;
use edgemaxx_analyze::sources::from_log;
use edgemaxx_analyze::verify::{Verification, VerifySettings, verify};
use edgemaxx_run::RunFolder;

use crate::cmd::forecast::Forecasting;
use crate::error::{Exit, Failure};
use crate::table::{Align, Table};
use crate::terminal::{answer, answer_json, note};

/// The statistics about the statistics.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Simulate coverage, false claims, power and early stopping; exit 1 where a promise breaks.
    #[command(after_help = "Examples:
  edgemaxx stats verify
  edgemaxx stats verify --from runs/emoji-cpu-2026-11-22 --reps 5000 --json")]
    Verify {
        /// Also simulate with the resampled residuals of this run.
        #[arg(long, value_name = "RUN")]
        from: Option<PathBuf>,
        /// Repetitions of each rate; the costlier checks take a tenth.
        #[arg(long, value_name = "N", default_value_t = VerifySettings::default().repetitions,
              value_parser = repetitions)]
        reps: usize,
        /// Another seed, other random numbers.
        #[arg(long, default_value_t = VerifySettings::default().seed)]
        seed: u64,
        /// Print the rates as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say how long a contest takes on one device, before there is one: at most, as expected, and with
    /// what budget 95% of contests are decided. Simulated with the rule that ends candidates.
    #[command(after_help = "Examples:
  edgemaxx stats plan --candidates 256 --answer 2.0s --load 15s --noise 0.5%
  edgemaxx stats plan --candidates 20 --answer 700ms --load 8s --noise 1% --lead 5% --sessions 8 --json")]
    Plan(Forecasting),
}

fn repetitions(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(reps @ 100..=10_000_000) => Ok(reps),
        _ => Err("expected a number from 100 to 10,000,000".to_owned()),
    }
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let (from, reps, seed, json) = match self.verb {
            Verb::Verify { from, reps, seed, json } => (from, reps, seed, json),
            Verb::Plan(asked) => return asked.execute(),
        };
        let table = from
            .map(|run| {
                let folder = RunFolder::open(&run)?;
                let plan = folder.plan()?;
                anyhow::Ok(from_log(&plan, &folder.samples(&plan)?))
            })
            .transpose()?;
        note(&format!("simulating, {reps} repetitions of each rate"));
        let found = verify(&VerifySettings { repetitions: reps, seed }, table.as_ref());
        if json {
            answer_json(&found)?;
        } else {
            answer(&table_of(&found))?;
        }
        let failed = found.rows.iter().filter(|row| !row.passed).count();
        if failed > 0 {
            return Err(Failure::error(
                Exit::No,
                format!("{failed} of {} rates are outside their bounds", found.rows.len()),
            ));
        }
        Ok(())
    }
}

fn table_of(found: &Verification) -> String {
    let bound = |bound: Option<f64>| bound.map_or("–".to_owned(), |bound| format!("{:.1}%", bound * 100.0));
    let mut table = Table::new([
        Align::Left,
        Align::Left,
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Left,
    ]);
    for row in &found.rows {
        table.row([
            if row.passed { "ok" } else { "FAIL" }.to_owned(),
            row.check.to_string(),
            row.method.to_string(),
            row.generator.to_string(),
            format!("{}×{}", row.sessions, row.pairs),
            format!("{:.2}%", row.rate * 100.0),
            format!("[{}, {}]", bound(row.at_least), bound(row.at_most)),
        ]);
    }
    table.lines().join("\n")
}
