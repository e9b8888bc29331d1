//! `contest.toml` as it is written: every key optional or plain, unknown keys refused. What is the task's (`request`,
//! every `generation`) is only seen to be there; the task reads it. What is meant by it, `check` says.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::engine::WireEngine;
use super::limit::Limit;
use super::spec::{DeviceKind, Residency, RewardFormula};
use crate::metric::Metric;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireContest {
    pub format: u32,
    pub name: String,
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub netuid: Option<u16>,
    #[serde(default)]
    pub task: Option<String>,
    pub device: WireDevice,
    #[serde(rename = "request")]
    pub _request: IgnoredAny,
    pub baseline: WireBaseline,
    #[serde(default, rename = "candidate")]
    pub candidates: Vec<WireCandidate>,
    #[serde(default)]
    pub validator: WireValidator,
    #[serde(default)]
    pub copies: WireCopies,
    #[serde(default)]
    pub measurement: WireMeasurement,
    pub quality: WireQuality,
    #[serde(default)]
    pub score: WireScore,
    #[serde(default)]
    pub rewards: WireRewards,
    #[serde(default)]
    pub incumbent: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireDevice {
    pub kind: DeviceKind,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub free_memory_mib: Option<u64>,
    #[serde(default)]
    pub driver: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireBaseline {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    pub checkpoint: String,
    #[serde(default)]
    pub unet: Option<String>,
    #[serde(rename = "generation")]
    pub _generation: IgnoredAny,
    #[serde(default)]
    pub engine: Option<WireEngine>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireCandidate {
    pub name: String,
    #[serde(default)]
    pub repeats: Vec<String>,
    #[serde(default)]
    pub by_engine: bool,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub control: bool,
    #[serde(default)]
    pub checkpoint: Option<String>,
    #[serde(default)]
    pub unet: Option<String>,
    #[serde(default)]
    pub derive: Option<WireRecipe>,
    #[serde(default)]
    pub generation: Option<IgnoredAny>,
    #[serde(default)]
    pub engine: Option<WireEngine>,
}

/// What validators of this contest do.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireValidator {
    pub gone_minutes: Option<u32>,
    pub open_minutes: Option<u32>,
}

/// When an entry repeats another.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireCopies {
    pub weights: Option<f64>,
    pub engine: Option<f64>,
    pub settings: Option<f64>,
}

/// One way to derive a checkpoint from the one named.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum WireRecipe {
    Int8,
    F16,
    Bf16,
    Noise { sigma: f64, seed: u64 },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireMeasurement {
    pub sessions: Option<u32>,
    pub pairs: Option<u32>,
    pub quick_sessions: Option<u32>,
    pub quick_pairs: Option<u32>,
    pub warmup_min: Option<u32>,
    pub warmup_max: Option<u32>,
    pub threads: Option<u32>,
    #[serde(default)]
    pub residency: Residency,
    pub block: Option<u32>,
    pub early_rounds: Option<u32>,
    pub early_pairs: Option<u32>,
    pub twins: Option<u32>,
    #[serde(default)]
    pub own_requests: bool,
    pub load_timeout_s: Option<f64>,
    pub request_timeout_s: Option<f64>,
    pub exit_timeout_s: Option<f64>,
    pub until_half_width: Option<f64>,
    pub budget_s: Option<f64>,
    pub max_slowdown: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireQuality {
    #[serde(default)]
    pub clip: Option<String>,
    #[serde(default)]
    pub lpips: Option<String>,
    #[serde(default)]
    pub level: Option<f64>,
    #[serde(default)]
    pub class: Option<String>,
    #[serde(default, rename = "gate")]
    pub gates: Vec<WireGate>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireGate {
    pub metric: Metric,
    #[serde(default)]
    pub quantile: Option<f64>,
    #[serde(default)]
    pub at_least: Option<f64>,
    #[serde(default)]
    pub at_most: Option<f64>,
    pub reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireScore {
    pub level: Option<f64>,
    pub min_speedup: Option<f64>,
    pub similarity: Option<String>,
    pub similarity_gate: Option<f64>,
    pub similarity_exponent: Option<f64>,
    #[serde(default, rename = "limit")]
    pub limits: Vec<Limit>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireRewards {
    #[serde(default)]
    pub noise_floor: Option<f64>,
    pub formula: Option<RewardFormula>,
    pub top_tier_share: Option<f64>,
    pub margin: Option<f64>,
    pub fallback: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireCandidateFile {
    #[serde(default)]
    pub generation: Option<IgnoredAny>,
    #[serde(default)]
    pub engine: Option<WireEngine>,
}
