//! A planet with a chain, miners and a bench, in memory: a day passes in milliseconds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use edgemaxx_analyze::rank;
use edgemaxx_contract::claim::{Salt, sealed};
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::counted::Counted;
use edgemaxx_contract::day::{BlockRef, Undecoded};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::{Bounds, Confinement, Environment, Rest};
use edgemaxx_contract::estimate::{
    CandidateEstimates, Certificate, CertificateVerdict, Claim, Estimate, Estimates, Outliers,
    SessionEvidence,
};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{Day, Extent, Role};
use edgemaxx_contract::weights::Weights;
use edgemaxx_seal::Keypair;
use edgemaxx_validator::driver::{self, Driver, DriverError, Settings, World};
use edgemaxx_validator::policy::Policy;
use edgemaxx_validator::store::Store;
use edgemaxx_validator::world::{
    Bench, BenchState, BenchTrouble, Chain, ChainTrouble, CheckpointTrouble, Checkpoints, Clock, Commitment,
    Compared, CopyOf, Head, Hindrance, Job, Measured, Pages, Seal, Snapshot,
};

pub(crate) const CONTEST: &str = r#"format = 1
name = "sim"
netuid = 39
[device]
kind = "cpu"
[request]
prompts = "p.txt"
width = 64
height = 64
[baseline]
checkpoint = "m"
generation = { steps = 20, guidance_scale = 5.0 }
[quality]
[score]
similarity = "ssim-gray"
similarity_exponent = 0.0
[rewards]
fallback = "owner"
"#;

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

    fn is_away(&self) -> bool {
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

/// A hand on the planet; every trait of the world.
#[derive(Clone)]
pub(crate) struct Hand(pub Rc<RefCell<Planet>>);

impl Clock for Hand {
    fn now(&self) -> i64 {
        let planet = self.0.borrow();
        planet.now + planet.clock_off
    }

    fn sleep(&mut self, seconds: u64) -> bool {
        self.0.borrow_mut().now += seconds as i64;
        true
    }
}

impl Chain for Hand {
    fn head(&mut self) -> Result<Head, ChainTrouble> {
        let planet = self.0.borrow();
        if planet.is_away() {
            return Err(ChainTrouble::Away("no answer".to_owned()));
        }
        let number = planet.head();
        Ok(Head { number, unix_s: GENESIS + number as i64 * BLOCK_S })
    }

    fn block_at(&mut self, unix_s: i64) -> Result<Option<BlockRef>, ChainTrouble> {
        let head = self.head()?;
        let number = (unix_s - GENESIS).div_euclid(BLOCK_S) + i64::from((unix_s - GENESIS) % BLOCK_S != 0);
        let block = BlockRef {
            number: number as u64,
            hash: format!("0x{}", Digest::of(number.to_le_bytes())),
            unix_s: GENESIS + number * BLOCK_S,
        };
        Ok((block.number <= head.number).then_some(block))
    }

    fn snapshot(&mut self, block: &BlockRef) -> Result<Snapshot, ChainTrouble> {
        let planet = self.0.borrow();
        if planet.is_away() {
            return Err(ChainTrouble::Away("no answer".to_owned()));
        }
        let begun = |miner: &Miner| miner.sealed.map_or(miner.block, |(sealed, _)| sealed);
        let commitments = planet.miners.iter().filter(|(_, miner)| begun(miner) <= block.number);
        Ok(Snapshot {
            registered: (0..).zip(planet.miners.keys().cloned().chain(["owner".to_owned()])).collect(),
            commitments: commitments
                .map(|(hotkey, miner)| {
                    let (hotkey, other_contest) = (hotkey.clone(), None);
                    match miner.sealed {
                        Some((sealed, opened)) if opened <= block.number => Commitment {
                            hotkey,
                            block: opened,
                            source: miner.source.clone(),
                            seal: Seal::Opened { block: sealed, salt: SALT },
                            other_contest,
                        },
                        Some((sealed, _)) => Commitment {
                            hotkey,
                            block: sealed,
                            source: format!("sealed:{}", miner.source),
                            seal: Seal::Closed,
                            other_contest,
                        },
                        None => Commitment {
                            hotkey,
                            block: miner.block,
                            source: miner.source.clone(),
                            seal: Seal::None,
                            other_contest,
                        },
                    }
                })
                .collect(),
            undecoded: planet
                .undecoded
                .iter()
                .map(|hotkey| Undecoded { hotkey: hotkey.clone(), reason: "version 2".to_owned() })
                .collect(),
        })
    }

    fn places(&mut self, _: u64, hotkeys: &[String]) -> Result<BTreeMap<String, u32>, ChainTrouble> {
        let planet = self.0.borrow();
        let place = |hotkey: &String| Some((hotkey.clone(), planet.miners.get(hotkey)?.index));
        Ok(hotkeys.iter().filter_map(place).collect())
    }

    fn sealed(&mut self, number: u64, hotkey: &str) -> Result<Vec<Digest>, ChainTrouble> {
        let planet = self.0.borrow();
        let miner = planet.miners.get(hotkey);
        let miner = miner.filter(|miner| miner.sealed.is_some_and(|(sealed, _)| sealed == number));
        let files = |miner: &Miner| planet.swapped.get(&miner.source).unwrap_or(&miner.source).clone();
        Ok(miner.map(|miner| sealed(hotkey, &digest_of(&files(miner)), &SALT)).into_iter().collect())
    }

    fn hindrances(&mut self) -> Result<Vec<Hindrance>, ChainTrouble> {
        Ok(self.0.borrow().hindrances.clone())
    }

    fn set_weights(&mut self, weights: &Weights, not_before: u64) -> Result<u64, ChainTrouble> {
        let mut planet = self.0.borrow_mut();
        if planet.is_away() {
            return Err(ChainTrouble::Away("no answer".to_owned()));
        }
        if let Some(refuses) = &planet.refuses {
            return Err(refuses.clone());
        }
        if let Some((block, _)) = planet.set.last().filter(|(block, _)| *block >= not_before) {
            return Ok(*block);
        }
        // Final a little after what was final before.
        let block = planet.head() + 3;
        planet.set.push((block, weights.clone()));
        Ok(block)
    }

    fn commit_seal(&mut self, day: &Day, manifest: Digest) -> Result<u64, ChainTrouble> {
        let mut planet = self.0.borrow_mut();
        if planet.is_away() {
            return Err(ChainTrouble::Away("no answer".to_owned()));
        }
        if let Some(refuses) = &planet.refuses_seal {
            return Err(refuses.clone());
        }
        let seal = (day.clone(), manifest);
        if planet.seals.last() != Some(&seal) {
            planet.seals.push(seal);
        }
        Ok(planet.head() + 3)
    }
}

impl Checkpoints for Hand {
    fn prepare(&mut self, source: &str) -> Option<Result<Digest, CheckpointTrouble>> {
        let planet = self.0.borrow();
        let is_of = |list: &[String]| list.iter().any(|other| other == source);
        if is_of(&planet.slow) {
            return None;
        }
        Some(if is_of(&planet.invalid) {
            Err(CheckpointTrouble::Invalid("no model_index.json".to_owned()))
        } else if is_of(&planet.gone) {
            Err(CheckpointTrouble::Gone("the hub answered 404".to_owned()))
        } else if is_of(&planet.unreachable) {
            Err(CheckpointTrouble::Away("the hub answered 503".to_owned()))
        } else {
            Ok(digest_of(source))
        })
    }

    fn copies(&mut self, entries: &[(String, u64, String)], _: &str) -> Result<Compared, String> {
        let planet = self.0.borrow();
        // The work behind a source: whoever has the same repeats whoever came earlier.
        let work = |source: &String| planet.near.get(source).unwrap_or(source).clone();
        let mut found = Vec::new();
        for (later, (copy, _, source)) in entries.iter().enumerate() {
            let originals = entries[..later].iter().filter(|(_, _, other)| work(other) == work(source));
            found.extend(originals.map(|(original, ..)| CopyOf {
                copy: copy.clone(),
                original: original.clone(),
                how: "nearly the same weights".to_owned(),
            }));
        }
        let by_engine = entries.iter().filter(|(_, _, source)| planet.opaque.contains(source));
        let by_engine = by_engine.map(|(hotkey, ..)| hotkey.clone()).collect();
        Ok(Compared { copies: found, by_engine })
    }
}

impl Bench for Hand {
    fn advance(&mut self, job: &Job) -> Result<BenchState, BenchTrouble> {
        let mut planet = self.0.borrow_mut();
        if let Some(trouble) = &planet.bench_trouble {
            return Err(trouble.clone());
        }
        let now = planet.now;
        let since = *planet.started.get_or_insert(now);
        let total = job.contest.matches("[[candidate]]").count() as u64;
        let done = ((now - since) / planet.bench_s) as u64;
        let out_of_time = now + planet.clock_off >= job.deadline;
        if done < total && !out_of_time {
            let left_s = Some(since + total as i64 * planet.bench_s - now);
            return Ok(BenchState::Running(Measured { done, total, eliminated: 0, left_s }));
        }
        planet.started = None;
        let contest = Contest::parse(&job.contest).map_err(|e| BenchTrouble::Hopeless(e.to_string()))?;
        finish(&planet, &contest, &job.folder, &job.entropy);
        Ok(BenchState::Finished)
    }

    fn stop(&mut self) {}
}

impl Pages for Hand {
    fn write(&mut self, folder: &Path) -> Result<(), String> {
        assert!(folder.join("day.json").is_file() && folder.join("weights.json").is_file());
        std::fs::write(folder.join("report.html"), "the page").map_err(|error| error.to_string())
    }
}

/// Writes the ranking that this planet's truth and noise give.
fn finish(planet: &Planet, contest: &Contest, folder: &Path, entropy: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let of = |name: &str| planet.miners.get(name).map_or(1.0, |miner| miner.speedup);
    let truth: Vec<_> = contest.candidates.iter().map(|c| (c.name.clone(), of(&c.name))).collect();
    let estimates = estimates(&truth, planet.noise, entropy, planet.unfit);
    let ranking = rank(&estimates, contest, &environment());
    std::fs::write(folder.join("ranking.json"), ranking.to_json()).unwrap();
}

pub(crate) fn environment() -> Environment {
    Environment {
        format: Environment::expected_format(),
        edgemaxx: String::new(),
        os: String::new(),
        cpu: String::new(),
        cpus: 1,
        memory_bytes: 0,
        gpus: Vec::new(),
        card: None,
        build: None,
        sandbox: Confinement::Bubblewrap { note: None },
        bounds: Some(Bounds {
            rest: Rest::CgroupV2,
            card_rest: None,
            memory: true,
            calls: true,
            own_user: true,
            cores: vec![1],
            harness_cores: vec![0],
        }),
        protocol_ns: None,
        peaks: None,
        work: std::collections::BTreeMap::new(),
        pins: Vec::new(),
        unfit: Vec::new(),
        lanes: Vec::new(),
    }
}

/// A number from −1 to 1 that depends on its arguments alone (SplitMix64).
pub(crate) fn chance(seed: u64, name: &str) -> f64 {
    let digest = Digest::of_fields([&seed.to_le_bytes()[..], name.as_bytes()]);
    let bytes: [u8; 8] = std::array::from_fn(|index| digest.as_bytes()[index]);
    (u64::from_le_bytes(bytes) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// What a validator with this noise would estimate; intervals of ± four standard deviations, so that
/// they hold for all candidates together.
pub(crate) fn estimates(
    truth: &[(String, f64)],
    (sd, seed): (f64, u64),
    entropy: &str,
    unfit: bool,
) -> Estimates {
    let half = (4.0 * sd).max(1e-4);
    let estimate = |point: f64| Estimate {
        point,
        lower: Some(point * (-half).exp()),
        upper: Some(point * half.exp()),
        method: "simulated".to_owned(),
        n: 8,
        level: 0.95,
    };
    let candidate = |(name, truth): &(String, f64)| {
        // Three of them together: near enough to a normal deviate, within ±3 standard deviations.
        let noise: f64 = (0..3).map(|k| chance(seed, &format!("{k} {entropy} {name}"))).sum();
        let failed = *truth == 0.0;
        let speedup = estimate(truth.max(0.5) * (sd * noise).exp());
        let claim = match (speedup.lower, speedup.upper) {
            (Some(lower), _) if lower > 1.0 => Claim::Faster,
            (_, Some(upper)) if upper < 1.0 => Claim::Slower,
            _ => Claim::Tie,
        };
        let scatter: Vec<f64> = (0..8).map(|round| chance(seed, &format!("{round} of {name}"))).collect();
        let middle = scatter.iter().sum::<f64>() / 8.0;
        let by_session = scatter.iter().zip(0..).map(|(value, round)| SessionEvidence {
            round,
            log_ratio: -speedup.point.ln() + (5.0 * sd).max(1e-4) * (value - middle),
            similarity: None,
        });
        CandidateEstimates {
            name: name.clone(),
            role: Role::Candidate,
            sessions: 8,
            by_session: by_session.collect(),
            pairs: 160,
            counted: Counted::all(160),
            pairs_throttled: 0,
            sessions_unsteady: 0,
            sessions_drifting: 0,
            stopped: None,
            failures: Vec::new(),
            speedup_simultaneous: (!failed).then(|| speedup.clone()),
            speedup: (!failed).then_some(speedup),
            speedup_unthrottled: None,
            claim,
            p_value: None,
            p_adjusted: None,
            lanes_p_value: None,
            rank: None,
            tier: None,
            p_best: None,
            latency_ms: None,
            baseline_latency_ms: None,
            throughput_per_s: None,
            outliers: Outliers::default(),
            load_ms: None,
            baseline_load_ms: None,
            peak_rss_bytes: None,
            baseline_peak_rss_bytes: None,
            energy_j: None,
            baseline_energy_j: None,
            peak_vram_bytes: None,
            baseline_peak_vram_bytes: None,
            gates: Vec::new(),
            similarity: None,
            quality: Vec::new(),
            worst_requests: Vec::new(),
            honesty: Vec::new(),
            energy_unit_j: None,
            baseline_energy_unit_j: None,
            energy_unit_ratio: None,
            limits: Vec::new(),
            floor: None,
            streaming: None,
            unscored: None,
            kinds: Vec::new(),
        }
    };
    Estimates {
        format: Estimates::expected_format(),
        plan: Digest::of("plan"),
        samples: Digest::of("samples"),
        quality: Digest::of("quality"),
        telemetry: None,
        extent: Extent::Full,
        level: 0.95,
        looks: None,
        baseline: "baseline".to_owned(),
        candidates: truth.iter().map(candidate).collect(),
        certificate: Certificate {
            control: "control".to_owned(),
            verdict: if unfit { CertificateVerdict::Unfit } else { CertificateVerdict::Fit },
            reason: "the control is a tie".to_owned(),
            speedup: None,
            noise_floor: Some(half),
            minimum_detectable_effect: Some(2.0 * half),
            identical_answers: 0,
            pairs: 0,
        },
        lanes: Vec::new(),
        warnings: Vec::new(),
    }
}

/// Settings for `folder`.
pub(crate) fn settings(folder: &Path) -> Settings {
    Settings {
        netuid: 39,
        contest: CONTEST.to_owned(),
        days: folder.join("days"),
        publish: None,
        policy: Policy::default(),
        role: driver::Role::Alone,
    }
}

pub(crate) fn key() -> Keypair {
    Keypair::from_seed(&[7; 32])
}

/// Five copies of what stands for the whole world; see [`world`].
pub(crate) fn hands<T: Clone>(hand: &T) -> [T; 5] {
    std::array::from_fn(|_| hand.clone())
}

/// A world of which everything but the signer is one thing.
pub(crate) fn world<'a, T: Clock + Chain + Checkpoints + Bench + Pages>(
    hands: &'a mut [T; 5],
    signer: &'a Keypair,
) -> World<'a> {
    let [clock, chain, checkpoints, bench, pages] = hands;
    World { clock, chain, checkpoints, bench, pages, signer }
}

/// Runs a validator on `planet` until `until` says so; it starts from whatever `store` remembers.
pub(crate) fn drive(
    planet: &Rc<RefCell<Planet>>,
    settings: &Settings,
    store: Store,
    mut until: impl FnMut(&Driver<'_>) -> bool,
) -> Result<(), DriverError> {
    let (mut hands, key) = (hands(&Hand(Rc::clone(planet))), key());
    let mut driver = Driver::begin(settings.clone(), store, world(&mut hands, &key), false)?;
    while !until(&driver) {
        let wake = driver.tick()?;
        let mut planet = planet.borrow_mut();
        let now = planet.now + planet.clock_off;
        planet.now += (wake - now).max(0);
    }
    Ok(())
}
