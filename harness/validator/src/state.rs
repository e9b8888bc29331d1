//! What a validator knows of its day: all of it, so that nothing is lost when it is killed.

use std::collections::BTreeMap;

use edgemaxx_contract::day::DayRecord;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::joint::Share;
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::weights::Weights;
use serde::{Deserialize, Serialize};

/// How far a day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its noon has not come.
    Waiting,
    /// Commitments are read at the first finalised block after noon.
    Collecting,
    /// Of equal submissions, the earliest stays.
    Deduplicating,
    /// Checkpoints are fetched and checked.
    Preparing,
    /// The contest runs.
    Measuring,
    /// Its result is read.
    Analysing,
    /// Weights are decided; everything is sealed and published.
    Publishing,
    /// The weights are set on chain.
    SettingWeights,
    /// Done; weights are kept fresh until the next noon.
    Holding,
}

impl Phase {
    /// All, in order.
    pub const ALL: [Self; 9] = [
        Self::Waiting,
        Self::Collecting,
        Self::Deduplicating,
        Self::Preparing,
        Self::Measuring,
        Self::Analysing,
        Self::Publishing,
        Self::SettingWeights,
        Self::Holding,
    ];

    /// The name, as in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Collecting => "collecting",
            Self::Deduplicating => "deduplicating",
            Self::Preparing => "preparing",
            Self::Measuring => "measuring",
            Self::Analysing => "analysing",
            Self::Publishing => "publishing",
            Self::SettingWeights => "setting_weights",
            Self::Holding => "holding",
        }
    }
}

/// One day of a validator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The day.
    pub day: Day,
    /// When submissions close, seconds since 1970-01-01 UTC: its noon, unless it was begun by hand.
    pub start: i64,
    /// How far it is.
    pub phase: Phase,
    /// Since when, seconds since 1970-01-01 UTC.
    pub since: i64,
    /// What was found on chain, from [`Phase::Deduplicating`] on.
    pub record: Option<DayRecord>,
    /// Checkpoints that are out of reach, by hotkey.
    #[serde(default)]
    pub unreachable: BTreeMap<String, Unreachable>,
    /// What does not work at the moment.
    pub trouble: Option<Trouble>,
    /// What was decided, from [`Phase::SettingWeights`] on.
    pub weights: Option<Weights>,
    /// Digest of the sealed manifest, likewise.
    pub manifest: Option<Digest>,
    /// The chain's head before the weights were first tried to be set: what this hotkey has set
    /// after it is them.
    pub set_after: Option<u64>,
    /// Where the weights stand, or why they were not set; from [`Phase::Holding`] on.
    pub on_chain: Option<OnChain>,
    /// Likewise the manifest's digest, which is committed beside them as far as the chain's rules allow it.
    #[serde(default)]
    pub seal_on_chain: Option<OnChain>,
    /// The day before.
    pub previous: Option<Previous>,
    /// Of a day of several contests together: their shares, which hold for the whole day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Share>,
}

/// A checkpoint that is out of reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unreachable {
    /// In words.
    pub why: String,
    /// It is not there, or not for us.
    pub gone: bool,
}

/// What does not work at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// In words.
    pub what: String,
    /// Since when.
    pub since: i64,
    /// When it is tried again.
    pub retry_at: i64,
    /// Failures in a row.
    pub attempts: u32,
}

/// What became of something that was to stand on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OnChain {
    /// It stands in this block, or a later one where weights were refreshed.
    Set {
        /// The block.
        block: u64,
    },
    /// It stands in what all of the validator's contests decide together, which has a day of its own.
    Joint,
    /// It was not set.
    NotSet {
        /// Why.
        why: String,
    },
}

/// What a day leaves to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previous {
    /// Its day.
    pub day: Day,
    /// Digest of its manifest.
    pub manifest: Digest,
    /// Its weights.
    pub weights: Weights,
    /// The block they were set in, if they were.
    pub block: Option<u64>,
}

impl State {
    /// A day that waits for its start.
    pub fn waiting(day: Day, start: i64, now: i64, previous: Option<Previous>) -> Self {
        Self {
            day,
            start,
            phase: Phase::Waiting,
            since: now,
            record: None,
            unreachable: BTreeMap::new(),
            trouble: None,
            weights: None,
            manifest: None,
            set_after: None,
            on_chain: None,
            seal_on_chain: None,
            previous,
            shares: Vec::new(),
        }
    }

    /// The day of these contests together; none: of one contest.
    pub fn of(self, shares: &[Share]) -> Self {
        Self { shares: shares.to_vec(), ..self }
    }

    /// A day that was begun by hand: it waits for nothing, even where the chain's clock is ahead of this machine's.
    pub fn begun(day: Day, start: i64, now: i64, previous: Option<Previous>) -> Self {
        Self { phase: Phase::Collecting, ..Self::waiting(day, start, now, previous) }
    }

    /// What this day leaves to the next: itself if it was published, else what it was left.
    pub fn legacy(&self) -> Option<Previous> {
        let (Some(weights), Some(manifest)) = (&self.weights, self.manifest) else {
            return self.previous.clone();
        };
        let block = match &self.on_chain {
            Some(OnChain::Set { block }) => Some(*block),
            _ => self.previous.as_ref().and_then(|previous| previous.block),
        };
        Some(Previous { day: self.day.clone(), manifest, weights: weights.clone(), block })
    }
}
