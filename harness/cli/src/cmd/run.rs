//! `edgemaxx run`: the whole way, stage by stage, from contest to report.

use std::path::PathBuf;

use edgemaxx_contract::estimate::CertificateVerdict;
use edgemaxx_contract::ranking::{Ranking, Standing};
use serde::Serialize;

use super::{analyze, measure, plan, quality, rank, report};
use crate::error::{Exit, Failure, InFile as _};
use crate::folder::RunFolder;
use crate::shell::{quoted, resume_command};
use crate::terminal::{answer, answer_json, note};

/// Runs a contest: plan, measure, quality, analyze, rank, report.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx run fixtures/contests/emoji-cpu.toml
  edgemaxx run fixtures/contests/emoji-cpu.toml --quick
  edgemaxx run contest.toml --out runs/today --day 2026-11-22 --entropy 0x5f2c…
  edgemaxx run contest.toml --out runs/today --resume     after an interruption

Exit code: 0 done · 3 the A/A control or the machine is unfit · 4 a candidate failed; the report is
written in all three cases.")]
pub(crate) struct Args {
    #[command(flatten)]
    draw: plan::Draw,
    /// Folder for the run [default: runs/CONTEST-DAY].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with an interrupted run in --out; nothing recorded is measured again.
    #[arg(long, requires = "out")]
    resume: bool,
    #[command(flatten)]
    options: measure::Options,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    run: PathBuf,
    report: PathBuf,
    verdict: &'a str,
    winner: Option<&'a str>,
    fit: bool,
    failed: Vec<&'a str>,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let folder = self.folder()?;
        let unnamed = self.out.is_none().then(|| folder.path());
        let (ranking, page) = whole(&folder, self.options, &resume_command(unnamed))?;
        let failed: Vec<&str> = ranking
            .entries
            .iter()
            .filter(|e| e.standing == Standing::Failed)
            .map(|e| e.name.as_str())
            .collect();
        let fit = ranking.fitness == CertificateVerdict::Fit;
        if self.json {
            answer_json(&Answer {
                run: folder.path().to_owned(),
                report: page,
                verdict: &ranking.verdict,
                winner: ranking.winner.as_deref(),
                fit,
                failed: failed.clone(),
            })?;
        } else {
            answer(&format!("\n{}\n\nreport: {}", rank::table(&ranking), page.display()))?;
        }
        verdict(&ranking, fit, &failed)
    }

    /// The run's folder: a new one with its plan, or the one to go on with.
    fn folder(&self) -> anyhow::Result<RunFolder> {
        if let (true, Some(out)) = (self.resume, &self.out)
            && !RunFolder::is_unbegun(out)?
        {
            let folder = RunFolder::open(out)?;
            let planned = folder.plan()?.contest.digest;
            let text = std::fs::read(&self.draw.contest).in_file(&self.draw.contest)?;
            if edgemaxx_contract::digest::Digest::of(text) != planned {
                return Err(Failure::input(format!(
                    "{}: not the contest that {} was planned from, which is kept there as contest.toml; name that one, or begin a new run: with another --out, or after removing {}",
                    self.draw.contest.display(),
                    out.display(),
                    quoted(out)
                )));
            }
            return Ok(folder);
        }
        let (resolved, plan) = self.draw.draw()?;
        let out = self.out.clone().unwrap_or_else(|| self.draw.default_folder(&plan));
        let folder = RunFolder::create(&out)?;
        plan::save(&folder, &resolved, &plan)?;
        Ok(folder)
    }
}

/// All stages on a planned run: its ranking and its report.
pub(crate) fn whole(
    folder: &RunFolder,
    options: measure::Options,
    resume_command: &str,
) -> anyhow::Result<(Ranking, PathBuf)> {
    note(&format!("run folder: {}", folder.path().display()));
    measure::measure_run(folder, options, resume_command)?;
    quality::judge_run(folder, quality::Models::default())?;
    analyze::analyze_run(folder)?;
    let ranking = rank::rank_run(folder)?;
    let page = report::report_run(folder)?;
    Ok((ranking, page))
}

/// The exit code of a run that was finished.
fn verdict(ranking: &Ranking, fit: bool, failed: &[&str]) -> anyhow::Result<()> {
    if !failed.is_empty() {
        return Err(Failure::error(
            Exit::Engine,
            format!("could not be measured: {}; see the report", failed.join(", ")),
        ));
    }
    if !fit {
        return Err(Failure::error(Exit::Environment, ranking.verdict.clone()));
    }
    Ok(())
}
