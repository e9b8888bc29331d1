//! What `edgemaxx compare` answers: did a pipeline become slower, or its answers worse?

use serde::{Deserialize, Serialize};

use crate::counted::Counted;
use crate::digest::Digest;
use crate::document;
use crate::estimate::Estimate;
use crate::format::Format;
use crate::metric::Metric;

/// The answer for everything that was compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Comparison {
    /// `edgemaxx-comparison`.
    #[serde(flatten)]
    pub format: Format,
    /// What is compared with.
    pub reference: ComparedRun,
    /// What is judged; the same run when a candidate is compared with its own baseline.
    pub subject: ComparedRun,
    /// What is tolerated.
    pub limits: ComparisonLimits,
    /// The worst of all rows; [`Verdict::Incomparable`] and [`Verdict::Unfit`] leave no rows.
    pub verdict: Verdict,
    /// The answer in one sentence.
    pub reason: String,
    /// Why the two cannot be compared; empty: they can.
    pub differences: Vec<RunDifference>,
    /// What the reader should know before trusting any row: an honesty check in doubt, a machine that was not fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// In what the two EdgeMaxx were built otherwise: no reason to refuse, and one for the reader to doubt a small change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub builds: Vec<RunDifference>,
    /// One answer for each pipeline compared, in the order of the subject's plan, then for those that it lacks.
    pub rows: Vec<ComparisonRow>,
}

document!(Comparison, "edgemaxx-comparison", 1);

/// A run that takes part in a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ComparedRun {
    /// How people call it, e.g. the run folder's name.
    pub label: String,
    /// Head of its samples' hash chain.
    pub samples: Digest,
}

/// What a comparison tolerates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ComparisonLimits {
    /// Largest tolerated relative increase of latency, e.g. 0.01 for 1%.
    pub max_slowdown: f64,
    /// Smallest tolerated similarity, if any.
    pub min_similarity: Option<f64>,
    /// Level of the bounds that verdicts rest on.
    pub level: f64,
}

/// One thing in which two runs differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RunDifference {
    /// What differs, e.g. `contest digest` or `processor`.
    pub what: String,
    /// The reference's.
    pub reference: String,
    /// The subject's.
    pub subject: String,
}

/// The answer for one pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ComparisonRow {
    /// The pipeline.
    pub name: String,
    /// Whether it is worse.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
    /// The subject's latency over the reference's, minus 1: 0.02 is 2% slower.
    pub slowdown: Option<Estimate>,
    /// The smallest slowdown that these samples would have shown to break the limit in four of five cases, relative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detectable: Option<f64>,
    /// The subject's processor time for a request over the reference's, minus 1, where both were measured in one run. It
    /// knows less of a busy machine than latency does; no verdict rests on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<Estimate>,
    /// Which similarity [`Self::similarity`] is.
    pub metric: Option<Metric>,
    /// The subject's similarity with its one-sided bound.
    pub similarity: Option<Estimate>,
    /// Where it cannot be told: about how many more sessions would tell.
    pub more_sessions: Option<u32>,
    /// Requests of the subject that count, and why others do not.
    pub counted: Counted,
    /// The same of the reference, where it is another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_counted: Option<Counted>,
}

/// What can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Proven faster, and not proven worse in anything.
    Improved,
    /// Proven to stay within the limits.
    Equivalent,
    /// Neither proven to keep nor to break the limits.
    CannotTell,
    /// Proven to break a limit.
    Regressed,
    /// The A/A control of a run is no tie: its numbers prove nothing.
    Unfit,
    /// Not comparable at all: other hardware, contest or pins.
    Incomparable,
}

impl Verdict {
    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Improved => "improved",
            Self::Equivalent => "equivalent",
            Self::CannotTell => "cannot tell",
            Self::Regressed => "regressed",
            Self::Unfit => "unfit",
            Self::Incomparable => "incomparable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn the_worst_verdict_is_the_largest() {
        let worst = [Verdict::Equivalent, Verdict::Regressed, Verdict::Improved, Verdict::CannotTell];
        assert_eq!(worst.into_iter().max(), Some(Verdict::Regressed));
    }
}
