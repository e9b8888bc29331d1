//! The run folder: which file holds what, and how it is read and written.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use edgemaxx_analyze::telemetry::Derived;
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::format::Document;
use edgemaxx_contract::plan::{PipelinePlan, Plan};
use edgemaxx_contract::quality::QualityLog;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::{
    ARTEFACTS_FOLDER, CONTEST_FILE, ENVIRONMENT_FILE, ESTIMATES_FILE, LANES_FOLDER, MEASURED_FILES,
    ORIGIN_FILE, PLAN_FILE, PROMPTS_FILE, QUALITY_FILE, RANKING_FILE, REPORT_FILE, SAMPLES_FILE,
    TELEMETRY_FILE, of_lane,
};
use edgemaxx_contract::sample::Log;
use edgemaxx_contract::task::TaskRef;
use edgemaxx_contract::telemetry::TelemetryLog;
use edgemaxx_files::{read_text_of, write_whole};

use crate::error::{InFile as _, Result, RunError};
use crate::quoted::quoted;

/// The largest log or document of a run, bytes.
const MOST_LOG: u64 = 4 << 30;

/// The verb that writes a file.
fn made_by(name: &str) -> &'static str {
    match name.rsplit('/').next().unwrap_or(name) {
        ENVIRONMENT_FILE | SAMPLES_FILE | TELEMETRY_FILE => "measure",
        QUALITY_FILE => "quality",
        ESTIMATES_FILE => "analyze",
        RANKING_FILE => "rank",
        REPORT_FILE => "report",
        _ => "plan",
    }
}

/// A folder that holds one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    /// Answers by digest.
    artefacts: PathBuf,
    /// The run that this is a lane of, and its number.
    within: Option<(PathBuf, u32)>,
    /// Files that were read once and are not read again.
    loaded: BTreeMap<String, String>,
}

impl RunFolder {
    fn at(path: &Path) -> Self {
        let (artefacts, loaded) = (path.join(ARTEFACTS_FOLDER), BTreeMap::new());
        Self { path: path.to_owned(), artefacts, within: None, loaded }
    }

    /// A folder for a new run: new, empty, or left by planning that was cut off.
    ///
    /// # Errors
    /// The folder holds something, or cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        if path.is_symlink() && !path.exists() {
            return Err(RunError::input(format!("{}: a link that leads nowhere", path.display())));
        }
        if path.exists() && !Self::is_unbegun(path)? {
            let problem = if path.join(PLAN_FILE).exists() {
                "the folder holds a run; go on with it by --resume, or name another folder with --out"
            } else {
                "the folder is not empty; name another with --out"
            };
            return Err(RunError::input(format!("{}: {problem}", path.display())));
        }
        fs::create_dir_all(path).in_file(path)?;
        Ok(Self::at(path))
    }

    /// Whether a folder is there and holds nothing, or nothing but what planning writes before `plan.json`: no run was
    /// begun in it. Another's `contest.toml` is no such thing where `origin.json` is missing.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn is_unbegun(path: &Path) -> Result<bool> {
        if !path.exists() {
            return Ok(false);
        }
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(path).in_file(path)? {
            names.insert(entry.in_file(path)?.file_name().to_string_lossy().into_owned());
        }
        for name in [ORIGIN_FILE, CONTEST_FILE, PROMPTS_FILE, PLAN_FILE] {
            names.remove(&format!(".{name}.part"));
        }
        if names.remove(ORIGIN_FILE) {
            names.remove(CONTEST_FILE);
            names.remove(PROMPTS_FILE);
        }
        Ok(names.is_empty())
    }

    /// The folder of a run that was planned before.
    ///
    /// # Errors
    /// It holds no plan.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.join(PLAN_FILE).is_file() {
            return Err(RunError::input(format!(
                "{}: no run folder (it holds no {PLAN_FILE}); make one with `edgemaxx run` or `edgemaxx plan`",
                path.display()
            )));
        }
        Ok(Self::at(path))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its file of this name lies.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Answers by digest.
    pub fn artefacts(&self) -> PathBuf {
        self.artefacts.clone()
    }

    /// The folder whose [`ARTEFACTS_FOLDER`] answers are kept in: a lane's are kept in that of its run.
    pub fn keeps(&self) -> &Path {
        self.artefacts.parent().unwrap_or(&self.path)
    }

    /// The file of an answer that was kept.
    pub fn artefact(&self, task: TaskRef, answer: &Digest) -> PathBuf {
        self.artefacts.join(format!("{answer}.{}", task.extension()))
    }

    /// The same folder with these files in memory: whatever is parsed of them,
    /// and their digests, are of the same bytes.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn loaded(&self, files: &[String]) -> Result<Self> {
        let mut all = self.clone();
        for name in files {
            all.loaded.insert(name.clone(), self.read(name)?.into_owned());
        }
        Ok(all)
    }

    /// A folder at `path` with these files and the pictures of this one, where stages write without
    /// touching it.
    pub fn elsewhere(&self, path: &Path, files: BTreeMap<String, String>) -> Self {
        Self { path: path.to_owned(), artefacts: self.artefacts.clone(), within: None, loaded: files }
    }

    /// Whether there is such a file, on disk or in memory.
    pub fn holds(&self, name: &str) -> bool {
        self.loaded.contains_key(name) || self.file(name).exists()
    }

    /// The text of a file, on disk or in memory.
    ///
    /// # Errors
    /// It is missing, or cannot be read.
    pub fn read(&self, name: &str) -> Result<Cow<'_, str>> {
        if let Some(text) = self.loaded.get(name) {
            return Ok(Cow::Borrowed(text));
        }
        let path = self.file(name);
        read_text_of(&path, MOST_LOG).map(Cow::Owned).map_err(|error| {
            RunError::input(match error.source.kind() {
                std::io::ErrorKind::NotFound => {
                    format!(
                        "{}: missing; `edgemaxx {} {}` writes it",
                        path.display(),
                        made_by(name),
                        quoted(&self.path)
                    )
                }
                _ => error.to_string(),
            })
        })
    }

    /// Writes a file as a whole or not at all; one that says the same already stays as it is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<()> {
        let (path, bytes) = (self.file(name), bytes.as_ref());
        let as_long = |there: fs::Metadata| there.is_file() && there.len() == bytes.len() as u64;
        if fs::metadata(&path).is_ok_and(as_long) && fs::read(&path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        write_whole(&path, bytes)
            .map_err(|source| RunError::Disk { what: format!("cannot write {}", path.display()), source })
    }

    /// One of the documents.
    ///
    /// # Errors
    /// It is missing, or cannot be read.
    pub fn document<T: Document>(&self, name: &str) -> Result<T> {
        T::from_json(&self.read(name)?).in_file(&self.file(name))
    }

    /// Writes one of the documents.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_document(&self, name: &str, document: &impl Document) -> Result<()> {
        self.write(name, document.to_json())
    }

    /// The contest the run is of, as it was when the run was planned.
    ///
    /// # Errors
    /// It is another now, or cannot be read.
    pub fn contest(&self, plan: &Plan) -> Result<Contest> {
        let path = self.file(CONTEST_FILE);
        let contest = Contest::parse(&self.read(CONTEST_FILE)?).in_file(&path)?;
        if contest.digest != plan.contest.digest {
            return Err(RunError::input(format!(
                "{}: changed since the run was planned ({PLAN_FILE} names {}, the file is {}); restore it",
                path.display(),
                plan.contest.digest.short(),
                contest.digest.short()
            )));
        }
        Ok(contest)
    }

    /// The plan.
    ///
    /// # Errors
    /// It cannot be read, or is not whole.
    pub fn plan(&self) -> Result<Plan> {
        let plan: Plan = self.document(PLAN_FILE)?;
        plan.check().in_file(&self.file(PLAN_FILE))?;
        Ok(plan)
    }

    /// The log of all attempts.
    ///
    /// # Errors
    /// It cannot be read, or is of another plan.
    pub fn samples(&self, plan: &Plan) -> Result<Log> {
        match plan.lanes {
            1 => self.log(SAMPLES_FILE, plan),
            lanes => {
                let log = |lane| self.log(&of_lane(lane, SAMPLES_FILE), &plan.of_lane(lane));
                Ok(Log::of_lanes(plan, (0..lanes).map(log).collect::<Result<_>>()?))
            }
        }
    }

    fn log(&self, name: &str, plan: &Plan) -> Result<Log> {
        Log::parse_for(&self.read(name)?, plan).in_file(&self.file(name))
    }

    /// The samples with what telemetry, where there is any, says of them; its marks stand in the log.
    ///
    /// # Errors
    /// One of both cannot be read, or is of another plan.
    pub fn samples_with_telemetry(&self, plan: &Plan) -> Result<(Log, Option<Derived>)> {
        let (mut log, derived) = match plan.lanes {
            1 => {
                let log = self.log(SAMPLES_FILE, plan)?;
                let derived = self.derived(TELEMETRY_FILE, plan, &log)?;
                (log, derived)
            }
            lanes => {
                let (mut logs, mut told) = (Vec::new(), Vec::new());
                for lane in 0..lanes {
                    let own = plan.of_lane(lane);
                    let log = self.log(&of_lane(lane, SAMPLES_FILE), &own)?;
                    let places = plan.sessions_of_lane(lane).map(|session| session.index).collect();
                    let derived = self.derived(&of_lane(lane, TELEMETRY_FILE), &own, &log)?;
                    told.extend(derived.map(|derived| (derived, places)));
                    logs.push(log);
                }
                let digest = self.telemetry_digest(plan)?.unwrap_or_else(|| Digest::of(""));
                (Log::of_lanes(plan, logs), Derived::of_lanes(told, digest))
            }
        };
        if let Some(derived) = &derived {
            derived.mark(&mut log);
        }
        Ok((log, derived))
    }

    /// What a telemetry file says of a log; `None`: it is not there.
    fn derived(&self, name: &str, plan: &Plan, log: &Log) -> Result<Option<Derived>> {
        if !self.holds(name) {
            return Ok(None);
        }
        let text = self.read(name)?;
        let telemetry = TelemetryLog::parse(&text, plan.digest()).in_file(&self.file(name))?;
        Ok(Some(Derived::of(log, &telemetry, Digest::of(text.as_bytes()))))
    }

    /// The digest of the run's telemetry; of several lanes, that of the list of theirs. `None`: it has none.
    fn telemetry_digest(&self, plan: &Plan) -> Result<Option<Digest>> {
        let names = self.measured(plan).into_iter().filter(|name| name.ends_with(TELEMETRY_FILE));
        let digests: Vec<Digest> =
            names.map(|name| Ok(Digest::of(self.read(&name)?.as_bytes()))).collect::<Result<_>>()?;
        Ok(match digests[..] {
            [] => None,
            [one] if plan.lanes == 1 => Some(one),
            _ => Some(Digest::of_fields(digests.iter().map(|digest| digest.as_bytes().as_slice()))),
        })
    }

    /// The names of what `measure` writes in this run, in the order in which a report names them; telemetry where there
    /// is any.
    pub fn measured(&self, plan: &Plan) -> Vec<String> {
        let name = |lane: u32, name: &str| match plan.lanes {
            1 => name.to_owned(),
            _ => of_lane(lane, name),
        };
        let all = (0..plan.lanes).flat_map(|lane| MEASURED_FILES.map(|file| name(lane, file)));
        all.filter(|name| !name.ends_with(TELEMETRY_FILE) || self.holds(name)).collect()
    }

    /// Where the run was measured.
    ///
    /// # Errors
    /// It cannot be read, or its lanes are too different to be pooled.
    pub fn environment(&self, plan: &Plan) -> Result<Environment> {
        match plan.lanes {
            1 => self.document(ENVIRONMENT_FILE),
            lanes => {
                let lane = |lane| self.document(&of_lane(lane, ENVIRONMENT_FILE));
                let lanes = (0..lanes).map(lane).collect::<Result<_>>()?;
                Environment::of_lanes(lanes).in_file(&self.file(LANES_FOLDER))
            }
        }
    }

    /// Whether it is recorded where any of the run was measured.
    pub fn is_placed(&self, plan: &Plan) -> bool {
        self.measured(plan).iter().any(|name| name.ends_with(ENVIRONMENT_FILE) && self.holds(name))
    }

    /// The folder of a lane of this run, as a run of its own whose answers are kept with the others'.
    ///
    /// # Errors
    /// There is no such lane.
    pub fn lane(&self, lane: u32) -> Result<Self> {
        let plan = self.plan()?;
        if plan.lanes == 1 || lane >= plan.lanes {
            return Err(RunError::input(match plan.lanes {
                1 => format!(
                    "--lane {lane}: {} has no lanes; plan it with --lanes",
                    self.file(PLAN_FILE).display()
                ),
                lanes => format!("--lane {lane}: the run has lanes 0 to {}", lanes - 1),
            }));
        }
        let path = self.file(LANES_FOLDER).join(lane.to_string());
        let mut loaded = BTreeMap::from([(PLAN_FILE.to_owned(), plan.of_lane(lane).to_json())]);
        for name in [CONTEST_FILE, PROMPTS_FILE, ORIGIN_FILE] {
            loaded.insert(name.to_owned(), self.read(name)?.into_owned());
        }
        let within = Some((self.path.clone(), lane));
        Ok(Self { path, artefacts: self.artefacts.clone(), within, loaded })
    }

    /// The run that this is a lane of, and the lane's number.
    pub fn within(&self) -> Option<(Self, u32)> {
        self.within.as_ref().map(|(run, lane)| (Self::at(run), *lane))
    }

    /// The judged pairs, and the digest of their file.
    ///
    /// # Errors
    /// They cannot be read, or are of other samples.
    pub fn quality(&self, plan: &Plan, log: &Log) -> Result<(QualityLog, Digest)> {
        let text = self.read(QUALITY_FILE)?;
        let quality = QualityLog::parse(&text).in_file(&self.file(QUALITY_FILE))?;
        if quality.header.samples != log.chain.head() {
            return Err(self.stale(QUALITY_FILE, SAMPLES_FILE));
        }
        quality.check(plan, log).map_err(|error| self.again(QUALITY_FILE, &error.to_string()))?;
        Ok((quality, Digest::of(text.as_bytes())))
    }

    /// The estimates, where they rest on what else the folder holds; `quality` is the digest of its file.
    ///
    /// # Errors
    /// They cannot be read, or rest on other files.
    pub fn estimates(&self, plan: &Plan, log: &Log, quality: Digest) -> Result<Estimates> {
        let estimates: Estimates = self.document(ESTIMATES_FILE)?;
        let telemetry = self.telemetry_digest(plan)?;
        let read = estimates.telemetry.as_ref().map(|telemetry| telemetry.digest);
        let inputs = [
            (PLAN_FILE, estimates.plan == plan.digest()),
            (SAMPLES_FILE, estimates.samples == log.chain.head()),
            (TELEMETRY_FILE, read == telemetry),
            (QUALITY_FILE, estimates.quality == quality),
        ];
        match inputs.into_iter().find(|(_, same)| !same) {
            Some((name, _)) => Err(self.stale(ESTIMATES_FILE, name)),
            None => Ok(estimates),
        }
    }

    /// The ranking, where it rests on the folder's estimates.
    ///
    /// # Errors
    /// It cannot be read, or rests on other estimates.
    pub fn ranking(&self) -> Result<Ranking> {
        let ranking: Ranking = self.document(RANKING_FILE)?;
        if ranking.estimates != Digest::of(self.read(ESTIMATES_FILE)?.as_bytes()) {
            return Err(self.stale(RANKING_FILE, ESTIMATES_FILE));
        }
        Ok(ranking)
    }

    /// A file that was made of another `source` than the folder holds.
    pub fn stale(&self, name: &str, source: &str) -> RunError {
        self.again(name, &format!("rests on another {source} than is there now"))
    }

    /// A file that its stage must write again.
    fn again(&self, name: &str, problem: &str) -> RunError {
        RunError::input(format!(
            "{}: {problem}; run `edgemaxx {} {}` again, and the stages after it",
            self.file(name).display(),
            made_by(name),
            quoted(&self.path)
        ))
    }
}

/// The name of a pipeline's folder beside those of others: `x/y` is not in `x`, and no name holds a `+`.
pub(crate) fn own_folder(pipeline: &PipelinePlan) -> String {
    pipeline.name.replace('/', "+")
}
