//! `edgemaxx plan`: contest and entropy in, plan.json out.

use std::path::{Path, PathBuf};

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{Day, Entropy, Extent, Plan, PlanInputs, draw_plan};
use serde::{Deserialize, Serialize};

use crate::error::{Failure, InFile as _};
use crate::folder::RunFolder;
use crate::resolve::{Resolved, resolve};
use crate::shell::quoted;
use crate::terminal::{answer, answer_json};

/// Draws the plan of a contest: a pure function of its inputs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx plan fixtures/contests/emoji-cpu.toml --out runs/mine
  edgemaxx plan contest.toml --out runs/day --day 2026-11-22 --entropy 0x5f2c…
  edgemaxx plan contest.toml --out runs/day --until 0.5% --budget 90")]
pub(crate) struct Args {
    #[command(flatten)]
    draw: Draw,
    /// New folder for the run.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

/// Entropy where none is given.
const OFFLINE: &str = "offline";

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
}

/// Where a run's contest lies on this machine; not part of what is published.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Origin {
    /// Folder that the contest's paths are relative to.
    pub(crate) base: PathBuf,
}

impl Origin {
    pub(crate) fn of(folder: &RunFolder) -> anyhow::Result<Self> {
        serde_json::from_str(&folder.read("origin.json", "plan")?).in_file(&folder.file("origin.json"))
    }
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let (resolved, plan) = self.draw.draw()?;
        let folder = RunFolder::create(&self.out)?;
        save(&folder, &resolved, &plan)?;
        if self.json {
            return answer_json(&plan);
        }
        answer(&format!(
            "{}: {} sessions of {} pairs, {} pipelines, plan {}\nnext: edgemaxx measure {}",
            self.out.join("plan.json").display(),
            plan.sessions.len(),
            plan.sessions.first().map_or(0, |session| session.pairs.len()),
            plan.pipelines.len(),
            plan.digest()?.short(),
            quoted(&self.out),
        ))
    }
}

impl Draw {
    /// Today's plan of a contest, with nothing else said.
    pub(crate) fn today(contest: PathBuf, quick: bool) -> anyhow::Result<Self> {
        let entropy = OFFLINE.parse().map_err(|error| Failure::input(format!("entropy: {error}")))?;
        Ok(Self { contest, base: None, day: None, entropy, quick, until: None, budget: None })
    }

    /// The plan, and what it was drawn from.
    pub(crate) fn draw(&self) -> anyhow::Result<(Resolved, Plan)> {
        self.draw_resolved(resolve(&self.contest, self.base.as_deref())?)
    }

    /// Whether a run that goes on was planned as asked here, where something is asked.
    pub(crate) fn agrees(&self, plan: &Plan) -> anyhow::Result<()> {
        let differs = |option: &str, planned: &dyn std::fmt::Display| {
            Err(Failure::input(format!(
                "{option}: the run was planned with {planned}; leave it out to go on, or begin another run with another --out"
            )))
        };
        if self.day.as_ref().is_some_and(|day| *day != plan.day) {
            return differs("--day", &plan.day);
        }
        if self.entropy.as_str() != OFFLINE && self.entropy != plan.entropy {
            return differs("--entropy", &plan.entropy.as_str());
        }
        if self.quick && plan.extent == Extent::Full {
            return differs("--quick", &"all its sessions");
        }
        let stopping = &plan.measurement.stopping;
        if self.until.is_some() && self.until != stopping.until_half_width {
            return differs(
                "--until",
                &stopping.until_half_width.map_or("none".to_owned(), |u| format!("{}%", u * 100.0)),
            );
        }
        let budget = self.budget.map(|minutes| minutes * 60.0);
        if budget.is_some() && budget != stopping.budget_s {
            return differs(
                "--budget",
                &stopping.budget_s.map_or("none".to_owned(), |s| format!("{} minutes", s / 60.0)),
            );
        }
        Ok(())
    }

    /// The same of a contest that was resolved already.
    pub(crate) fn draw_resolved(&self, mut resolved: Resolved) -> anyhow::Result<(Resolved, Plan)> {
        let stopping = &mut resolved.contest.measurement.stopping;
        stopping.until_half_width = self.until.or(stopping.until_half_width);
        stopping.budget_s = self.budget.map(|minutes| minutes * 60.0).or(stopping.budget_s);
        let day = match &self.day {
            Some(day) => day.clone(),
            None => today()?,
        };
        let plan = draw_plan(PlanInputs {
            contest: &resolved.contest,
            prompts_file: &resolved.prompts_file,
            prompts: &resolved.prompts,
            pipelines: &resolved.pipelines,
            day: &day,
            entropy: &self.entropy,
            extent: if self.quick { Extent::Quick } else { Extent::Full },
        })
        .in_file(&self.contest)?;
        Ok((resolved, plan))
    }

    /// The folder for a run nobody named one for: `runs/<contest>-<day>`, numbered when taken.
    pub(crate) fn default_folder(&self, plan: &Plan) -> PathBuf {
        let quick = if plan.extent == Extent::Quick { "-quick" } else { "" };
        let name = format!("{}-{}{quick}", plan.contest.name.replace('/', "-"), plan.day);
        let first = Path::new("runs").join(&name);
        std::iter::once(first)
            .chain((2u32..).map(|n| Path::new("runs").join(format!("{name}-{n}"))))
            .find(|path| !path.exists())
            .unwrap_or_default()
    }
}

/// Writes what a run starts from: `origin.json`, which is nobody else's, first, and `plan.json`, which begins the run,
/// last (see [`RunFolder::is_unbegun`]).
pub(crate) fn save(folder: &RunFolder, resolved: &Resolved, plan: &Plan) -> anyhow::Result<()> {
    folder.write(
        "origin.json",
        serde_json::to_string_pretty(&Origin { base: resolved.base.clone() })? + "\n",
    )?;
    folder.write("contest.toml", &resolved.text)?;
    folder.write("prompts.txt", &resolved.prompts)?;
    folder.write("plan.json", plan.to_json()?)
}

/// `0.5%` as 0.005.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    number
        .filter(|percent| *percent > 0.0 && *percent < 100.0)
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "expected a percentage above 0% and below 100%, e.g. 0.5%".to_owned())
}

fn minutes(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    number
        .filter(|minutes| minutes.is_finite() && *minutes > 0.0)
        .ok_or_else(|| "expected a positive number of minutes".to_owned())
}

/// Today in UTC.
fn today() -> anyhow::Result<Day> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    today
        .to_string()
        .parse()
        .map_err(|error| Failure::input(format!("the clock is off: {error}; name the day with --day")))
}
