//! `edgemaxx quality`: a run's pictures, or two picture files.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::{Plan, PlannedSession};
use edgemaxx_contract::quality::{QualityHeader, QualityLog, View};
use edgemaxx_contract::sample::{Log, Outcome, RecordedSession};
use edgemaxx_quality::clip::ClipScorer;
use edgemaxx_quality::lpips::Lpips;
use edgemaxx_quality::views::draw_views;
use edgemaxx_quality::{Comparison, Judge, PictureFile, PicturePair, compare_files};

use crate::cmd::plan::Origin;
use crate::error::Failure;
use crate::folder::RunFolder;
use crate::progress::Progress;
use crate::resolve::folder_digest;
use crate::terminal::{answer, answer_json};

/// Judges the pictures of a run (writes quality.jsonl), or compares two picture files.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx quality runs/emoji-cpu-2026-11-22
  edgemaxx quality published/2026-11-22 --clip fixtures/models/emoji-clip
  edgemaxx quality a.png b.png --prompt 'red apple' --clip fixtures/models/emoji-clip --json")]
pub(crate) struct Args {
    /// A run folder, or a picture.
    #[arg(value_name = "RUN | A.png")]
    first: PathBuf,
    /// The picture to compare with.
    #[arg(value_name = "B.png")]
    second: Option<PathBuf>,
    /// What both pictures should show; needs a CLIP.
    #[arg(long, requires = "second")]
    prompt: Option<String>,
    /// CLIP folder in the transformers layout [default for a run: the contest's].
    #[arg(long, value_name = "DIR")]
    clip: Option<PathBuf>,
    /// LPIPS folder [default for a run: the contest's].
    #[arg(long, value_name = "DIR", conflicts_with = "second")]
    lpips: Option<PathBuf>,
    /// Print the numbers as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        match &self.second {
            Some(second) => self.two_files(second),
            None => {
                let folder = RunFolder::open(&self.first)?;
                let quality = judge_run(&folder, self.named())?;
                if self.json { answer_json(&quality.records) } else { Ok(()) }
            }
        }
    }

    fn named(&self) -> Models {
        Models { clip: self.clip.clone(), lpips: self.lpips.clone() }
    }

    fn two_files(&self, second: &Path) -> anyhow::Result<()> {
        if self.prompt.is_some() && self.clip.is_none() {
            return Err(Failure::input("--prompt: needs a CLIP; name its folder with --clip"));
        }
        let clip = self.clip.as_deref().map(load_clip).transpose()?;
        let comparison = compare_files(&self.first, second, self.prompt.as_deref(), clip.as_ref())
            .map_err(|error| Failure::input(error.to_string()))?;
        if self.json { answer_json(&comparison) } else { answer(&table(&comparison)) }
    }
}

fn table(comparison: &Comparison) -> String {
    let number = |value: Option<f64>| value.map_or("—".to_owned(), |value| format!("{value:.6}"));
    let mut lines = vec![
        format!("ssim_gray          {:.6}", comparison.ssim_gray),
        format!(
            "psnr               {}",
            comparison.psnr.map_or("— (identical)".to_owned(), |db| format!("{db:.3} dB"))
        ),
        format!("phash_distance     {} of 64 bits", comparison.phash_distance),
    ];
    for (name, value) in [
        ("clip_image_cosine", comparison.clip_image_cosine),
        ("clip_text_score_a", comparison.clip_text_score_a),
        ("clip_text_score_b", comparison.clip_text_score_b),
        ("wombo_2025", comparison.wombo_2025),
    ] {
        lines.push(format!("{name:<18} {}", number(value)));
    }
    lines.join("\n")
}

fn load_clip(folder: &Path) -> anyhow::Result<ClipScorer> {
    ClipScorer::load(folder).map_err(|error| Failure::input(error.to_string()))
}

/// Where the models that judge pictures lie.
#[derive(Default)]
pub(crate) struct Models {
    clip: Option<PathBuf>,
    lpips: Option<PathBuf>,
}

impl Models {
    /// The contest's models, but those that are named here.
    pub(crate) fn of(folder: &RunFolder, contest: &Contest, named: Self) -> anyhow::Result<Self> {
        let at = |named: Option<PathBuf>, key: &str, relative: &Option<String>| match (named, relative) {
            (Some(named), _) => Ok(Some(named)),
            (None, None) => Ok(None),
            // A published run does not say where things lay.
            (None, Some(relative)) if !folder.holds("origin.json") => {
                Err(unnamed_model(folder, key, relative))
            }
            (None, Some(relative)) => Ok(Some(Origin::of(folder)?.base.join(relative))),
        };
        Ok(Self {
            clip: at(named.clip, "clip", &contest.quality.clip)?,
            lpips: at(named.lpips, "lpips", &contest.quality.lpips)?,
        })
    }

    pub(crate) fn judge(&self, views: Vec<View>) -> anyhow::Result<Judge> {
        let load_lpips = |dir: &Path| Lpips::load(dir).map_err(|error| Failure::input(error.to_string()));
        Ok(Judge {
            clip: self.clip.as_deref().map(load_clip).transpose()?,
            lpips: self.lpips.as_deref().map(load_lpips).transpose()?,
            views,
        })
    }
}

/// That a published run needs to be told where a model lies, and which one it is.
fn unnamed_model(folder: &RunFolder, key: &str, relative: &str) -> anyhow::Error {
    let judged = folder.read("quality.jsonl", "quality").ok();
    let judged = judged.and_then(|text| QualityLog::parse(&text).ok()).map(|quality| quality.header);
    let digest = judged.and_then(|header| if key == "clip" { header.clip } else { header.lpips });
    let digest = digest.map(|digest| format!(", of digest {digest}")).unwrap_or_default();
    Failure::input(format!(
        "{}: the run does not say where its contest lay; name the folder of its quality.{key} ({relative:?}{digest}) with --{key}",
        folder.path().display()
    ))
}

/// Judges every complete pair of a run, with the models that are named instead of the contest's, and writes quality.jsonl.
pub(crate) fn judge_run(folder: &RunFolder, named: Models) -> anyhow::Result<QualityLog> {
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
    let progress = Mutex::new(Progress::begin("quality", pairs.len() as u64));
    let advance = || {
        if let Ok(mut progress) = progress.lock() {
            progress.advance(1);
        }
    };
    let records = judge.judge(&pairs, &advance).map_err(|error| Failure::input(error.to_string()))?;
    let quality = QualityLog { header, records };
    folder.write("quality.jsonl", quality.to_jsonl()?)?;
    if let Ok(progress) = progress.into_inner() {
        progress.end(&format!("{} pairs judged", quality.records.len()));
    }
    Ok(quality)
}

/// All complete pairs of a run, in the order of the plan.
pub(crate) fn pairs(folder: &RunFolder, plan: &Plan, log: &Log) -> Vec<PicturePair> {
    let sessions = plan.sessions.iter().zip(log.sessions(plan));
    sessions.flat_map(|(planned, recorded)| picture_pairs(folder, plan, planned, &recorded)).collect()
}

/// The complete pairs of one session.
pub(crate) fn picture_pairs(
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
