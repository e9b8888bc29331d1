//! `environment.json`: where and with what a run was measured; for people and for comparing runs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::contest::DeviceKind;
use crate::document;
use crate::format::Format;

/// The machine, the pins and the versions of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Environment {
    /// `edgemaxx-environment`.
    #[serde(flatten)]
    pub format: Format,
    /// Version of EdgeMaxx.
    pub edgemaxx: String,
    /// How it was built; `None`: of a run that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
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
    /// The card that engines computed on, the only one they saw; `None`: the processor, or none was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Card>,
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

/// How engines are confined; whether weights may be set rests on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

impl Environment {
    /// The pins, without those that only say which of several cards of one kind engines saw.
    pub fn pins_of_any_card(&self) -> impl Iterator<Item = &str> {
        let own = self.card.as_ref().and_then(|card| card.uuid.as_deref());
        let names_it = move |pin: &&str| own.is_some() && pin.split_once('=').map(|(_, value)| value) == own;
        self.pins.iter().map(String::as_str).filter(move |pin| !names_it(pin))
    }
}

/// How an EdgeMaxx was built: what decides its own speed and bits beside its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// Commit of the source, with `+changes` where files differed from it; `unknown` outside of a repository.
    pub commit: String,
    /// Cargo's profile, e.g. `release`.
    pub profile: String,
    /// The compiler, e.g. `rustc 1.95.0`.
    pub rustc: String,
    /// Parts that may be left out and are there, sorted.
    pub features: Vec<String>,
}

/// One card of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Its kind.
    pub kind: DeviceKind,
    /// Number by bus among the cards that its driver shows, from 0.
    pub index: u32,
    /// As its driver names its model.
    pub name: String,
    /// As its driver names this very card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Version of its driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Device node by which engines reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

document!(Environment, "edgemaxx-environment", 2);
