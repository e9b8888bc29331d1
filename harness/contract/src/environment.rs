//! `environment.json`: where and with what a run was measured; for people and for comparing runs.

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
    /// How engines are confined: `bubblewrap`, or `unsandboxed` and why.
    pub sandbox: String,
    /// Latency recorded for an engine that answers at once, nanoseconds, median: what the protocol
    /// itself costs here at the contest's size; the same for every engine. `None`: not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_ns: Option<u64>,
    /// Variables set for every engine, `NAME=value`, sorted.
    pub pins: Vec<String>,
    /// What preflight found unfit, in words; weights are refused when there is any.
    pub unfit: Vec<String>,
}

document!(Environment, "edgemaxx-environment", 1);
