//! The contest: what is compared, how it is measured and what counts as equal quality.
//!
//! `wire` is the file as written, `spec` the checked contest every stage works with,
//! `check` the way from one to the other.

mod candidate_file;
mod check;
mod engine;
mod limit;
mod spec;
mod variant;
mod wire;

pub use candidate_file::CandidateFile;
pub use check::CONTROL;
pub use engine::{CommandSpec, EngineSpec, Resources};
pub use limit::{Cost, Limit};
pub use spec::{
    BaselineSpec, CandidateSpec, CheckpointSpec, Contest, CopiesSpec, Device, DeviceKind, Measurement,
    QualitySpec, Recipe, Residency, RewardFormula, Rewards, ScoreSpec, Stopping, Timeouts,
};
pub use variant::{Entrant, with_candidates};

#[cfg(test)]
mod tests;
