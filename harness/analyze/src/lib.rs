//! From samples to estimates and ranks.

pub mod elimination;
pub mod estimators;
pub mod forecast;
mod foreign;
pub mod inference;
pub mod random;
pub mod samples;
pub mod sequential;
pub mod sources;
mod stages;
pub mod telemetry;
pub mod verify;

pub use estimators::Method;
pub use foreign::{AnalyzeReport, CandidateReport, RankRange, Speedup};
pub use inference::Settings;
pub use stages::{
    AnalyzeError, ComparableRun, CompareError, CompareSettings, Evidence, FactorRange, Oracle, OracleError,
    Question, Race, ScoreRange, analyze, compare_runs, compare_with_baseline, gate, oracle, rank,
    settings_of,
};
