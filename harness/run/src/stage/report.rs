//! The report: a run for people and programs.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use edgemaxx_analyze::telemetry::Derived;
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::day::{DAY_FILE, DayRecord};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::joint::{JOINT_FILE, Joint};
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::quality::QualityLog;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::{
    CONTEST_FILE, ESTIMATES_FILE, JUNIT_FILE, MARKDOWN_FILE, PARQUET_FILE, PLAN_FILE, QUALITY_FILE,
    RANKING_FILE, REPORT_FILE, SUMMARY_FILE,
};
use edgemaxx_contract::sample::Log;
use edgemaxx_contract::task::TaskRef;
use edgemaxx_contract::weights::{WEIGHTS_FILE, Weights};
use edgemaxx_files::write_whole;
use edgemaxx_quality::{Artefact, Judge};
use edgemaxx_report::{
    AnswerSource, DayView, Evidence, FileDigest, JointView, RunView, day_html, day_markdown, html,
    joint_html, joint_markdown, junit, markdown, summary_json, tables,
};

use crate::error::{InFile as _, Result, RunError};
use crate::folder::RunFolder;
use crate::stage::quality::Models;

/// The answers of a run folder, all of them or, where there is no such folder, none.
struct FolderAnswers<'a> {
    folder: &'a RunFolder,
    task: TaskRef,
    judge: Box<dyn Judge>,
    /// What is wrong with one that is there.
    problem: Mutex<Option<String>>,
}

impl AnswerSource for FolderAnswers<'_> {
    fn file(&self, digest: &Digest) -> Option<Vec<u8>> {
        if !self.folder.artefacts().is_dir() {
            return None;
        }
        let file = Artefact { path: self.folder.artefact(self.task, digest), digest: *digest };
        match self.judge.read(&file) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                None
            }
        }
    }
}

impl<'a> FolderAnswers<'a> {
    fn of(folder: &'a RunFolder, run: &Loaded) -> Result<Self> {
        let judge = Models::default().judge(run.contest.task)?;
        Ok(Self { folder, task: run.plan.task, judge, problem: Mutex::default() })
    }

    /// Whether every answer that was asked for could be read.
    fn all_read(self) -> Result<()> {
        let problem = self.problem.into_inner().unwrap_or_else(PoisonError::into_inner);
        problem.map_or(Ok(()), |problem| Err(RunError::input(problem)))
    }
}

/// The files of a validator's day, where the run is one's.
pub(crate) fn of_day(folder: &RunFolder) -> Vec<&'static str> {
    let day = [DAY_FILE, WEIGHTS_FILE];
    if day.iter().all(|name| folder.holds(name)) { day.to_vec() } else { Vec::new() }
}

/// What the report of a folder rests on.
fn sources(folder: &RunFolder) -> Result<Vec<String>> {
    let measured = folder.measured(&folder.plan()?).into_iter();
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let before = named(&[CONTEST_FILE, PLAN_FILE]).into_iter();
    let after = named(&[QUALITY_FILE, ESTIMATES_FILE, RANKING_FILE]);
    Ok(before.chain(measured).chain(after).chain(named(&of_day(folder))).collect())
}

fn digests(folder: &RunFolder, sources: &[String]) -> Result<Vec<FileDigest>> {
    let digest = |name: &String| {
        let digest = Digest::of(folder.read(name)?.as_bytes());
        Ok(FileDigest { name: name.clone(), digest })
    };
    sources.iter().map(digest).collect()
}

/// Whether the folder's page is of its files: it names the digest of each.
///
/// # Errors
/// It is of others, or one is missing.
pub fn is_of(folder: &RunFolder) -> Result<()> {
    let page = folder.read(REPORT_FILE)?;
    match digests(folder, &sources(folder)?)?.iter().find(|file| !page.contains(&file.digest.to_string())) {
        Some(file) => Err(folder.stale(REPORT_FILE, &file.name)),
        None => Ok(()),
    }
}

/// A validator's day.
struct Day {
    record: DayRecord,
    weights: Weights,
}

impl Day {
    fn view<'a>(&'a self, ranking: Option<&'a Ranking>) -> DayView<'a> {
        DayView { record: &self.record, weights: &self.weights, ranking }
    }
}

/// The day that a folder is of; `None`: it is a run by hand.
fn day_of(folder: &RunFolder) -> Result<Option<Day>> {
    if of_day(folder).is_empty() {
        return Ok(None);
    }
    let record: DayRecord = folder.document(DAY_FILE)?;
    Ok(Some(Day { record, weights: folder.document(WEIGHTS_FILE)? }))
}

/// All that a report rests on.
struct Loaded {
    contest: Contest,
    plan: Plan,
    log: Log,
    telemetry: Option<Derived>,
    quality: QualityLog,
    estimates: Estimates,
    ranking: Ranking,
    environment: Environment,
    files: Vec<FileDigest>,
    day: Option<Day>,
}

impl Loaded {
    fn read(folder: &RunFolder) -> Result<Self> {
        let plan = folder.plan()?;
        let contest = folder.contest(&plan)?;
        let (log, telemetry) = folder.samples_with_telemetry(&plan)?;
        let (quality, quality_digest) = folder.quality(&plan, &log)?;
        Ok(Self {
            contest,
            telemetry,
            estimates: folder.estimates(&plan, &log, quality_digest)?,
            quality,
            ranking: folder.ranking()?,
            environment: folder.environment(&plan)?,
            files: digests(folder, &sources(folder)?)?,
            day: day_of(folder)?,
            plan,
            log,
        })
    }

    fn view(&self) -> RunView<'_> {
        RunView {
            contest: &self.contest,
            plan: &self.plan,
            log: &self.log,
            quality: &self.quality,
            estimates: &self.estimates,
            ranking: &self.ranking,
            environment: &self.environment,
            day: self.day.as_ref().map(|day| day.view(Some(&self.ranking))),
            files: &self.files,
        }
    }
}

/// Writes the report of a validator's day, of its run or, where nothing was measured, of its submissions alone.
///
/// # Errors
/// As [`report_run`].
pub fn report_day(path: &Path) -> Result<()> {
    if path.join(RANKING_FILE).is_file() {
        return report_run(&RunFolder::open(path)?).map(drop);
    }
    let read = |name: &str| std::fs::read_to_string(path.join(name)).in_file(&path.join(name));
    let digest = |(name, text): (&str, &str)| FileDigest { name: name.to_owned(), digest: Digest::of(text) };
    let weights = read(WEIGHTS_FILE)?;
    if path.join(JOINT_FILE).is_file() {
        let joint = read(JOINT_FILE)?;
        let files = [(JOINT_FILE, joint.as_str()), (WEIGHTS_FILE, &weights)].map(digest);
        let joint = Joint::from_json(&joint).in_file(&path.join(JOINT_FILE))?;
        let weights = Weights::from_json(&weights).in_file(&path.join(WEIGHTS_FILE))?;
        let view = JointView { joint: &joint, weights: &weights };
        return write_all(
            path,
            [
                (REPORT_FILE.to_owned(), joint_html(&view, &files)?.into_bytes()),
                (MARKDOWN_FILE.to_owned(), joint_markdown(&view).into_bytes()),
            ],
        );
    }
    let (contest, record) = (read(CONTEST_FILE)?, read(DAY_FILE)?);
    let files = [(CONTEST_FILE, contest.as_str()), (DAY_FILE, &record), (WEIGHTS_FILE, &weights)];
    let files: Vec<FileDigest> = files.into_iter().map(digest).collect();
    let title = Contest::parse(&contest).in_file(&path.join(CONTEST_FILE))?.title;
    let day = Day {
        record: DayRecord::from_json(&record).in_file(&path.join(DAY_FILE))?,
        weights: Weights::from_json(&weights).in_file(&path.join(WEIGHTS_FILE))?,
    };
    let view = day.view(None);
    let table = tables::submissions(&view)?;
    write_all(
        path,
        [
            (REPORT_FILE.to_owned(), day_html(&title, &view, &files)?.into_bytes()),
            (MARKDOWN_FILE.to_owned(), day_markdown(&title, &view).into_bytes()),
            (format!("{}.csv", table.name()), table.to_csv()?),
        ],
    )
}

fn write_all(path: &Path, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<()> {
    for (name, bytes) in files {
        let file = path.join(name);
        write_whole(&file, &bytes)
            .map_err(|source| RunError::Disk { what: format!("cannot write {}", file.display()), source })?;
    }
    Ok(())
}

/// What a site's front page shows of a run.
///
/// # Errors
/// As [`report_run`].
pub fn evidence(folder: &RunFolder) -> Result<Evidence> {
    let folder = &folder.loaded(&sources(folder)?)?;
    let run = Loaded::read(folder)?;
    let answers = FolderAnswers::of(folder, &run)?;
    let evidence = Evidence::of(&run.view(), &answers);
    answers.all_read()?;
    Ok(evidence)
}

/// Writes all forms of the report; returns the page's path.
///
/// # Errors
/// A file of the run is missing, cannot be read, or rests on another.
pub fn report_run(folder: &RunFolder) -> Result<PathBuf> {
    let folder = &folder.loaded(&sources(folder)?)?;
    let run = Loaded::read(folder)?;
    let view = run.view();
    let answers = FolderAnswers::of(folder, &run)?;
    // The page and the tables take about as long as one another: one thread each.
    let (page, rest) = std::thread::scope(|scope| {
        let page = scope.spawn(|| html(&view, &answers));
        let rest = machine_forms(folder, &view, run.telemetry.as_ref());
        (page.join(), rest)
    });
    rest?;
    let page =
        page.map_err(|_| RunError::input("the page could not be rendered: a defect of this program"))?;
    answers.all_read()?;
    folder.write(REPORT_FILE, page?)?;
    Ok(folder.file(REPORT_FILE))
}

/// Writes everything but the page.
fn machine_forms(folder: &RunFolder, view: &RunView<'_>, telemetry: Option<&Derived>) -> Result<()> {
    let samples = tables::samples(view.plan, view.log, |attempt| telemetry?.attempt(attempt).cloned())?;
    for table in [
        &tables::leaderboard(view.ranking, view.estimates)?,
        &tables::estimates(view.estimates)?,
        &samples,
        &tables::quality(view.quality, view.contest.task.name())?,
    ] {
        folder.write(&format!("{}.csv", table.name()), table.to_csv()?)?;
    }
    if let Some(table) = tables::lanes(view.estimates)? {
        folder.write(&format!("{}.csv", table.name()), table.to_csv()?)?;
    }
    if let Some(day) = &view.day {
        let table = tables::submissions(day)?;
        folder.write(&format!("{}.csv", table.name()), table.to_csv()?)?;
    }
    folder.write(PARQUET_FILE, samples.to_parquet()?)?;
    if let Some(parts) = tables::parts(view.plan, view.log)? {
        folder.write(&format!("{}.csv", parts.name()), parts.to_csv()?)?;
        folder.write(&format!("{}.parquet", parts.name()), parts.to_parquet()?)?;
    }
    folder.write(SUMMARY_FILE, summary_json(view)?)?;
    folder.write(MARKDOWN_FILE, markdown(view))?;
    folder.write(JUNIT_FILE, junit(view)?)
}
