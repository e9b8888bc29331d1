//! A candidate's own `edgemaxx.toml`, beside its checkpoint.

use super::check::{ContestError, patch};
use super::engine::{EngineSpec, engine};
use super::spec::GenerationPatch;
use super::wire::WireCandidateFile;

/// What a candidate says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CandidateFile {
    /// Settings it wants instead of the baseline's.
    pub generation: GenerationPatch,
    /// Its process; `None`: native.
    pub engine: Option<EngineSpec>,
}

impl CandidateFile {
    /// Reads `edgemaxx.toml`.
    ///
    /// # Errors
    /// [`ContestError`] names line and column, or the key, what was expected and what was found.
    pub fn parse(text: &str) -> Result<Self, ContestError> {
        let wire: WireCandidateFile = toml::from_str(text)?;
        let mut engine = engine("engine", wire.engine)?;
        if let Some(EngineSpec::Command(command)) = &mut engine {
            command.own = true;
        }
        Ok(Self { generation: patch("generation", wire.generation.unwrap_or_default())?, engine })
    }
}
