//! Judging a run's pictures.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::{Plan, PlannedSession};
use edgemaxx_contract::quality::{QualityHeader, QualityLog, View};
use edgemaxx_contract::run_files::{ORIGIN_FILE, QUALITY_FILE};
use edgemaxx_contract::sample::{Log, Outcome, RecordedSession};
use edgemaxx_files::folder_digest;
use edgemaxx_quality::clip::ClipScorer;
use edgemaxx_quality::lpips::Lpips;
use edgemaxx_quality::views::draw_views;
use edgemaxx_quality::{Judge, PictureFile, PicturePair};

use crate::error::{Result, RunError};
use crate::folder::{Origin, RunFolder};
use crate::progress::Observer;

/// A CLIP in the transformers layout.
///
/// # Errors
/// The folder holds none.
pub fn load_clip(folder: &Path) -> Result<ClipScorer> {
    ClipScorer::load(folder).map_err(|error| RunError::input(error.to_string()))
}

/// Where the models that judge pictures lie.
#[derive(Debug, Default)]
pub struct Models {
    /// CLIP folder in the transformers layout.
    pub clip: Option<PathBuf>,
    /// LPIPS folder.
    pub lpips: Option<PathBuf>,
}

impl Models {
    /// The contest's models, but those that are named here.
    ///
    /// # Errors
    /// The run does not say where its contest lay, and no folder is named.
    pub fn of(folder: &RunFolder, contest: &Contest, named: Self) -> Result<Self> {
        let at = |named: Option<PathBuf>, key: &str, relative: &Option<String>| match (named, relative) {
            (Some(named), _) => Ok(Some(named)),
            (None, None) => Ok(None),
            // A published run does not say where things lay.
            (None, Some(relative)) if !folder.holds(ORIGIN_FILE) => Err(unnamed_model(folder, key, relative)),
            (None, Some(relative)) => Ok(Some(Origin::of(folder)?.base.join(relative))),
        };
        Ok(Self {
            clip: at(named.clip, "clip", &contest.quality.clip)?,
            lpips: at(named.lpips, "lpips", &contest.quality.lpips)?,
        })
    }

    /// A judge with these models.
    ///
    /// # Errors
    /// One of them cannot be loaded.
    pub fn judge(&self, views: Vec<View>) -> Result<Judge> {
        let load_lpips = |dir: &Path| Lpips::load(dir).map_err(|error| RunError::input(error.to_string()));
        Ok(Judge {
            clip: self.clip.as_deref().map(load_clip).transpose()?,
            lpips: self.lpips.as_deref().map(load_lpips).transpose()?,
            views,
        })
    }
}

/// That a published run needs to be told where a model lies, and which one it is.
fn unnamed_model(folder: &RunFolder, key: &str, relative: &str) -> RunError {
    let judged = folder.read(QUALITY_FILE).ok();
    let judged = judged.and_then(|text| QualityLog::parse(&text).ok()).map(|quality| quality.header);
    let digest = judged.and_then(|header| if key == "clip" { header.clip } else { header.lpips });
    let digest = digest.map(|digest| format!(", of digest {digest}")).unwrap_or_default();
    RunError::input(format!(
        "{}: the run does not say where its contest lay; name the folder of its quality.{key} ({relative:?}{digest}) with --{key}",
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
    let header = QualityHeader {
        format: QualityHeader::format(),
        samples: log.chain.head(),
        clip: models.clip.as_deref().map(folder_digest).transpose()?,
        lpips: models.lpips.as_deref().map(folder_digest).transpose()?,
        views: if held_back { draw_views(log.chain.head()).to_vec() } else { Vec::new() },
    };
    let judge = models.judge(header.views.clone())?;

    let pairs = pairs(folder, &plan, &log);
    let progress = Mutex::new(observer.begin("quality", pairs.len() as u64));
    let advance = || {
        if let Ok(mut progress) = progress.lock() {
            progress.advance(1);
        }
    };
    let records = judge.judge(&pairs, &advance).map_err(|error| RunError::input(error.to_string()))?;
    let quality = QualityLog { header, records };
    folder.write(QUALITY_FILE, quality.to_jsonl()?)?;
    if let Ok(progress) = progress.into_inner() {
        progress.end(&format!("{} pairs judged", quality.records.len()));
    }
    Ok(quality)
}

/// All complete pairs of a run, in the order of the plan.
pub fn pairs(folder: &RunFolder, plan: &Plan, log: &Log) -> Vec<PicturePair> {
    let sessions = plan.sessions.iter().zip(log.sessions(plan));
    sessions.flat_map(|(planned, recorded)| picture_pairs(folder, plan, planned, &recorded)).collect()
}

/// The complete pairs of one session.
pub fn picture_pairs(
    folder: &RunFolder,
    plan: &Plan,
    planned: &PlannedSession,
    recorded: &RecordedSession<'_>,
) -> Vec<PicturePair> {
    let images = folder.images();
    let file = |digest: Digest| PictureFile { path: images.join(format!("{digest}.png")), digest };
    let pairs = recorded.complete_pairs(planned.pairs.len() as u32);
    pairs
        .filter_map(|(pair, baseline, candidate)| match (&baseline.outcome, &candidate.outcome) {
            (Outcome::Picture { image: theirs, .. }, Outcome::Picture { image: ours, .. }) => {
                Some(PicturePair {
                    candidate: planned.candidate.clone(),
                    session: planned.index,
                    pair,
                    request: baseline.request,
                    prompt: plan.requests[baseline.request as usize].prompt.clone(),
                    baseline: file(*theirs),
                    answer: file(*ours),
                })
            }
            _ => None,
        })
        .collect()
}
