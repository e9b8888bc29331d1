//! The checked contest: values out of range cannot be held.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::engine::{EngineSpec, engine};
use super::wire::{
    WireBaseline, WireCandidate, WireContest, WireGate, WireGeneration, WireMeasurement, WireQuality,
    WireRecipe, WireRequest, WireRewards, WireScore,
};
use crate::digest::Digest;

/// A contest file that cannot be used; the caller adds the path.
#[derive(Debug, thiserror::Error)]
pub enum ContestError {
    /// Not TOML, an unknown or missing key, or a value of the wrong type; shows line and column.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A value outside its range.
    #[error("{field}: expected {expected}, found {found}")]
    Value {
        /// The key, e.g. `measurement.sessions`.
        field: String,
        /// What would be accepted.
        expected: String,
        /// What was there.
        found: String,
    },
}

pub(super) fn bad(field: impl Into<String>, expected: &str, found: impl fmt::Display) -> ContestError {
    ContestError::Value { field: field.into(), expected: expected.to_owned(), found: found.to_string() }
}

/// What is compared, how, and what counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Contest {
    /// Digest of the file's bytes.
    pub digest: Digest,
    /// Short name: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// A paragraph for people.
    pub description: String,
    /// Subnet, where the contest runs on chain.
    pub netuid: Option<u16>,
    /// The device candidates are measured on.
    pub device: Device,
    /// What every pipeline is asked for.
    pub request: RequestSpec,
    /// The pipeline all are compared with.
    pub baseline: BaselineSpec,
    /// Candidates named in the file; names are unique.
    pub candidates: Vec<CandidateSpec>,
    /// Sessions, pairs, warm-up, time-outs.
    pub measurement: Measurement,
    /// Metrics and gates.
    pub quality: QualitySpec,
    /// How proven speed and quality become a score.
    pub score: ScoreSpec,
    /// How scores become weights.
    pub rewards: Rewards,
}

/// The device a contest is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// CPU, CUDA or Metal.
    pub kind: DeviceKind,
    /// The exact name the driver gives, e.g. `NVIDIA GeForce RTX 4090`; `None`: any.
    pub name: Option<String>,
}

/// Kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// Central processor.
    Cpu,
    /// NVIDIA GPU.
    Cuda,
    /// Apple GPU.
    Metal,
}

/// Number format a pipeline computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// 32-bit.
    F32,
    /// 16-bit IEEE.
    F16,
    /// bfloat16.
    Bf16,
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

/// What every pipeline is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    /// Prompt file, relative to the contest file.
    pub prompts: String,
    /// What the picture should not show; may be empty.
    pub negative_prompt: String,
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
}

/// Settings a pipeline generates with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance; 1 or less: none.
    pub guidance_scale: f64,
    /// Scheduler class; `None`: the checkpoint's own.
    pub scheduler: Option<String>,
    /// Number format.
    pub dtype: Dtype,
}

/// Settings that differ from the baseline's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationPatch {
    /// See [`Generation::steps`].
    pub steps: Option<u32>,
    /// See [`Generation::guidance_scale`].
    pub guidance_scale: Option<f64>,
    /// See [`Generation::scheduler`].
    pub scheduler: Option<String>,
    /// See [`Generation::dtype`].
    pub dtype: Option<Dtype>,
}

impl GenerationPatch {
    /// `base` with what this patch names replaced.
    pub fn apply(&self, base: &Generation) -> Generation {
        Generation {
            steps: self.steps.unwrap_or(base.steps),
            guidance_scale: self.guidance_scale.unwrap_or(base.guidance_scale),
            scheduler: self.scheduler.clone().or_else(|| base.scheduler.clone()),
            dtype: self.dtype.unwrap_or(base.dtype),
        }
    }
}

/// Where a pipeline's model files come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointSpec {
    /// A path relative to the contest file, or `hf:owner/name@revision`.
    pub source: String,
    /// A folder whose `unet/` replaces the source's.
    pub unet: Option<String>,
    /// A change made to the weights.
    pub derive: Option<Recipe>,
}

/// A change that derives one checkpoint from another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    /// Weights stored as 8-bit integers with a scale per output channel.
    Int8,
    /// Weights stored as f16.
    F16,
    /// Weights stored as bf16.
    Bf16,
    /// UNet weights plus Gaussian noise of `sigma` standard deviations of each tensor.
    Noise {
        /// Noise relative to the tensor's standard deviation.
        sigma: f64,
        /// Seed of the noise.
        seed: u64,
    },
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int8 => f.write_str("int8"),
            Self::F16 => f.write_str("f16"),
            Self::Bf16 => f.write_str("bf16"),
            Self::Noise { sigma, seed } => write!(f, "noise σ={sigma} seed={seed}"),
        }
    }
}

/// The pipeline all candidates are compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineSpec {
    /// Its name in tables.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Its model files.
    pub checkpoint: CheckpointSpec,
    /// Its settings.
    pub generation: Generation,
    /// Its process.
    pub engine: EngineSpec,
}

/// A pipeline that wants to beat the baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateSpec {
    /// Its name in tables.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// The A/A control: the baseline entered against itself.
    pub control: bool,
    /// Its model files.
    pub checkpoint: CheckpointSpec,
    /// What it changes of the baseline's settings.
    pub generation: GenerationPatch,
    /// Its process; `None`: as the candidate's own `edgemaxx.toml` says, else native.
    pub engine: Option<EngineSpec>,
}

/// How measurement goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Sessions per candidate: relaunches of both processes.
    pub sessions: u32,
    /// Pairs per session.
    pub pairs: u32,
    /// Sessions with `--quick`.
    pub quick_sessions: u32,
    /// Pairs with `--quick`.
    pub quick_pairs: u32,
    /// Warm-up requests at least, per process.
    pub warmup_min: u32,
    /// Warm-up requests at most, per process.
    pub warmup_max: u32,
    /// Threads an engine may compute with.
    pub threads: u32,
    /// Limits of time.
    pub timeouts: Timeouts,
    /// When to stop before all sessions are done.
    pub stopping: Stopping,
}

/// Limits of time, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// Launch and load.
    pub load_s: f64,
    /// One request.
    pub request_s: f64,
    /// Exit after `bye`.
    pub exit_s: f64,
}

/// When measurement ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stopping {
    /// Stop a candidate once the speedup's interval is this narrow (half-width, relative);
    /// `None`: all sessions are run.
    pub until_half_width: Option<f64>,
    /// Start no session after this many seconds of measurement; `None`: no limit.
    pub budget_s: Option<f64>,
}

/// How pictures are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualitySpec {
    /// CLIP folder, relative to the contest file; `None`: no CLIP metrics.
    pub clip: Option<String>,
    /// LPIPS folder, relative to the contest file; `None`: no LPIPS.
    pub lpips: Option<String>,
    /// Level of the one-sided bounds.
    pub level: f64,
    /// What a candidate must prove; all must hold.
    pub gates: Vec<Gate>,
}

/// A bound that must be proven.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// What is bounded.
    pub metric: Metric,
    /// Mean or quantile over pairs.
    pub statistic: Statistic,
    /// The smallest (for [`Metric::higher_is_better`]) or largest value accepted.
    pub threshold: f64,
    /// Why this value.
    pub reason: String,
}

/// What a gate bounds over the pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// The mean.
    Mean,
    /// A quantile, in (0, 1).
    Quantile(f64),
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => f.write_str("mean"),
            Self::Quantile(q) => write!(f, "{}% quantile", q * 100.0),
        }
    }
}

/// A number computed from a picture pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Structural similarity of the grey pictures, −1…1.
    SsimGray,
    /// Peak signal-to-noise ratio in dB.
    PsnrDb,
    /// Hamming distance of perceptual hashes in bits.
    PhashDistance,
    /// Cosine of CLIP image embeddings, −1…1.
    ClipImageCosine,
    /// CLIP text–image cosine of the candidate minus the baseline's.
    ClipTextDifference,
    /// Learned perceptual distance.
    Lpips,
    /// 0.35·CLIP image cosine + 0.65·SSIM.
    Wombo2025,
}

impl Metric {
    /// All metrics, in the order of reports.
    pub const ALL: [Self; 7] = [
        Self::SsimGray,
        Self::PsnrDb,
        Self::PhashDistance,
        Self::ClipImageCosine,
        Self::ClipTextDifference,
        Self::Lpips,
        Self::Wombo2025,
    ];

    /// Whether larger values mean more alike.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Self::PhashDistance | Self::Lpips)
    }

    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::SsimGray => "ssim_gray",
            Self::PsnrDb => "psnr_db",
            Self::PhashDistance => "phash_distance",
            Self::ClipImageCosine => "clip_image_cosine",
            Self::ClipTextDifference => "clip_text_difference",
            Self::Lpips => "lpips",
            Self::Wombo2025 => "wombo_2025",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The similarity a score multiplies speed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SimilarityFormula {
    /// 0.35·CLIP image cosine + 0.65·SSIM.
    #[serde(rename = "wombo-2025")]
    Wombo2025,
    /// CLIP image cosine alone.
    ClipImageCosine,
    /// SSIM alone.
    SsimGray,
}

impl SimilarityFormula {
    /// The metric it reads.
    pub fn metric(self) -> Metric {
        match self {
            Self::Wombo2025 => Metric::Wombo2025,
            Self::ClipImageCosine => Metric::ClipImageCosine,
            Self::SsimGray => Metric::SsimGray,
        }
    }
}

/// How proven speed and quality become a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreSpec {
    /// Level of the bounds that scores are made of.
    pub level: f64,
    /// The proven speedup below which a candidate earns nothing; at least 1.
    pub min_speedup: f64,
    /// The similarity that enters the score.
    pub similarity: SimilarityFormula,
    /// The similarity at which the quality factor is 0; it is 1 at similarity 1.
    pub similarity_gate: f64,
    /// Exponent of the quality factor ((bound − gate) / (1 − gate)); 0 ignores it.
    pub similarity_exponent: f64,
}

/// How ranks become weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewards {
    /// The top tier's share of all rewards; the next has the same share of the rest.
    pub top_tier_share: f64,
}

impl Contest {
    /// Reads a contest file's text.
    ///
    /// # Errors
    /// [`ContestError`] names line and column, or the key, what was expected and what was found.
    pub fn parse(text: &str) -> Result<Self, ContestError> {
        let wire: WireContest = toml::from_str(text)?;
        if wire.format != 1 {
            return Err(bad("format", "1 (the contest format this release reads)", wire.format));
        }
        check_name("name", &wire.name)?;
        let baseline = baseline(wire.baseline)?;
        let candidates = wire
            .candidates
            .into_iter()
            .enumerate()
            .map(|(index, candidate)| candidate_spec(index, candidate, &baseline))
            .collect::<Result<Vec<_>, _>>()?;
        let mut seen = vec![baseline.name.as_str()];
        for candidate in &candidates {
            if seen.contains(&candidate.name.as_str()) {
                return Err(bad("candidate.name", "a name used once", format!("{:?} twice", candidate.name)));
            }
            seen.push(&candidate.name);
        }
        if candidates.iter().filter(|c| c.control).count() > 1 {
            return Err(bad("candidate.control", "one control at most", "several"));
        }
        Ok(Self {
            digest: Digest::of(text),
            title: wire.title.unwrap_or_else(|| wire.name.clone()),
            description: wire.description.unwrap_or_default(),
            name: wire.name,
            netuid: wire.netuid,
            device: Device { kind: wire.device.kind, name: wire.device.name },
            request: request(wire.request)?,
            baseline,
            candidates,
            measurement: measurement(&wire.measurement)?,
            quality: quality(wire.quality)?,
            score: score(&wire.score)?,
            rewards: rewards(&wire.rewards)?,
        })
    }
}

/// A pipeline's name goes into file names and tables.
fn check_name(field: &str, name: &str) -> Result<(), ContestError> {
    let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let path_like = name.split('/').any(|part| part.is_empty() || part.starts_with('.'));
    if name.is_empty() || name.len() > 100 || !name.chars().all(ok) || path_like {
        let found: String = name.chars().take(120).collect();
        return Err(bad(
            field,
            "1 to 100 letters, digits, '-', '_', '.' (owner/name allowed)",
            format!("{found:?}"),
        ));
    }
    Ok(())
}

pub(super) fn within<T: PartialOrd + fmt::Display + Copy>(
    field: &str,
    value: T,
    low: T,
    high: T,
) -> Result<T, ContestError> {
    // Written so that NaN is refused.
    if value >= low && value <= high {
        return Ok(value);
    }
    Err(bad(field, &format!("a value from {low} to {high}"), value))
}

fn request(wire: WireRequest) -> Result<RequestSpec, ContestError> {
    within("request.width", wire.width, 8, 8192)?;
    within("request.height", wire.height, 8, 8192)?;
    Ok(RequestSpec {
        prompts: wire.prompts,
        negative_prompt: wire.negative_prompt,
        width: wire.width,
        height: wire.height,
    })
}

fn baseline(wire: WireBaseline) -> Result<BaselineSpec, ContestError> {
    let name = wire.name.unwrap_or_else(|| "baseline".to_owned());
    check_name("baseline.name", &name)?;
    let patch = patch(
        "baseline.generation",
        WireGeneration {
            steps: Some(wire.generation.steps),
            guidance_scale: Some(wire.generation.guidance_scale),
            scheduler: wire.generation.scheduler,
            dtype: wire.generation.dtype,
        },
    )?;
    let defaults = Generation { steps: 20, guidance_scale: 5.0, scheduler: None, dtype: Dtype::F32 };
    Ok(BaselineSpec {
        name,
        description: wire.description.unwrap_or_default(),
        checkpoint: CheckpointSpec { source: wire.checkpoint, unet: None, derive: None },
        generation: patch.apply(&defaults),
        engine: engine("baseline.engine", wire.engine)?.unwrap_or(EngineSpec::Native),
    })
}

fn candidate_spec(
    index: usize,
    wire: WireCandidate,
    baseline: &BaselineSpec,
) -> Result<CandidateSpec, ContestError> {
    let field = |key: &str| format!("candidate[{index}] {:?} {key}", wire.name);
    check_name(&field("name"), &wire.name)?;
    if let Some(WireRecipe::Noise { sigma, .. }) = wire.derive {
        within(&field("derive.noise.sigma"), sigma, 0.0, 10.0)?;
    }
    let checkpoint = CheckpointSpec {
        source: wire.checkpoint.unwrap_or_else(|| baseline.checkpoint.source.clone()),
        unet: wire.unet,
        derive: wire.derive.map(|recipe| match recipe {
            WireRecipe::Int8 => Recipe::Int8,
            WireRecipe::F16 => Recipe::F16,
            WireRecipe::Bf16 => Recipe::Bf16,
            WireRecipe::Noise { sigma, seed } => Recipe::Noise { sigma, seed },
        }),
    };
    let generation = patch(&field("generation"), wire.generation.unwrap_or_default())?;
    let engine = engine(&field("engine"), wire.engine)?;
    let differs = checkpoint != baseline.checkpoint
        || generation != GenerationPatch::default()
        || engine.as_ref().is_some_and(|e| *e != baseline.engine);
    if wire.control && differs {
        return Err(bad(
            format!("candidate[{index}] {:?}", wire.name),
            "a control to be the baseline itself, without checkpoint, unet, derive, generation or engine",
            "a difference",
        ));
    }
    Ok(CandidateSpec {
        control: wire.control,
        description: wire.description.unwrap_or_default(),
        name: wire.name,
        checkpoint,
        generation,
        engine,
    })
}

pub(super) fn patch(field: &str, wire: WireGeneration) -> Result<GenerationPatch, ContestError> {
    if let Some(steps) = wire.steps {
        within(&format!("{field}.steps"), steps, 1, 1000)?;
    }
    if let Some(scale) = wire.guidance_scale {
        within(&format!("{field}.guidance_scale"), scale, 0.0, 100.0)?;
    }
    Ok(GenerationPatch {
        steps: wire.steps,
        guidance_scale: wire.guidance_scale,
        scheduler: wire.scheduler,
        dtype: wire.dtype,
    })
}

fn measurement(wire: &WireMeasurement) -> Result<Measurement, ContestError> {
    let sessions = within("measurement.sessions", wire.sessions.unwrap_or(8), 1, 1000)?;
    let pairs = within("measurement.pairs", wire.pairs.unwrap_or(20), 1, 10_000)?;
    let warmup_min = within("measurement.warmup_min", wire.warmup_min.unwrap_or(1), 0, 100)?;
    let until = wire.until_half_width;
    if let Some(half_width) = until {
        within("measurement.until_half_width", half_width, 1e-6, 1.0)?;
    }
    if let Some(budget) = wire.budget_s {
        within("measurement.budget_s", budget, 1.0, 1e7)?;
    }
    Ok(Measurement {
        sessions,
        pairs,
        quick_sessions: within(
            "measurement.quick_sessions",
            wire.quick_sessions.unwrap_or(sessions.min(3)),
            1,
            1000,
        )?,
        quick_pairs: within("measurement.quick_pairs", wire.quick_pairs.unwrap_or(pairs.min(2)), 1, 10_000)?,
        warmup_min,
        warmup_max: within(
            "measurement.warmup_max",
            wire.warmup_max.unwrap_or(warmup_min.max(10)),
            warmup_min,
            1000,
        )?,
        threads: within("measurement.threads", wire.threads.unwrap_or(1), 1, 1024)?,
        timeouts: Timeouts {
            load_s: within(
                "measurement.load_timeout_s",
                wire.load_timeout_s.unwrap_or(600.0),
                0.1,
                86_400.0,
            )?,
            request_s: within(
                "measurement.request_timeout_s",
                wire.request_timeout_s.unwrap_or(120.0),
                0.1,
                86_400.0,
            )?,
            exit_s: within("measurement.exit_timeout_s", wire.exit_timeout_s.unwrap_or(10.0), 0.1, 3_600.0)?,
        },
        stopping: Stopping { until_half_width: until, budget_s: wire.budget_s },
    })
}

fn quality(wire: WireQuality) -> Result<QualitySpec, ContestError> {
    let gates =
        wire.gates.into_iter().enumerate().map(|(index, g)| gate(index, g)).collect::<Result<Vec<_>, _>>()?;
    let needs = |metric: Metric| gates.iter().any(|g: &Gate| g.metric == metric);
    if wire.clip.is_none()
        && (needs(Metric::ClipImageCosine) || needs(Metric::ClipTextDifference) || needs(Metric::Wombo2025))
    {
        return Err(bad("quality.clip", "a CLIP folder, since a gate reads a CLIP metric", "none"));
    }
    if wire.lpips.is_none() && needs(Metric::Lpips) {
        return Err(bad("quality.lpips", "an LPIPS folder, since a gate reads it", "none"));
    }
    Ok(QualitySpec {
        clip: wire.clip,
        lpips: wire.lpips,
        level: within("quality.level", wire.level.unwrap_or(0.95), 0.5, 0.9999)?,
        gates,
    })
}

fn gate(index: usize, wire: WireGate) -> Result<Gate, ContestError> {
    let field = |key: &str| format!("quality.gate[{index}] {} {key}", wire.metric);
    let statistic = match wire.quantile {
        None => Statistic::Mean,
        Some(q) => Statistic::Quantile(within(&field("quantile"), q, 0.001, 0.999)?),
    };
    let (key, other, threshold) = if wire.metric.higher_is_better() {
        ("at_least", wire.at_most, wire.at_least)
    } else {
        ("at_most", wire.at_least, wire.at_most)
    };
    let threshold = match (threshold, other) {
        (Some(value), None) if value.is_finite() => value,
        _ => return Err(bad(field(key), "exactly this bound, a finite number", "something else")),
    };
    Ok(Gate { metric: wire.metric, statistic, threshold, reason: wire.reason })
}

fn score(wire: &WireScore) -> Result<ScoreSpec, ContestError> {
    Ok(ScoreSpec {
        level: within("score.level", wire.level.unwrap_or(0.95), 0.5, 0.9999)?,
        min_speedup: within("score.min_speedup", wire.min_speedup.unwrap_or(1.0), 1.0, 100.0)?,
        similarity: wire.similarity.unwrap_or(SimilarityFormula::Wombo2025),
        similarity_gate: within("score.similarity_gate", wire.similarity_gate.unwrap_or(0.0), -1.0, 0.999)?,
        similarity_exponent: within(
            "score.similarity_exponent",
            wire.similarity_exponent.unwrap_or(0.5),
            0.0,
            16.0,
        )?,
    })
}

fn rewards(wire: &WireRewards) -> Result<Rewards, ContestError> {
    Ok(Rewards {
        top_tier_share: within("rewards.top_tier_share", wire.top_tier_share.unwrap_or(0.8), 0.5, 1.0)?,
    })
}
