//! From session means to claims: against the baseline, against each other, and about the run.

mod claims;
pub mod earnings;
pub(crate) mod lanes;
pub mod pairwise;
pub mod power;
pub mod proofs;
pub mod ranks;
mod settings;

pub use claims::{CandidateInference, Inference, infer};
pub use settings::{Settings, SettingsError};
