//! The stages: `analyze` and `rank`.

mod analyze;
mod certificate;
pub(crate) mod estimate;
mod honesty;
mod judge;
mod rank;
#[cfg(test)]
mod tests;

pub use analyze::{AnalyzeError, Evidence, analyze, settings_of};
pub use rank::{RankError, rank};
