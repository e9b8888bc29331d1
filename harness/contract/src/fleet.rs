//! `fleet.json`: which worker measured which lane of a run, at which attempt, and what came too late or was refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::document;
use crate::format::Format;

/// The lanes of a run that other hosts measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fleet {
    /// `edgemaxx-fleet`.
    #[serde(flatten)]
    pub format: Format,
    /// Digest of the run's plan.
    pub plan: Digest,
    /// Its lanes, in their order.
    pub lanes: Vec<FleetLane>,
    /// What is kept beside the run, and counts for nothing.
    pub kept: Vec<Kept>,
    /// What was not kept any more, since there was too much of it, by worker.
    pub forgotten: BTreeMap<String, Forgotten>,
    /// The workers that said what is not so, and why: they measure nothing of this run any more.
    pub barred: BTreeMap<String, String>,
}

/// Who measures a lane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FleetLane {
    /// Which attempt at the lane counts, from 1; 0: nobody has begun. It grows whenever another worker begins it anew.
    pub attempt: u32,
    /// The worker, by its public key.
    pub worker: Option<String>,
    /// What its operator calls it.
    pub name: Option<String>,
    /// Digest of its program.
    pub program: Option<Digest>,
    /// Whether the lane is measured to its end.
    pub done: bool,
}

/// Lines of a log that are kept and never pooled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The lane that they are of.
    pub lane: u32,
    /// The attempt that they are of.
    pub attempt: u32,
    /// Whose they are, by public key.
    pub worker: String,
    /// Why they do not count.
    pub why: String,
    /// Where they are, below the run folder; `None`: nothing came that could be kept.
    pub file: Option<String>,
    /// Bytes that are kept there.
    pub bytes: u64,
}

/// What was kept once of a worker, and gave room to what came later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    /// How often.
    pub entries: u64,
    /// Bytes of it.
    pub bytes: u64,
}

document!(Fleet, "edgemaxx-fleet", 2);

impl Fleet {
    /// One whose lanes nobody has begun.
    pub fn of(plan: Digest, lanes: u32) -> Self {
        use crate::format::Document as _;
        let lanes = (0..lanes).map(|_| FleetLane::default()).collect();
        Self {
            format: Self::expected_format(),
            plan,
            lanes,
            kept: Vec::new(),
            forgotten: BTreeMap::new(),
            barred: BTreeMap::new(),
        }
    }
}
