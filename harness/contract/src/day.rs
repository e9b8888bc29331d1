//! `day.json`: what a validator found on chain when a day began, and what became of each submission.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::document;
use crate::format::Format;
use crate::plan::Day;

/// The name of the file.
pub const DAY_FILE: &str = "day.json";

/// A day's submissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRecord {
    /// `edgemaxx-day`.
    #[serde(flatten)]
    pub format: Format,
    /// The contest's day.
    pub day: Day,
    /// The subnet.
    pub netuid: u16,
    /// Address (SS58) of the validator's hotkey.
    pub validator: String,
    /// When submissions closed, seconds since 1970-01-01 UTC: noon in New York, unless the day was
    /// begun by hand.
    pub closed_unix_s: i64,
    /// The first finalised block at or after that; `None`: the chain could not be read all day.
    pub block: Option<BlockRef>,
    /// Hotkeys registered at that block, sorted.
    pub registered: Vec<String>,
    /// Commitments on chain at that block, earliest first.
    pub submissions: Vec<Submission>,
    /// Commitments that could not be decoded: hotkey and why, by hotkey.
    pub undecoded: Vec<Undecoded>,
    /// Why nothing could be measured although there was something to measure.
    pub not_measured: Option<String>,
}

document!(DayRecord, "edgemaxx-day", 1);

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockRef {
    /// Its number.
    pub number: u64,
    /// Its hash, `0x…`: the plan's entropy.
    pub hash: String,
    /// Its time, seconds since 1970-01-01 UTC.
    pub unix_s: i64,
}

/// One miner's submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// Address (SS58); the candidate's name in the run.
    pub hotkey: String,
    /// Block since which this hotkey has committed to this source.
    pub since: u64,
    /// The checkpoint, e.g. `hf:owner/name@revision`.
    pub source: String,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a submission before it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fate {
    /// Not yet looked at.
    Pending,
    /// It is measured.
    Candidate {
        /// Digest of its files.
        digest: Digest,
    },
    /// It repeats an earlier submission and earns nothing.
    Copy {
        /// The earlier one's hotkey.
        of: String,
        /// How that is known.
        how: String,
    },
    /// It cannot be measured.
    Invalid {
        /// Why.
        reason: String,
    },
}

/// A commitment that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undecoded {
    /// Who committed it.
    pub hotkey: String,
    /// What is wrong with it.
    pub reason: String,
}
