//! The stages `analyze` and `rank`, and the comparison of runs.

#[cfg(test)]
mod agreement;
mod analyze;
pub(crate) mod compare;
mod control;
pub(crate) mod estimate;
mod floor;
mod gates;
mod honesty;
mod lanes;
mod oracle;
mod race;
mod rank;
mod resources;
mod rewards;
mod stream;
#[cfg(test)]
mod tests;
mod tiers;

pub use analyze::{AnalyzeError, Evidence, analyze, settings_of};
pub use compare::{ComparableRun, CompareError, CompareSettings, compare_runs, compare_with_baseline};
pub use gates::gate;
pub use oracle::{Oracle, OracleError, Question, oracle};
pub use race::{FactorRange, Race, ScoreRange};
pub use rank::rank;
