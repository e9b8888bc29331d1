//! `day.json`: what a validator found on chain when a day began, and what became of each submission.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::document;
use crate::format::Format;
use crate::plan::Day;
use crate::sealed_claim::Claim;

/// The name of the file.
pub const DAY_FILE: &str = "day.json";

/// A day's submissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// The block at which it was looked who of those that had sealed opened their seals meanwhile; `None`: nobody had.
    #[serde(default)]
    pub opened: Option<BlockRef>,
    /// Hotkeys registered at that block, sorted.
    pub registered: Vec<String>,
    /// Every commitment to a checkpoint on chain at that block, in the order in which they came, whatever became of it.
    pub submissions: Vec<Submission>,
    /// Commitments that could not be decoded: hotkey and why, by hotkey.
    pub undecoded: Vec<Undecoded>,
    /// Why nothing could be measured although there was something to measure.
    pub not_measured: Option<String>,
}

document!(DayRecord, "edgemaxx-day", 2);

impl DayRecord {
    /// The entropy of the day's plan: its block's hash.
    pub fn entropy(&self) -> Option<&str> {
        self.block.as_ref().map(|block| block.hash.as_str())
    }

    /// The submissions that are for this contest and of hotkeys that are registered.
    pub fn entries(&self) -> impl Iterator<Item = &Submission> {
        let elsewhere = |fate: &Fate| matches!(fate, Fate::OtherContest { .. } | Fate::Unregistered);
        self.submissions.iter().filter(move |submission| !elsewhere(&submission.fate))
    }
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// Address (SS58); the candidate's name in the run.
    pub hotkey: String,
    /// Its number on the subnet; `None`: it is not registered.
    pub uid: Option<u16>,
    /// Block since which this hotkey has committed to this source, or to its files under a seal.
    pub since: u64,
    /// Its place in that block, where others of that block stand beside it; `None`: nobody does, or it is not known.
    pub index: Option<u32>,
    /// The checkpoint, e.g. `hf:owner/name@revision`; `sealed:DIGEST` while nobody can know it.
    pub source: String,
    /// The seal that it opened; `None`: it was committed in the open.
    #[serde(default)]
    pub claim: Option<Claim>,
    /// What became of it.
    pub fate: Fate,
}

impl Submission {
    /// What decides who was first: the block, then the place in it; what has no known place comes after what has.
    pub fn order(&self) -> (u64, u32, &str) {
        (self.since, self.index.unwrap_or(u32::MAX), &self.hotkey)
    }
}

/// What is said of who is told from others by its engine's files alone.
pub const BY_ENGINE: &str = "has an engine of its own and no weights that can be compared: its engine's files alone tell it from others";

/// What became of a submission before it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fate {
    /// Not yet looked at.
    Pending,
    /// It is measured.
    Candidate {
        /// Digest of its files.
        digest: Digest,
        /// Earlier ones that it repeats, in their order: it earns only if none of them stands.
        repeats: Option<Repeats>,
        /// It has an engine of its own and no weights that could be compared: its engine's files alone tell it from others.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_engine: bool,
    },
    /// It repeats an earlier submission and is not measured.
    Copy {
        /// The earlier one's hotkey.
        of: String,
        /// How that is known.
        how: String,
        /// Digest of its files; `None`: it names the same repository and revision as the earlier one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// It cannot be measured.
    Invalid {
        /// Why.
        reason: String,
    },
    /// It is an entry for another contest.
    OtherContest {
        /// Which.
        contest: String,
    },
    /// Its hotkey is not registered on the subnet.
    Unregistered,
    /// It was sealed, and not opened in time.
    Sealed,
}

/// How the reason begins of one that was not there, or not for everybody.
pub const NOT_THERE: &str = "not there, or not for everybody";
/// How the reason begins of one that could not be fetched.
pub const OUT_OF_REACH: &str = "out of reach";

impl Fate {
    /// Digest of its files, where somebody looked at them.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::Candidate { digest, .. } => Some(*digest),
            Self::Copy { digest, .. } => *digest,
            _ => None,
        }
    }

    /// Whether it is invalid for what was so on its day, which nobody can look at afterwards.
    pub fn was_away(&self) -> bool {
        matches!(self, Self::Invalid { reason } if reason.starts_with(NOT_THERE) || reason.starts_with(OUT_OF_REACH))
    }

    /// A candidate that repeats nobody.
    pub fn candidate(digest: Digest) -> Self {
        Self::Candidate { digest, repeats: None, by_engine: false }
    }
}

/// The earlier submissions that one repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Repeats {
    /// Their hotkeys, the earliest first.
    pub of: Vec<String>,
    /// How that is known.
    pub how: String,
}

/// A commitment that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Undecoded {
    /// Who committed it.
    pub hotkey: String,
    /// What is wrong with it.
    pub reason: String,
}
