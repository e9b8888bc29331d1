//! The stages: `analyze` and `rank`.

mod analyze;
mod certificate;
pub(crate) mod estimate;
mod judge;
mod rank;
#[cfg(test)]
mod tests;

pub use analyze::{AnalyzeError, Evidence, analyze, settings_of};
pub use judge::surely_missed;
pub use rank::{RankError, rank};
