//! A candidate's own `edgemaxx.toml`, beside its checkpoint.

use super::engine::{EngineSpec, engine};
use super::wire::WireCandidateFile;
use crate::input::{InputError, TomlFile};
use crate::task::{SettingsPatch, TaskRef};

/// What a candidate says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CandidateFile {
    /// Settings it wants instead of the baseline's.
    pub settings: SettingsPatch,
    /// Its process; `None`: native.
    pub engine: Option<EngineSpec>,
}

impl CandidateFile {
    /// The engine that `edgemaxx.toml` of a candidate names, whatever it is for.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn engine_of(text: &str) -> Result<Option<EngineSpec>, InputError> {
        engine_of(toml::from_str::<WireCandidateFile>(text)?)
    }

    /// Reads `edgemaxx.toml` of a candidate for a contest of `task`.
    ///
    /// # Errors
    /// [`InputError`] names line and column, or the key, what was expected and what was found.
    pub fn parse(text: &str, task: TaskRef) -> Result<Self, InputError> {
        let wire: WireCandidateFile = toml::from_str(text)?;
        let settings = match &wire.generation {
            Some(_) => task.patch(&TomlFile::parse(text)?.input("generation", &[&"generation"])?)?,
            None => SettingsPatch::default(),
        };
        Ok(Self { settings, engine: engine_of(wire)? })
    }
}

fn engine_of(wire: WireCandidateFile) -> Result<Option<EngineSpec>, InputError> {
    let mut engine = engine("engine", wire.engine)?;
    if let Some(EngineSpec::Command(command)) = &mut engine {
        command.own = true;
    }
    Ok(engine)
}
