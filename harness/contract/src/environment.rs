//! `environment.json`: where and with what a run was measured; for people and for comparing runs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::document;
use crate::format::Format;

/// The machine, the pins and the versions of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// `edgemaxx-environment`.
    #[serde(flatten)]
    pub format: Format,
    /// Version of EdgeMaxx.
    pub edgemaxx: String,
    /// Operating system and kernel.
    pub os: String,
    /// Processor as the system names it.
    pub cpu: String,
    /// Processors this process may use.
    pub cpus: u32,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// GPUs as the driver names them.
    pub gpus: Vec<String>,
    /// How engines are confined.
    pub sandbox: Confinement,
    /// Latency recorded for an engine that answers at once, nanoseconds, median: what the protocol
    /// itself costs here at the contest's size; the same for every engine. `None`: not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_ns: Option<u64>,
    /// Variables set for every engine, `NAME=value`, sorted.
    pub pins: Vec<String>,
    /// What preflight found unfit, in words; weights are refused when there is any.
    pub unfit: Vec<String>,
}

document!(Environment, "edgemaxx-environment", 2);

/// How engines are confined; whether weights may be set rests on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Confinement {
    /// By bubblewrap.
    Bubblewrap {
        /// What else binds them, or does not, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Not at all.
    Unsandboxed {
        /// Why, and what to do about it.
        reason: String,
    },
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bubblewrap { note: None } => f.write_str("bubblewrap"),
            Self::Bubblewrap { note: Some(note) } => write!(f, "bubblewrap; {note}"),
            Self::Unsandboxed { reason } => write!(f, "unsandboxed: {reason}"),
        }
    }
}
