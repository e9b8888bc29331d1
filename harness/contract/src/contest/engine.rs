//! The process that generates, as a contest or a candidate names it.

use serde::{Deserialize, Serialize};

use crate::input::{InputError, bad, within};

/// The process that generates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EngineSpec {
    /// The built-in engine on candle.
    Native,
    /// The built-in engine of the models that candle-transformers has.
    #[serde(rename = "candle-transformers")]
    CandleTransformers,
    /// A program that speaks the engine protocol.
    Command(CommandSpec),
}

impl EngineSpec {
    /// What a contest calls the engine of candle-transformers' models.
    pub const CANDLE_TRANSFORMERS: &'static str = "candle-transformers";

    /// Whether it is part of this program.
    pub fn is_built_in(&self) -> bool {
        !matches!(self, Self::Command(_))
    }
}

/// A program that speaks the engine protocol, and what it needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Files and folders that it reads beside its checkpoint. A contest may name any; a candidate
    /// only what lies in its own folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Names of programs that must be installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Program and arguments that fetch what it needs into the folder's `deps/`, once, with a
    /// network, before anything is measured; empty: nothing is fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub install: Vec<String>,
    /// Limits other than the usual ones.
    #[serde(default)]
    pub resources: Resources,
    /// The candidate's own file names it, so its paths must not lead out of its folder.
    #[serde(default)]
    pub own: bool,
}

/// Limits of an engine's processes; `None`: the usual one. A contest may raise them, a candidate
/// only lower.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Private memory of one process, MiB.
    pub memory_mib: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Size of its private `/tmp`, MiB.
    pub tmp_mib: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireEngine {
    #[serde(default)]
    pub native: Option<WireNative>,
    #[serde(default)]
    pub command: Option<Vec<String>>,
    #[serde(default)]
    pub files: Vec<String>,
    #[serde(default)]
    pub needs: Vec<String>,
    #[serde(default)]
    pub install: Vec<String>,
    #[serde(default)]
    pub resources: Option<WireResources>,
}

/// `true`, or the name of a library.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum WireNative {
    Usual(bool),
    Library(String),
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireResources {
    pub memory_mib: Option<u64>,
    pub processes: Option<u64>,
    pub tmp_mib: Option<u64>,
}

pub(super) fn engine(field: &str, wire: Option<WireEngine>) -> Result<Option<EngineSpec>, InputError> {
    let Some(wire) = wire else { return Ok(None) };
    let native = match wire.native {
        None | Some(WireNative::Usual(false)) => None,
        Some(WireNative::Usual(true)) => Some(EngineSpec::Native),
        Some(WireNative::Library(name)) if name == EngineSpec::CANDLE_TRANSFORMERS => {
            Some(EngineSpec::CandleTransformers)
        }
        Some(WireNative::Library(name)) => {
            let expected = format!("true or {:?}", EngineSpec::CANDLE_TRANSFORMERS);
            return Err(bad(format!("{field}.native"), &expected, format!("{name:?}")));
        }
    };
    let (native, command) = match (native, wire.command) {
        (Some(native), None) => (native, None),
        (None, Some(command)) if !command.is_empty() => (EngineSpec::Native, Some(command)),
        _ => return Err(bad(field, "native = true, or command = [\"program\", …]", "neither or both")),
    };
    let Some(command) = command else {
        if !wire.files.is_empty()
            || !wire.needs.is_empty()
            || !wire.install.is_empty()
            || wire.resources.is_some()
        {
            return Err(bad(
                field,
                "files, needs, install and resources beside a command only",
                "native = true",
            ));
        }
        return Ok(Some(native));
    };
    if let Some(name) = wire.needs.iter().find(|name| name.is_empty() || name.contains('/')) {
        return Err(bad(
            format!("{field}.needs"),
            "names of programs, such as \"python3\"",
            format!("{name:?}"),
        ));
    }
    let resources = wire.resources.unwrap_or_default();
    let limit = |key: &str, value: Option<u64>, most: u64| {
        value.map(|value| within(&format!("{field}.resources.{key}"), value, 1, most)).transpose()
    };
    let resources = Resources {
        memory_mib: limit("memory_mib", resources.memory_mib, 1 << 22)?,
        processes: limit("processes", resources.processes, 1 << 15)?,
        tmp_mib: limit("tmp_mib", resources.tmp_mib, 1 << 22)?,
    };
    let (files, needs, install) = (wire.files, wire.needs, wire.install);
    Ok(Some(EngineSpec::Command(CommandSpec { command, files, needs, install, resources, own: false })))
}
