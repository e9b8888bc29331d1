//! Ways to cheat that are looked for after the fact, and what was found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One way to cheat, looked for after the fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HonestyCheck {
    /// What was looked for.
    pub what: HonestyKind,
    /// What was found.
    pub verdict: HonestyVerdict,
    /// In words, with the numbers.
    pub detail: String,
}

impl fmt::Display for HonestyCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what.title(), self.detail)
    }
}

/// Ways to cheat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HonestyKind {
    /// A request repeated among others is answered from memory.
    Repeats,
    /// Different requests get the same answer.
    Distinct,
    /// The same asked under another noise gets what the noise has nothing to do with.
    Noise,
    /// The same asked under another noise takes another time: remembered once, computed once.
    Pace,
    /// Work goes on after the answer, in the other side's time.
    Idle,
    /// Work is hidden in loading, which is not scored.
    Load,
    /// Work goes on on the GPU after the answer, in the other side's time.
    GpuIdle,
    /// Its requests run at another clock frequency than the baseline's.
    Clocks,
    /// It answers sooner than any engine could.
    Implausible,
}

impl HonestyKind {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Repeats => "Repeated requests",
            Self::Distinct => "Distinct answers",
            Self::Noise => "Follows the noise",
            Self::Pace => "Same time for the same",
            Self::Idle => "Idle when not asked",
            Self::Load => "Work in loading",
            Self::GpuIdle => "GPU idle when not asked",
            Self::Clocks => "Clock frequency",
            Self::Implausible => "Faster than possible",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HonestyVerdict {
    /// Nothing.
    Passed,
    /// Too few data.
    Unknown,
    /// Something that may have an honest reason.
    Doubtful,
    /// Something that has none: the candidate earns nothing.
    Failed,
}
