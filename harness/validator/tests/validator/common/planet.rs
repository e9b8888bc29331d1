//! What is so on the planet: its time, its miners, its chain, and what goes wrong there.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::sealed_claim::Salt;
use edgemaxx_contract::weights::Weights;
use edgemaxx_validator::world::{BenchTrouble, ChainTrouble, Hindrance};

/// Seconds between blocks.
pub(crate) const BLOCK_S: i64 = 12;
/// The time of block 0: 2026-02-01 00:00 UTC.
pub(crate) const GENESIS: i64 = 1_769_904_000;

/// One miner.
#[derive(Debug, Clone)]
pub(crate) struct Miner {
    pub block: u64,
    /// Its place in that block.
    pub index: u32,
    pub source: String,
    /// Its true speedup; 0: it cannot be measured at all.
    pub speedup: f64,
    /// The block that it was sealed in, and the one that it was opened in.
    pub sealed: Option<(u64, u64)>,
}

impl Miner {
    /// One who committed in the open.
    pub(crate) fn open(block: u64, index: u32, source: String, speedup: f64) -> Self {
        Self { block, index, source, speedup, sealed: None }
    }
}

/// The salt of every seal.
pub(crate) const SALT: Salt = Salt([5; 16]);

/// The world.
pub(crate) struct Planet {
    /// True time.
    pub now: i64,
    /// This machine's clock minus the true time.
    pub clock_off: i64,
    pub miners: BTreeMap<String, Miner>,
    pub undecoded: Vec<String>,
    /// From when to when the chain is away.
    pub away: Vec<(i64, i64)>,
    pub refuses: Option<ChainTrouble>,
    /// Block and weights of every time they were set.
    pub set: Vec<(u64, Weights)>,
    /// Day and digest of every seal that was committed.
    pub seals: Vec<(Day, Digest)>,
    pub refuses_seal: Option<ChainTrouble>,
    /// Sources that are no checkpoints.
    pub invalid: Vec<String>,
    /// Sources that the hub answers 404 for, 503 for, or never ends to send.
    pub gone: Vec<String>,
    pub unreachable: Vec<String>,
    pub slow: Vec<String>,
    /// Sources with another's weights, nearly: theirs → his.
    pub near: BTreeMap<String, String>,
    /// Sources with an engine of their own and weights that nobody can read.
    pub opaque: Vec<String>,
    /// Sources that were sealed with other files: theirs → those.
    pub swapped: BTreeMap<String, String>,
    /// What keeps the validator from setting weights.
    pub hindrances: Vec<Hindrance>,
    pub bench_trouble: Option<BenchTrouble>,
    /// Seconds that one candidate takes.
    pub bench_s: i64,
    pub started: Option<i64>,
    pub unfit: bool,
    /// Noise of this validator's speedups (standard deviation of their logarithms) and its seed.
    pub noise: (f64, u64),
}

impl Planet {
    pub(crate) fn at(now: i64) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            now,
            clock_off: 0,
            miners: BTreeMap::new(),
            undecoded: Vec::new(),
            away: Vec::new(),
            refuses: None,
            set: Vec::new(),
            seals: Vec::new(),
            refuses_seal: None,
            invalid: Vec::new(),
            gone: Vec::new(),
            unreachable: Vec::new(),
            slow: Vec::new(),
            near: BTreeMap::new(),
            opaque: Vec::new(),
            swapped: BTreeMap::new(),
            hindrances: Vec::new(),
            bench_trouble: None,
            bench_s: 300,
            started: None,
            unfit: false,
            noise: (0.0, 1),
        }))
    }

    pub(crate) fn head(&self) -> u64 {
        ((self.now - GENESIS) / BLOCK_S - 2) as u64
    }

    pub(super) fn is_away(&self) -> bool {
        self.away.iter().any(|(from, to)| (*from..*to).contains(&self.now))
    }

    pub(crate) fn join(&mut self, hotkey: &str, source: &str, speedup: f64) {
        let block = self.head();
        let index = self.miners.values().filter(|miner| miner.block == block).count() as u32;
        self.miners.insert(hotkey.to_owned(), Miner::open(block, index, source.to_owned(), speedup));
    }

    /// The last weights as shares by hotkey.
    pub(crate) fn shares(&self) -> BTreeMap<String, f64> {
        let last = self.set.last().map(|(_, weights)| weights.entries.clone()).unwrap_or_default();
        last.into_iter().map(|entry| (entry.hotkey, entry.share)).collect()
    }
}

/// The digest of a source's files: a fork of the same files has another name.
pub(crate) fn digest_of(source: &str) -> Digest {
    Digest::of(source.trim_end_matches("-fork"))
}
