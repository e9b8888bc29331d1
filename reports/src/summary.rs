//! `summary.json`: the run in one small file, for machines and for the history.

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::estimate::{CandidateEstimates, CertificateVerdict, Claim, Estimate};
use edgemaxx_contract::format::{Document, Format};
use edgemaxx_contract::plan::{Day, Extent};
use edgemaxx_contract::ranking::Standing;
use serde::{Deserialize, Serialize};

use crate::ReportError;
use crate::view::RunView;

/// A run in short. Numbers that cannot be computed are `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// `edgemaxx-summary`.
    #[serde(flatten)]
    pub format: Format,
    /// Version of EdgeMaxx.
    pub edgemaxx: String,
    /// Name of the contest.
    pub contest: String,
    /// Name of its task; absent in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Digest of the contest file.
    pub contest_digest: Digest,
    /// The contest's day.
    pub day: Day,
    /// Full or quick.
    pub extent: Extent,
    /// Processor, and GPUs where there are any: what runs of one machine have in common.
    pub machine: String,
    /// Digest of the plan.
    pub plan: Digest,
    /// Head of the samples' hash chain.
    pub samples: Digest,
    /// Whether the run may be believed.
    pub fitness: CertificateVerdict,
    /// Why weights must not be set; `null`: they may.
    pub weights_refused: Option<String>,
    /// The winner, if any.
    pub winner: Option<String>,
    /// The verdict in one sentence.
    pub verdict: String,
    /// Half-width of the A/A interval, relative.
    pub noise_floor: Option<f64>,
    /// Smallest true change found with 80% power, relative.
    pub minimum_detectable_effect: Option<f64>,
    /// Name of the baseline.
    pub baseline: String,
    /// Mean latency of the baseline in the control's sessions, milliseconds.
    pub baseline_latency_ms: Option<SummaryEstimate>,
    /// All candidates and the control, best first.
    pub candidates: Vec<SummaryCandidate>,
}

edgemaxx_contract::document!(Summary, "edgemaxx-summary", 1);

/// One candidate in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SummaryCandidate {
    /// Position in the table, from 1.
    pub position: u32,
    /// Its name.
    pub name: String,
    /// What its author says of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where its checkpoint comes from, as the contest names it; absent in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Digest of what it is made of.
    pub digest: Option<Digest>,
    /// Its result.
    pub standing: Standing,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// What may be claimed of its speed.
    pub claim: Option<Claim>,
    /// Tier, 1 the best.
    pub tier: Option<u32>,
    /// Speedup over the baseline, with the interval that the claim rests on.
    pub speedup: Option<SummaryEstimate>,
    /// Similarity to the baseline's pictures.
    pub similarity: Option<SummaryEstimate>,
    /// Mean latency, milliseconds.
    pub latency_ms: Option<SummaryEstimate>,
    /// The baseline's in the same sessions; absent in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_latency_ms: Option<SummaryEstimate>,
    /// Sessions with at least one pair.
    pub sessions: u32,
    /// Complete pairs.
    pub pairs: u32,
    /// Score.
    pub score: f64,
    /// Share of the rewards.
    pub weight: f64,
    /// Time from spawn to ready, milliseconds.
    pub load_ms: Option<SummaryEstimate>,
    /// Peak resident memory, bytes.
    pub peak_rss_bytes: Option<SummaryEstimate>,
    /// Energy that the GPU draws for a picture, joules.
    pub energy_j: Option<SummaryEstimate>,
    /// Peak memory on the GPU, bytes.
    pub peak_vram_bytes: Option<SummaryEstimate>,
}

/// A number with its interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SummaryEstimate {
    /// The estimate.
    pub point: f64,
    /// Lower end; `null`: open.
    pub lower: Option<f64>,
    /// Upper end; `null`: open.
    pub upper: Option<f64>,
    /// Confidence level.
    pub level: f64,
}

impl SummaryEstimate {
    /// `None` unless the point is finite; ends that are not finite are open.
    fn of(estimate: &Estimate) -> Option<Self> {
        let finite = |v: Option<f64>| v.filter(|v| v.is_finite());
        Some(Self {
            point: finite(Some(estimate.point))?,
            lower: finite(estimate.lower),
            upper: finite(estimate.upper),
            level: estimate.level,
        })
    }
}

/// Sums up a run.
pub fn summary(view: &RunView<'_>) -> Summary {
    let control = view.estimates.candidates.iter().find(|c| c.name == view.estimates.certificate.control);
    let any = control.or(view.estimates.candidates.first());
    Summary {
        format: Summary::expected_format(),
        edgemaxx: view.environment.edgemaxx.clone(),
        contest: view.contest.name.clone(),
        task: Some(view.plan.task.name().to_owned()),
        contest_digest: view.plan.contest.digest,
        day: view.plan.day.clone(),
        extent: view.plan.extent,
        machine: [view.environment.cpu.as_str()]
            .into_iter()
            .chain(view.environment.gpus.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(" + "),
        plan: view.estimates.plan,
        samples: view.log.chain.head(),
        fitness: view.ranking.fitness,
        weights_refused: view.ranking.weights_refused.clone(),
        winner: view.ranking.winner.clone(),
        verdict: view.ranking.verdict.clone(),
        noise_floor: view.estimates.certificate.noise_floor.filter(|v| v.is_finite()),
        minimum_detectable_effect: view
            .estimates
            .certificate
            .minimum_detectable_effect
            .filter(|v| v.is_finite()),
        baseline: view.estimates.baseline.clone(),
        baseline_latency_ms: any
            .and_then(|c| c.baseline_latency_ms.as_ref())
            .and_then(|l| SummaryEstimate::of(&l.mean)),
        candidates: view
            .ranked()
            .into_iter()
            .map(|(entry, estimates)| {
                let estimate = |pick: fn(&CandidateEstimates) -> Option<&Estimate>| {
                    estimates.and_then(pick).and_then(SummaryEstimate::of)
                };
                let pipeline = view.plan.pipeline(&entry.name);
                SummaryCandidate {
                    position: entry.position,
                    name: entry.name.clone(),
                    description: pipeline.map_or_else(String::new, |p| p.description.clone()),
                    source: pipeline.map(|p| p.checkpoint.source.clone()),
                    digest: pipeline.map(|p| p.digest),
                    standing: entry.standing,
                    reasons: entry.reasons.clone(),
                    claim: estimates.map(|e| e.claim),
                    tier: entry.tier,
                    speedup: estimate(|e| e.claimed_speedup()),
                    similarity: estimate(|e| e.similarity.as_ref()),
                    latency_ms: estimate(|e| e.latency_ms.as_ref().map(|l| &l.mean)),
                    baseline_latency_ms: estimate(|e| e.baseline_latency_ms.as_ref().map(|l| &l.mean)),
                    sessions: estimates.map_or(0, |e| e.sessions),
                    pairs: estimates.map_or(0, |e| e.pairs),
                    score: entry.score,
                    weight: entry.weight,
                    load_ms: estimate(|e| e.load_ms.as_ref()),
                    peak_rss_bytes: estimate(|e| e.peak_rss_bytes.as_ref()),
                    energy_j: estimate(|e| e.energy_j.as_ref()),
                    peak_vram_bytes: estimate(|e| e.peak_vram_bytes.as_ref()),
                }
            })
            .collect(),
    }
}

/// `summary.json`.
pub fn summary_json(view: &RunView<'_>) -> Result<String, ReportError> {
    Ok(summary(view).to_json())
}
