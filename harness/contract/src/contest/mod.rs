//! The contest: what is compared, how it is measured and what counts as equal quality.
//!
//! `wire` is the file as written, `spec` the checked contest every stage works with.

mod candidate_file;
mod engine;
mod spec;
mod wire;

pub use candidate_file::CandidateFile;
pub use engine::{CommandSpec, EngineSpec, Resources};
pub use spec::{
    BaselineSpec, CandidateSpec, CheckpointSpec, Contest, ContestError, Device, DeviceKind, Dtype, Gate,
    Generation, GenerationPatch, Measurement, Metric, QualitySpec, Recipe, RequestSpec, Rewards, ScoreSpec,
    SimilarityFormula, Statistic, Stopping, Timeouts,
};

#[cfg(test)]
mod tests;
