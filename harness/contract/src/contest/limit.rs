//! What a faster answer may cost elsewhere: bounds on times and energy, relative to the baseline's in the same sessions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// The time to the first part.
    First,
    /// The time for each unit after the first part.
    Next,
    /// The median time between parts.
    GapP50,
    /// The 99th percentile of the times between parts.
    GapP99,
    /// The energy of the card for each unit.
    Energy,
}

impl Cost {
    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Self::First => "time to the first part",
            Self::Next => "time for each further unit",
            Self::GapP50 => "median time between parts",
            Self::GapP99 => "99th percentile of the times between parts",
            Self::Energy => "energy for each unit",
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// A bound that must be proven: the upper end of the interval of candidate's over baseline's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What is bounded.
    pub of: Cost,
    /// The largest ratio accepted.
    pub at_most: f64,
    /// Why this value.
    pub reason: String,
}
