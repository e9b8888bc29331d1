//! `edgemaxx run`: the whole way, stage by stage, from contest to report.

use std::path::PathBuf;

use edgemaxx_contract::estimate::{CertificateVerdict, Estimates};
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::{CONTEST_FILE, ESTIMATES_FILE};
use edgemaxx_run::quoted::quoted;
use edgemaxx_run::stage::measure::Options;
use edgemaxx_run::stage::plan::Draw;
use edgemaxx_run::stage::{Lost, whole};
use edgemaxx_run::{RunError, RunFolder};
use serde::Serialize;

use super::on_fleet::OnFleet;
use super::{measure, plan, rank};
use crate::error::{Exit, Failure, InFile as _};
use crate::progress::Terminal;
use crate::resume_command::resume_command;
#[cfg(feature = "fleet")]
use crate::terminal::note;
use crate::terminal::{answer_json, answer_lines};

/// Runs a contest: plan, measure, quality, analyze, rank, report.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx run fixtures/contests/emoji-cpu.toml
  edgemaxx run fixtures/contests/emoji-cpu.toml --quick
  edgemaxx run contest.toml --out runs/today --day 2026-11-22 --entropy 0x5f2c…
  edgemaxx run contest.toml --out runs/today --resume     after an interruption
  edgemaxx run contest.toml --devices 0,1,2,3             on four cards at once, a lane on each
  edgemaxx run contest.toml --lanes 2                     on two sets of processor cores at once
  edgemaxx run contest.toml --lanes 4 --fleet tls://nats:4222 --creds key     on four other hosts (edgemaxx fleet)

Exit code: 0 done · 3 the A/A control or the machine is unfit, or no time was left for a candidate ·
4 a candidate failed, or failed an honesty check; the report is written in all these cases.")]
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
    #[command(flatten)]
    devices: measure::Devices,
    #[command(flatten)]
    fleet: OnFleet,
    /// End when the process of this number does, which started this one.
    #[arg(long, value_name = "PID", hide = true)]
    parent: Option<i32>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Has the fleet measure, and does what follows.
    #[cfg(feature = "fleet")]
    fn whole_on_fleet(
        &self,
        server: &str,
        folder: &RunFolder,
        options: Options<'_>,
    ) -> anyhow::Result<(Ranking, PathBuf)> {
        use edgemaxx_run::fleet::{Terms, measure_fleet};
        use edgemaxx_run::stage::after_measuring;

        let queue = super::fleet::connect_with(server, &self.fleet)?;
        note(&format!("run folder: {}", folder.path().display()));
        let terms = Terms { lease: std::time::Duration::from_secs(self.fleet.lease) };
        measure_fleet(folder, &queue, terms, options, &Terminal)?;
        Ok(after_measuring(folder, &Terminal)?)
    }

    #[cfg(not(feature = "fleet"))]
    fn whole_on_fleet(&self, _: &str, _: &RunFolder, _: Options<'_>) -> anyhow::Result<(Ranking, PathBuf)> {
        Err(edgemaxx_run::left_out::left_out("edgemaxx run --fleet", "fleet").into())
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    run: PathBuf,
    report: PathBuf,
    verdict: &'a str,
    winner: Option<&'a str>,
    fit: bool,
    failed: Vec<&'a str>,
    unmeasured: Vec<&'a str>,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        if let Some(parent) = self.parent {
            measure::end_with(parent)?;
        }
        if self.fleet.fleet.is_some() && !self.devices.devices.is_empty() {
            return Err(Failure::input(
                "--devices: cards of this machine, and --fleet has others measure; leave one of them out (--lanes says on how many)",
            ));
        }
        let folder = self.folder()?;
        let resume = resume_command(self.out.is_none().then(|| folder.path()));
        let options = self.devices.with(self.options.with(&resume));
        let (ranking, page) = match &self.fleet.fleet {
            Some(server) => self.whole_on_fleet(server, &folder, options)?,
            None => whole(&folder, options, &Terminal)?,
        };
        let estimates: Estimates = folder.document(ESTIMATES_FILE)?;
        let lost = Lost::of(&ranking, &estimates);
        let fit = ranking.fitness == CertificateVerdict::Fit;
        if self.json {
            answer_json(&Answer {
                run: folder.path().to_owned(),
                report: page,
                verdict: &ranking.verdict,
                winner: ranking.winner.as_deref(),
                fit,
                failed: [lost.failed.as_slice(), &lost.dishonest].concat(),
                unmeasured: lost.unmeasured.clone(),
            })?;
        } else {
            let mut lines = vec![String::new()];
            lines.extend(rank::table(&ranking, &estimates));
            lines.extend([String::new(), format!("report: {}", page.display())]);
            answer_lines(&lines)?;
        }
        verdict(&ranking, fit, &lost)
    }

    /// What is drawn: a lane for each card that is named.
    fn draw(&self) -> anyhow::Result<Draw> {
        let (mut draw, cards) = (self.draw.options(), self.devices.devices.len() as u32);
        if cards > 0 {
            if draw.lanes.is_some_and(|lanes| lanes != cards) {
                return Err(Failure::input(
                    "--lanes: --devices names another number of cards; leave one of them out",
                ));
            }
            draw.lanes = Some(cards);
        }
        Ok(draw)
    }

    /// The run's folder: a new one with its plan, or the one to go on with.
    fn folder(&self) -> anyhow::Result<RunFolder> {
        if let (true, Some(out)) = (self.resume, &self.out)
            && !RunFolder::is_unbegun(out)?
        {
            let folder = RunFolder::open(out)?;
            let plan = folder.plan()?;
            self.draw()?.agrees(&plan)?;
            let planned = plan.contest.digest;
            let text = std::fs::read(&self.draw.contest).in_file(&self.draw.contest)?;
            if edgemaxx_contract::digest::Digest::of(text) != planned {
                return Err(Failure::input(format!(
                    "{}: not the contest that {} was planned from, which is kept there as {CONTEST_FILE}; name that one, or begin a new run: with another --out, or after removing {}",
                    self.draw.contest.display(),
                    out.display(),
                    quoted(out)
                )));
            }
            return Ok(folder);
        }
        let draw = self.draw()?;
        let (resolved, plan) = draw.draw(&Terminal)?;
        let out = self.out.clone().unwrap_or_else(|| draw.default_folder(&plan));
        let folder = RunFolder::create(&out)?;
        edgemaxx_run::stage::plan::save(&folder, &resolved, &plan)?;
        Ok(folder)
    }
}

/// The exit code of a run that was finished.
fn verdict(ranking: &Ranking, fit: bool, lost: &Lost<'_>) -> anyhow::Result<()> {
    match (lost.words(), fit) {
        (Some(words), _) => Err(RunError::of(lost.class(), words).into()),
        (None, false) => Err(Failure::error(Exit::Environment, ranking.verdict.clone())),
        (None, true) => Ok(()),
    }
}
