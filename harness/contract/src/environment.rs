//! `environment.json`: where and with what a run was measured; for people and for comparing runs.

mod lanes;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::contest::DeviceKind;
use crate::document;
use crate::floor::{Peaks, Work};
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
    /// How they are held while they are measured; `None`: of a run that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// Latency recorded for an engine that answers at once, nanoseconds, median: what the protocol
    /// itself costs here at the contest's size; the same for every engine. `None`: not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_ns: Option<u64>,
    /// What the device can do at most; `None`: not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peaks: Option<Peaks>,
    /// What any engine must do for an answer, by the name of the pipeline; without those whose checkpoints do not tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub work: BTreeMap<String, Work>,
    /// Variables set for every engine, `NAME=value`, sorted.
    pub pins: Vec<String>,
    /// What preflight found unfit, in words; weights are refused when there is any.
    pub unfit: Vec<String>,
    /// Those of its lanes, where a run has several and this is what they are together; in no file.
    #[serde(skip)]
    pub lanes: Vec<Self>,
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

/// What engines are held to beside what they can see; whether weights may be set rests on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// How a side rests while the other one is asked.
    pub rest: Rest,
    /// The same of its work on the card; `None`: engines see no card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_rest: Option<CardRest>,
    /// A control group limits the memory of each engine's processes together.
    pub memory: bool,
    /// Calls of the system that no engine needs are refused.
    pub calls: bool,
    /// Engines run as a user who owns nothing here, or as the ordinary user who runs the harness: not as root.
    pub own_user: bool,
    /// Processors that engines compute on.
    pub cores: Vec<u32>,
    /// Processors that the harness keeps to meanwhile: others than the engines' where there are any.
    pub harness_cores: Vec<u32>,
}

/// How a side is kept from running while the other one is asked, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Rest {
    /// Its control group is frozen: `cgroup.freeze`.
    CgroupV2,
    /// Its control group is frozen by the freezer of version 1.
    CgroupV1,
    /// Every process of its tree is stopped by a signal, and looked at.
    Stop,
    /// Nothing keeps it.
    Nothing,
}

/// How the work of a side that rests is kept from the card, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CardRest {
    /// The driver locks its contexts, which waits for all that they have begun, and lists nothing else of it on the card.
    Locked,
    /// This driver cannot, or its lists tell nothing here: nothing proves that the card is at rest.
    Unproven,
}

impl Bounds {
    /// Why no weights may come of a run with these bounds.
    pub fn gaps(&self) -> Vec<&'static str> {
        let gaps = [
            (self.rest == Rest::Nothing, "nothing kept the side that was not asked from running"),
            (
                self.card_rest == Some(CardRest::Unproven),
                "nothing proves that the side that was not asked left the card alone (its driver cannot lock contexts, or lists processes by other numbers than here: --pid=host in a container)",
            ),
            (!self.memory, "no control group limited the engines' memory"),
            (!self.calls, "no filter refused calls of the system by which engines pass on what they know"),
            (!self.own_user, "engines ran as root"),
        ];
        gaps.into_iter().filter_map(|(open, words)| open.then_some(words)).collect()
    }
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
