//! `ranking.json`: who earns what, and why.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::document;
use crate::estimate::CertificateVerdict;
use crate::format::Format;
use crate::plan::Extent;

/// The day's verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ranking {
    /// `edgemaxx-ranking`.
    #[serde(flatten)]
    pub format: Format,
    /// Digest of `estimates.json`.
    pub estimates: Digest,
    /// Full or quick; a quick run never sets weights.
    pub extent: Extent,
    /// Whether the run may be believed; an unfit one has no winner and no weights.
    pub fitness: CertificateVerdict,
    /// Why weights must not be set from this ranking; `None`: they may.
    pub weights_refused: Option<String>,
    /// The winner, if there is one.
    pub winner: Option<String>,
    /// The verdict in one sentence.
    pub verdict: String,
    /// All candidates and the control: best first.
    pub entries: Vec<RankEntry>,
}

document!(Ranking, "edgemaxx-ranking", 1);

/// One candidate's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RankEntry {
    /// Position in the table, from 1.
    pub position: u32,
    /// The candidate's name.
    pub name: String,
    /// Its result.
    pub standing: Standing,
    /// Why, in words; of an accepted candidate only what must be known of it, e.g. that its weights cannot be compared.
    pub reasons: Vec<String>,
    /// Tier among the accepted, 1 the best; a tier is a statistical tie.
    pub tier: Option<u32>,
    /// Proven speedup − 1 times the quality factor; 0 for all that are not accepted.
    pub score: f64,
    /// Lower confidence bound of the speedup.
    pub speedup_lower: Option<f64>,
    /// In [0, 1], from the lower bound of the similarity.
    pub quality_factor: Option<f64>,
    /// Share of the rewards; all shares sum to 1 or are all 0.
    pub weight: f64,
}

/// What became of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Proven faster, proven good enough.
    Accepted,
    /// Good enough, but not proven faster.
    NotFaster,
    /// Not proven good enough.
    RejectedQuality,
    /// It repeats an earlier candidate, which stands.
    Copy,
    /// Could not be measured.
    Failed,
    /// The A/A control.
    Control,
}
