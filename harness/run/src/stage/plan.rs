//! Drawing the plan: contest and entropy in, plan.json out.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{Day, Entropy, Extent, Plan, PlanInputs, draw_plan};
use edgemaxx_contract::run_files::{CONTEST_FILE, ORIGIN_FILE, PLAN_FILE, PROMPTS_FILE};
use edgemaxx_devices::computed_on;

use crate::error::{InFile as _, Result, RunError};
use crate::folder::RunFolder;
use crate::origin::Origin;
use crate::progress::Observer;
use crate::resolve::{Resolved, resolve};

/// Entropy where none is given.
pub const OFFLINE: &str = "offline";

/// What a plan is drawn from.
#[derive(Debug)]
pub struct Draw {
    /// Contest file.
    pub contest: PathBuf,
    /// Folder that the contest's paths are relative to; the contest's own where none is named.
    pub base: Option<PathBuf>,
    /// Day of the contest; today, UTC, where none is named.
    pub day: Option<Day>,
    /// Public randomness: a block hash, or any literal.
    pub entropy: Entropy,
    /// Fewer sessions and pairs: a first look, which never sets weights.
    pub quick: bool,
    /// End a candidate once its speedup is known to ± this share, or it is surely out of the race.
    pub until: Option<f64>,
    /// Begin no session after this many minutes of measuring.
    pub budget: Option<f64>,
    /// How many lanes its rounds are dealt to; one where none is named.
    pub lanes: Option<u32>,
}

impl Draw {
    /// Today's plan of a contest, with nothing else said.
    ///
    /// # Errors
    /// Never, for a literal that is entropy.
    pub fn today(contest: PathBuf, quick: bool) -> Result<Self> {
        let entropy = OFFLINE.parse().map_err(|error| RunError::input(format!("entropy: {error}")))?;
        Ok(Self { contest, base: None, day: None, entropy, quick, until: None, budget: None, lanes: None })
    }

    /// The plan, and what it was drawn from.
    ///
    /// # Errors
    /// Those of [`resolve`], and of drawing.
    pub fn draw(&self, observer: &dyn Observer) -> Result<(Resolved, Plan)> {
        self.draw_resolved(resolve(&self.contest, self.base.as_deref(), observer)?)
    }

    /// Whether a run that goes on was planned as asked here, where something is asked.
    ///
    /// # Errors
    /// Names the option that differs.
    pub fn agrees(&self, plan: &Plan) -> Result<()> {
        let differs = |option: &str, planned: &dyn std::fmt::Display| {
            Err(RunError::input(format!(
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
        if self.lanes.is_some_and(|lanes| lanes != plan.lanes) {
            return differs("--lanes", &plan.lanes);
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
    ///
    /// # Errors
    /// Nothing can be drawn from it.
    pub fn draw_resolved(&self, mut resolved: Resolved) -> Result<(Resolved, Plan)> {
        computed_on(resolved.contest.device.kind).in_file(&self.contest)?;
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
            encoder: resolved.encoder.as_deref(),
        })
        .in_file(&self.contest)?
        .in_lanes(self.lanes.unwrap_or(1))
        .in_file(&self.contest)?;
        Ok((resolved, plan))
    }

    /// The folder for a run nobody named one for: `runs/<contest>-<day>`, numbered when taken.
    pub fn default_folder(&self, plan: &Plan) -> PathBuf {
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
///
/// # Errors
/// A file cannot be written.
pub fn save(folder: &RunFolder, resolved: &Resolved, plan: &Plan) -> Result<()> {
    // Of two that plan into one folder at once the second finds the first one's lock, or its plan.
    let place = File::open(folder.path()).in_file(folder.path())?;
    let taken = matches!(place.try_lock(), Err(TryLockError::WouldBlock));
    if taken || folder.holds(PLAN_FILE) {
        return Err(RunError::input(format!(
            "{}: another run was planned here meanwhile; name another folder with --out",
            folder.path().display()
        )));
    }
    folder.write(ORIGIN_FILE, Origin { base: resolved.base.clone() }.text()?)?;
    folder.write(CONTEST_FILE, &resolved.text)?;
    folder.write(PROMPTS_FILE, &resolved.prompts)?;
    folder.write(PLAN_FILE, plan.to_json())
}

/// Today in UTC.
fn today() -> Result<Day> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    today
        .to_string()
        .parse()
        .map_err(|error| RunError::input(format!("the clock is off: {error}; name the day with --day")))
}
