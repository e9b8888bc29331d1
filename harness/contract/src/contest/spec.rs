//! The checked contest: values out of range cannot be held.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::engine::EngineSpec;
use super::limit::Limit;
use crate::digest::Digest;
use crate::metric::{Gate, Metric, Model};
use crate::task::{RequestSpec, Settings, SettingsPatch, TaskRef};

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
    /// What is asked and answered.
    pub task: TaskRef,
    /// What every request shares.
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
    /// The noise floor, a relative half-width, beyond which no weights are set.
    pub noise_floor: f64,
    /// How scores become weights.
    pub rewards: Rewards,
    /// How much of an earlier entry makes a later one its copy.
    pub copies: CopiesSpec,
    /// Minutes that validators wait for a checkpoint that is not there, or not for everybody.
    pub gone_minutes: u32,
    /// Minutes after submissions closed within which sealed entries can be opened; 0: not at all.
    pub open_minutes: u32,
    /// Yesterday's winner, if it is among the candidates; written by the validator.
    pub incumbent: Option<String>,
}

/// Shares of an earlier entry's own work from which on a later one repeats it, by the weightiest part that is its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopiesSpec {
    /// Of its weights.
    pub weights: f64,
    /// Of its engine's files.
    pub engine: f64,
    /// Of its settings.
    pub settings: f64,
}

impl Default for CopiesSpec {
    fn default() -> Self {
        Self { weights: 0.5, engine: 0.8, settings: 1.0 }
    }
}

/// The device a contest is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// CPU, CUDA or Metal.
    pub kind: DeviceKind,
    /// The exact name the driver gives, e.g. `NVIDIA GeForce RTX 4090`; `None`: any.
    pub name: Option<String>,
    /// Memory that must be free on a GPU before a run, MiB; `None`: not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_memory_mib: Option<u64>,
    /// The oldest driver of a GPU, e.g. `550.54.14`; `None`: the oldest that runs CUDA 12.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
}

/// Kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// Central processor.
    Cpu,
    /// NVIDIA GPU.
    Cuda,
    /// Apple GPU.
    Metal,
}

/// Where a pipeline's model files come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    /// Weights stored as 8-bit integers with a scale per output channel.
    Int8,
    /// Weights stored as f16.
    F16,
    /// Weights stored as bf16.
    Bf16,
    /// Weights of UNet and VAE plus Gaussian noise of `sigma` standard deviations of each tensor.
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
    pub settings: Settings,
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
    /// Earlier candidates whose work it repeats: it is accepted only if none of them is; written by the validator.
    pub repeats: Vec<String>,
    /// No weights of it could be compared with others': its engine's files alone tell it from them; written by the validator.
    pub by_engine: bool,
    /// Its model files.
    pub checkpoint: CheckpointSpec,
    /// What it changes of the baseline's settings.
    pub settings: SettingsPatch,
    /// Its process; `None`: as the candidate's own `edgemaxx.toml` says, else native.
    pub engine: Option<EngineSpec>,
}

/// How measurement goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Which processes of a session are in memory at once, and where.
    #[serde(default, skip_serializing_if = "Residency::is_default")]
    pub residency: Residency,
    /// Candidates that are measured against one launch of the baseline; 1: each has its own.
    #[serde(default = "own", skip_serializing_if = "is_own")]
    pub block: u32,
    /// So many of the first rounds have [`Self::early_pairs`] in each session.
    #[serde(default, skip_serializing_if = "is_none")]
    pub early_rounds: u32,
    /// Pairs of a session in the early rounds.
    #[serde(default, skip_serializing_if = "is_none")]
    pub early_pairs: u32,
    /// Requests of a round that ask the same as another one of it under another noise: who answers from memory, and not
    /// from the noise, does not follow it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub twins: u32,
    /// Whether each candidate of a round is asked for something of its own: none can learn from another what is coming.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_requests: bool,
    /// Limits of time.
    pub timeouts: Timeouts,
    /// When to stop before all sessions are done.
    pub stopping: Stopping,
}

fn own() -> u32 {
    1
}

fn is_own(block: &u32) -> bool {
    *block == own()
}

fn is_none(number: &u32) -> bool {
    *number == 0
}

impl Measurement {
    /// Pairs of every session of a round, from 0, of a full plan.
    pub fn pairs_in(&self, round: u32) -> u32 {
        if round < self.early_rounds { self.early_pairs } else { self.pairs }
    }

    /// Pairs of all sessions of a candidate in a full plan.
    pub fn pairs_at_all(&self) -> u32 {
        (0..self.sessions).map(|round| self.pairs_in(round)).sum()
    }
}

/// Which processes of a session, or of a block of sessions, are in memory at once, and where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Residency {
    /// All are launched and asked in turn: what drifts slowly touches both sides of a pair alike.
    #[default]
    Together,
    /// For models of which only one fits: one process is launched, asked all its requests and closed,
    /// then the next. Drift between them is left to the random order.
    Alternating,
    /// For models of which only one fits on a card, too: all are launched and asked in turn, and what those that rest
    /// have in the card's memory lies in the machine's meanwhile, moved there and back outside the clock.
    Swapped,
}

impl Residency {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Limits of time, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Stopping {
    /// Stop a candidate once the speedup's interval is this narrow (half-width, relative);
    /// `None`: all sessions are run.
    pub until_half_width: Option<f64>,
    /// Start no session after this many seconds of measurement; `None`: no limit.
    pub budget_s: Option<f64>,
    /// How much slower than the baseline a candidate may be (relative): it stops once it is surely slower by more, or
    /// surely not, and not before for being slower. `None`: whoever is surely slower at all stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_slowdown: Option<f64>,
}

impl Stopping {
    /// Whether what is measured of a candidate may end it before its last session: when asked for, and
    /// where time is limited, so that those still in the race get it.
    pub fn is_adaptive(&self) -> bool {
        self.until_half_width.or(self.budget_s).or(self.max_slowdown).is_some()
    }
}

/// How answers are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualitySpec {
    /// Folders of models, relative to the contest file; what needs another is not computed.
    pub models: BTreeMap<Model, String>,
    /// Level of the one-sided bounds.
    pub level: f64,
    /// What a candidate must prove; all must hold.
    pub gates: Vec<Gate>,
}

/// How proven speed and quality become a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreSpec {
    /// Level of the bounds that scores are made of.
    pub level: f64,
    /// The proven speedup below which a candidate earns nothing; at least 1.
    pub min_speedup: f64,
    /// The similarity that enters the score; [`Metric::is_similarity`].
    pub similarity: Metric,
    /// The similarity at which the quality factor is 0; it is 1 at similarity 1.
    pub similarity_gate: f64,
    /// Exponent of the quality factor ((bound − gate) / (1 − gate)); 0 ignores it.
    pub similarity_exponent: f64,
    /// What its answers may cost elsewhere; all must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
}

/// How ranks become weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewards {
    /// How shares follow from ranks.
    pub formula: RewardFormula,
    /// The top tier's share of all rewards; the next has the same share of the rest.
    pub top_tier_share: f64,
    /// Relative margin by which a score must be proven to exceed the incumbent's to end its reign.
    pub margin: f64,
    /// Hotkey that gets everything on a day without anything earned or kept.
    pub fallback: Option<String>,
}

/// How shares follow from ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RewardFormula {
    /// Tiers of statistical ties share: the first gets `top_tier_share` of all, the next of the rest.
    Tiers,
    /// The original subnet's of August 2024: 0.8·rⁱ by rank i from 0, with r so that all sum to 1.
    #[serde(rename = "legacy-2024-08")]
    Legacy2024,
    /// The original subnet's of February 2025: p·(1 − p)ⁱ by rank i from 0, p = `top_tier_share`.
    #[serde(rename = "geometric-2025-02")]
    Geometric2025,
}
