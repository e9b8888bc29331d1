//! The world outside: clock, chain, checkpoints, bench. Everything slow or dangerous stands behind
//! one of these, so that whole weeks run in a test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use edgemaxx_contract::day::{BlockRef, Undecoded};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::sealed_claim::Salt;
use edgemaxx_contract::weights::Weights;

/// The wall clock.
pub trait Clock {
    /// Seconds since 1970-01-01 UTC.
    fn now(&self) -> i64;

    /// Waits at most `seconds`; `false` when the program is to end.
    fn sleep(&mut self, seconds: u64) -> bool;
}

/// Why the chain did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainTrouble {
    /// No answer, or none that can be relied on: worth another try.
    #[error("the chain cannot be reached: {0}")]
    Away(String),
    /// The hotkey is not registered on the subnet.
    #[error(
        "this validator's hotkey is not registered on the subnet; register it with `btcli subnets register`"
    )]
    Unregistered,
    /// The hotkey may not set weights for others.
    #[error("this validator has no permit: too little stake, or it was lost to others")]
    NoPermit,
    /// The chain says no for another reason.
    #[error("the chain refuses: {0}")]
    Refused(String),
}

/// The end of the finalised chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its time, seconds since 1970-01-01 UTC.
    pub unix_s: i64,
}

/// A subnet at one block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Hotkeys registered (SS58), by uid.
    pub registered: BTreeMap<u16, String>,
    /// Commitments that name a checkpoint, for whichever contest and whoever made them.
    pub commitments: Vec<Commitment>,
    /// Commitments that do not.
    pub undecoded: Vec<Undecoded>,
}

/// What a miner committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitment {
    /// Who (SS58).
    pub hotkey: String,
    /// The block it was committed in.
    pub block: u64,
    /// The checkpoint as a contest file names it, e.g. `hf:owner/name@revision`; `sealed:DIGEST` while it is sealed.
    pub source: String,
    /// Whether it is, or was, sealed.
    pub seal: Seal,
    /// The contest that it is for, where that is another one.
    pub other_contest: Option<String>,
}

/// Whether a commitment is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// It never was.
    None,
    /// Nobody can know what it is to.
    Closed,
    /// It says which seal it opens.
    Opened {
        /// The block that the seal was committed in.
        block: u64,
        /// Its salt.
        salt: Salt,
    },
}

/// What keeps a hotkey from setting weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hindrance {
    /// In words, with what to do.
    pub why: String,
    /// The block from which on it hinders no more by itself; `None`: it stays until somebody does something.
    pub until: Option<u64>,
}

/// The chain.
pub trait Chain {
    /// The finalised head.
    ///
    /// # Errors
    /// [`ChainTrouble::Away`].
    fn head(&mut self) -> Result<Head, ChainTrouble>;

    /// The first finalised block at or after `unix_s`; `None`: there is none yet.
    ///
    /// # Errors
    /// [`ChainTrouble::Away`].
    fn block_at(&mut self, unix_s: i64) -> Result<Option<BlockRef>, ChainTrouble>;

    /// Everything of the subnet at `block`, or nothing.
    ///
    /// # Errors
    /// [`ChainTrouble::Away`].
    fn snapshot(&mut self, block: &BlockRef) -> Result<Snapshot, ChainTrouble>;

    /// The places in block `number` at which these hotkeys committed; who is not found has none.
    ///
    /// # Errors
    /// [`ChainTrouble::Away`].
    fn places(&mut self, number: u64, hotkeys: &[String]) -> Result<BTreeMap<String, u32>, ChainTrouble>;

    /// What this hotkey committed in block `number` as seals: read from the block itself, which is kept.
    ///
    /// # Errors
    /// [`ChainTrouble::Away`]; any other: the block cannot be read any more.
    fn sealed(&mut self, number: u64, hotkey: &str) -> Result<Vec<Digest>, ChainTrouble>;

    /// What keeps the validator's hotkey from setting weights now, whatever they are; empty: nothing.
    ///
    /// # Errors
    /// [`ChainTrouble::Away`].
    fn hindrances(&mut self) -> Result<Vec<Hindrance>, ChainTrouble>;

    /// Sets weights by hotkey, joined with the uids of a fresh snapshot; the block they stand in.
    /// `not_before` is the earliest block at which these weights could have been set: what this hotkey
    /// has set since then is them, so asking again after a crash never sets them twice.
    ///
    /// # Errors
    /// [`ChainTrouble`].
    fn set_weights(&mut self, weights: &Weights, not_before: u64) -> Result<u64, ChainTrouble>;

    /// Commits the digest of a sealed day's manifest beside the weights; the block it stands in. What stands
    /// there already is not committed again.
    ///
    /// # Errors
    /// [`ChainTrouble`].
    fn commit_seal(&mut self, day: &Day, manifest: Digest) -> Result<u64, ChainTrouble>;
}

/// Why a checkpoint cannot be measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointTrouble {
    /// It is not what it must be; its owner has to mend it.
    #[error("{0}")]
    Invalid(String),
    /// It is not there, or not for us: worth another try, but not for long.
    #[error("{0}")]
    Gone(String),
    /// It could not be fetched now: worth another try.
    #[error("{0}")]
    Away(String),
}

/// A checkpoint that repeats an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOf {
    /// The later one's hotkey.
    pub copy: String,
    /// The earlier one's hotkey.
    pub original: String,
    /// How that is known.
    pub how: String,
}

/// What a look at the files and weights of a day's checkpoints found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Who repeats whom.
    pub copies: Vec<CopyOf>,
    /// Hotkeys of those with an engine of their own and no weights that could be compared.
    pub by_engine: Vec<String>,
}

/// Where checkpoints come from.
pub trait Checkpoints {
    /// Begins to fetch and check a checkpoint, beside others, or looks what became of it: the digest of what a plan
    /// would call it. `None`: it is under way. Asked again after trouble, it is tried again.
    fn prepare(&mut self, source: &str) -> Option<Result<Digest, CheckpointTrouble>>;

    /// Checkpoints that repeat earlier ones, each with every earlier one it repeats: hotkey, block and source of each,
    /// prepared before, earliest first; `entropy` chooses what is looked at.
    ///
    /// # Errors
    /// In words; nobody is a copy then.
    fn copies(&mut self, entries: &[(String, u64, String)], entropy: &str) -> Result<Compared, String>;
}

/// A contest to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The run folder; it exists if the job was begun before.
    pub folder: PathBuf,
    /// The contest with the day's candidates.
    pub contest: String,
    /// The day.
    pub day: Day,
    /// The plan's entropy.
    pub entropy: String,
    /// No session is begun after this moment, seconds since 1970-01-01 UTC.
    pub deadline: i64,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BenchState {
    /// It is under way.
    Running(Measured),
    /// The folder holds its report.
    Finished,
}

/// What of a job is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// Pairs measured.
    pub done: u64,
    /// Pairs that will be measured at most: those of the plan, less what eliminated candidates were
    /// spared; 0: not known yet.
    pub total: u64,
    /// Candidates that need no further session.
    pub eliminated: u32,
    /// Seconds left at the pace so far, if nobody else leaves; `None` before there is a pace.
    pub left_s: Option<i64>,
}

/// Why a job does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BenchTrouble {
    /// This machine is unfit now (disk full, GPU gone): worth another try.
    #[error("{0}")]
    Unfit(String),
    /// The contest cannot be run at all.
    #[error("{0}")]
    Hopeless(String),
}

/// What people read of a day.
pub trait Pages {
    /// Writes the page, the short form and the tables of the day in `folder`, whose record and weights are there.
    ///
    /// # Errors
    /// In words; what a run left of its own stays.
    fn write(&mut self, folder: &Path) -> Result<(), String>;
}

/// Runs contests.
pub trait Bench {
    /// Begins the job, or goes on with it where it stopped, or looks how it is doing.
    ///
    /// # Errors
    /// [`BenchTrouble`]; what was recorded is kept.
    fn advance(&mut self, job: &Job) -> Result<BenchState, BenchTrouble>;

    /// Ends what is running; it can be gone on with.
    fn stop(&mut self);
}
