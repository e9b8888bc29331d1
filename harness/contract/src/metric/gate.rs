//! Bounds on metrics that must be proven.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::by_name::Metric;

/// A bound that must be proven.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
