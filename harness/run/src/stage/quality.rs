//! Judging a run's answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::metric::Model;
use edgemaxx_contract::plan::{Plan, PlannedSession};
use edgemaxx_contract::quality::{QualityHeader, QualityLog};
use edgemaxx_contract::run_files::{ORIGIN_FILE, QUALITY_FILE};
use edgemaxx_contract::sample::{Log, Outcome, RecordedSession};
use edgemaxx_contract::task::TaskRef;
use edgemaxx_files::folder_digest;
use edgemaxx_quality::{Artefact, Judge, Pair, records};

use crate::error::{Result, RunError};
use crate::folder::RunFolder;
use crate::origin::Origin;
use crate::progress::Observer;
use crate::sources::source_folder;
use crate::task::kit;

/// Folders of the models that judge answers.
#[derive(Debug, Default)]
pub struct Models(BTreeMap<Model, PathBuf>);

impl Models {
    /// Those that are named, and no others.
    pub fn named(folders: impl IntoIterator<Item = (Model, Option<PathBuf>)>) -> Self {
        Self(folders.into_iter().filter_map(|(model, folder)| Some((model, folder?))).collect())
    }

    /// The contest's models, but those that are named here.
    ///
    /// # Errors
    /// The run does not say where its contest lay, and no folder is named.
    pub fn of(folder: &RunFolder, contest: &Contest, named: Self) -> Result<Self> {
        let mut models = named.0;
        for (model, relative) in &contest.quality.models {
            if models.contains_key(model) {
                continue;
            }
            // A published run does not say where things lay.
            if !folder.holds(ORIGIN_FILE) {
                return Err(unnamed_model(folder, *model, relative));
            }
            models.insert(*model, place(*model, relative, &Origin::of(folder)?.base, &folder.plan()?)?);
        }
        Ok(Self(models))
    }

    /// The judge of a task's answers, with these models.
    ///
    /// # Errors
    /// One of them cannot be loaded.
    pub fn judge(&self, task: TaskRef) -> Result<Box<dyn Judge>> {
        kit(task)?.judge(&self.0).map_err(|error| RunError::input(error.to_string()))
    }

    fn digests(&self) -> Result<BTreeMap<Model, Digest>> {
        self.0.iter().map(|(model, folder)| Ok((*model, folder_digest(folder)?))).collect()
    }
}

/// Where a model lies that the contest names, below the folder that its paths are relative to.
///
/// # Errors
/// It is not here.
pub fn place(model: Model, relative: &str, base: &Path, plan: &Plan) -> Result<PathBuf> {
    let folder = match model {
        // As it was planned: at the revision that was measured.
        Model::Baseline => source_folder(base, &plan.baseline().checkpoint.source)?,
        Model::Clip | Model::Lpips => base.join(relative),
    };
    match folder.is_dir() {
        true => Ok(folder),
        false => Err(RunError::input(format!("quality.{model}: {}: no such folder", folder.display()))),
    }
}

/// That a published run needs to be told where a model lies, and which one it is.
fn unnamed_model(folder: &RunFolder, model: Model, relative: &str) -> RunError {
    let judged = folder.read(QUALITY_FILE).ok();
    let judged = judged.and_then(|text| QualityLog::parse(&text).ok()).map(|quality| quality.header);
    let digest = judged.and_then(|header| header.models.get(&model).copied());
    let digest = digest.map(|digest| format!(", of digest {digest}")).unwrap_or_default();
    RunError::input(format!(
        "{}: the run does not say where its contest lay; name the folder of its quality.{model} ({relative:?}{digest}) with --{model}",
        folder.path().display()
    ))
}

/// Judges every complete pair of a run, with the models that are named instead of the contest's, and writes quality.jsonl.
///
/// # Errors
/// A file of the run is missing or cannot be read, or a model is.
pub fn judge_run(folder: &RunFolder, named: Models, observer: &dyn Observer) -> Result<QualityLog> {
    let plan = folder.plan()?;
    let contest = folder.contest(&plan)?;
    let log = folder.samples(&plan)?;
    let models = Models::of(folder, &contest, named)?;
    let held_back = contest.quality.gates.iter().any(|gate| gate.metric.is_held_back());
    let judge = models.judge(contest.task)?;
    let header = QualityHeader {
        format: QualityHeader::format(),
        samples: log.chain.head(),
        models: models.digests()?,
        views: if held_back { judge.draw_views(log.chain.head()) } else { Vec::new() },
    };

    let pairs = pairs(folder, &plan, &log);
    let progress = Mutex::new(observer.begin("quality", pairs.len() as u64));
    let advance = || {
        if let Ok(mut progress) = progress.lock() {
            progress.advance(1);
        }
    };
    let records = records(&*judge, &pairs, &header.views, &advance)
        .map_err(|error| RunError::input(error.to_string()))?;
    let quality = QualityLog { header, records };
    folder.write(QUALITY_FILE, quality.to_jsonl())?;
    if let Ok(progress) = progress.into_inner() {
        progress.end(&format!("{} pairs judged", quality.records.len()));
    }
    Ok(quality)
}

/// All complete pairs of a run, in the order of the plan.
pub fn pairs(folder: &RunFolder, plan: &Plan, log: &Log) -> Vec<Pair> {
    let sessions = plan.sessions.iter().zip(log.sessions(plan));
    sessions.flat_map(|(planned, recorded)| answer_pairs(folder, plan, planned, &recorded)).collect()
}

/// The complete pairs of one session.
pub fn answer_pairs(
    folder: &RunFolder,
    plan: &Plan,
    planned: &PlannedSession,
    recorded: &RecordedSession<'_>,
) -> Vec<Pair> {
    let file = |digest: Digest| Artefact { path: folder.artefact(plan.task, &digest), digest };
    let scores = recorded.all_scores(plan.scored(planned));
    let pairs = recorded.complete_pairs(planned.pairs.len() as u32);
    let mut pairs: Vec<Pair> = pairs
        .filter_map(|(pair, baseline, candidate)| match (&baseline.outcome, &candidate.outcome) {
            (Outcome::Answered { answer: theirs, .. }, Outcome::Answered { answer: ours, .. }) => {
                Some(Pair {
                    candidate: planned.candidate.clone(),
                    session: planned.index,
                    pair,
                    request: baseline.request,
                    ask: plan.requests[baseline.request as usize].ask.clone(),
                    baseline: file(*theirs),
                    answer: file(*ours),
                    twin: None,
                    scores: scores.get(&pair).map(|both| both.map(file)),
                })
            }
            _ => None,
        })
        .collect();
    if plan.measurement.twins > 0 {
        for at in 1..pairs.len() {
            let (earlier, pair) = (&pairs[..at], &pairs[at]);
            let twin = earlier.iter().find(|other| other.ask == pair.ask && other.request != pair.request);
            pairs[at].twin = twin.map(|twin| [twin.baseline.clone(), twin.answer.clone()]);
        }
    }
    pairs
}
