//! A validator with two contests: each has days of its own, one at a time is measured, and one vector of weights goes on
//! chain, in which each decides its share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use edgemaxx_contract::day::{BlockRef, DayRecord};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::joint::{Joint, Share};
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::weights::{Origin, Weights};
use edgemaxx_seal::Keypair;
use edgemaxx_seal::manifest;
use edgemaxx_validator::calendar::noon;
use edgemaxx_validator::driver::{Driver, DriverError, Role, Settings, World};
use edgemaxx_validator::group::{Group, Idle};
use edgemaxx_validator::policy::Policy;
use edgemaxx_validator::state::{OnChain, Phase};
use edgemaxx_validator::store::Store;
use edgemaxx_validator::world::{
    Bench, BenchState, BenchTrouble, Chain, ChainTrouble, CheckpointTrouble, Checkpoints, Clock, Compared,
    Head, Hindrance, Job, Pages, Snapshot,
};

use crate::common::{BLOCK_S, CONTEST, Hand, Planet, hands, key, world};

const FIRST: &str = "2026-03-06";
const SHARES: [(&str, f64); 2] = [("a", 0.7), ("b", 0.3)];

/// What is seen of the planet by one contest: miners whose hotkeys begin with its name are its own.
#[derive(Clone)]
struct Of {
    hand: Hand,
    contest: &'static str,
    /// Which contest was measured when, in order.
    measured: Rc<RefCell<Vec<(i64, &'static str)>>>,
}

impl Clock for Of {
    fn now(&self) -> i64 {
        self.hand.now()
    }

    fn sleep(&mut self, seconds: u64) -> bool {
        self.hand.sleep(seconds)
    }
}

impl Chain for Of {
    fn head(&mut self) -> Result<Head, ChainTrouble> {
        self.hand.head()
    }

    fn block_at(&mut self, unix_s: i64) -> Result<Option<BlockRef>, ChainTrouble> {
        self.hand.block_at(unix_s)
    }

    fn snapshot(&mut self, block: &BlockRef) -> Result<Snapshot, ChainTrouble> {
        let mut snapshot = self.hand.snapshot(block)?;
        for commitment in &mut snapshot.commitments {
            let of = commitment.hotkey[..1].to_owned();
            commitment.other_contest = (of != self.contest).then_some(of);
        }
        Ok(snapshot)
    }

    fn places(&mut self, number: u64, hotkeys: &[String]) -> Result<BTreeMap<String, u32>, ChainTrouble> {
        self.hand.places(number, hotkeys)
    }

    fn sealed(&mut self, number: u64, hotkey: &str) -> Result<Vec<Digest>, ChainTrouble> {
        self.hand.sealed(number, hotkey)
    }

    fn hindrances(&mut self) -> Result<Vec<Hindrance>, ChainTrouble> {
        self.hand.hindrances()
    }

    fn set_weights(&mut self, weights: &Weights, not_before: u64) -> Result<u64, ChainTrouble> {
        assert_eq!(self.contest, "", "a contest sets nothing itself");
        self.hand.set_weights(weights, not_before)
    }

    fn commit_seal(&mut self, day: &Day, manifest: Digest) -> Result<u64, ChainTrouble> {
        assert_eq!(self.contest, "", "a contest commits nothing itself");
        self.hand.commit_seal(day, manifest)
    }
}

impl Checkpoints for Of {
    fn prepare(&mut self, source: &str) -> Option<Result<Digest, CheckpointTrouble>> {
        self.hand.prepare(source)
    }

    fn copies(&mut self, entries: &[(String, u64, String)], entropy: &str) -> Result<Compared, String> {
        self.hand.copies(entries, entropy)
    }
}

impl Bench for Of {
    fn advance(&mut self, job: &Job) -> Result<BenchState, BenchTrouble> {
        let now = self.hand.now();
        self.measured.borrow_mut().push((now, self.contest));
        self.hand.advance(job)
    }

    fn stop(&mut self) {
        self.hand.stop();
    }
}

impl Pages for Of {
    fn write(&mut self, folder: &Path) -> Result<(), String> {
        match self.contest {
            "" => {
                assert!(folder.join("joint.json").is_file() && folder.join("weights.json").is_file());
                std::fs::write(folder.join("report.html"), "all").map_err(|error| error.to_string())
            }
            _ => self.hand.write(folder),
        }
    }
}

/// A planet on which both contests have miners, and a validator's data.
struct Ground {
    planet: Rc<RefCell<Planet>>,
    folder: tempfile::TempDir,
    measured: Rc<RefCell<Vec<(i64, &'static str)>>>,
    shares: Vec<Share>,
}

impl Ground {
    fn new() -> Self {
        let planet = Planet::at(noon_of(FIRST) - 3600);
        for (hotkey, speedup) in [("a1", 2.0), ("a2", 1.5), ("b1", 3.0), ("b2", 1.2)] {
            planet.borrow_mut().join(hotkey, &format!("hf:{hotkey}/m@1"), speedup);
        }
        let shares = SHARES.map(|(contest, share)| Share { contest: contest.to_owned(), share }).to_vec();
        Self { planet, folder: tempfile::tempdir().unwrap(), measured: Rc::default(), shares }
    }

    fn of(&self, contest: &'static str) -> Of {
        let (hand, measured) = (Hand(Rc::clone(&self.planet)), Rc::clone(&self.measured));
        Of { hand, contest, measured }
    }

    fn settings(&self, contest: &str, role: Role) -> Settings {
        let data = self.folder.path().join(contest);
        Settings {
            netuid: 39,
            contest: CONTEST.replace("\"sim\"", &format!("{contest:?}")),
            days: data.join("days"),
            publish: Some(self.folder.path().join("site").join(contest)),
            policy: Policy { look_s: 60, ..Policy::default() },
            role,
        }
    }

    /// Runs the validator until `until` says so; after each tick it is killed, if `killed`, and begins anew.
    fn run(&self, killed: bool, mut until: impl FnMut(&Group<'_>) -> bool) {
        for _ in 0..200_000 {
            let key = key();
            let mut parts: Vec<[Of; 5]> =
                SHARES.iter().map(|(contest, _)| hands(&self.of(contest))).collect();
            let mut own = hands(&self.of(""));
            let mut group = self.group(&mut parts, &mut own, &key, &self.shares).unwrap();
            loop {
                let wake = group.tick().unwrap();
                if until(&group) {
                    return;
                }
                let mut planet = self.planet.borrow_mut();
                planet.now += (wake - planet.now).max(0);
                drop(planet);
                if killed {
                    break;
                }
            }
        }
        panic!("it does not end");
    }

    fn group<'a>(
        &self,
        parts: &'a mut [[Of; 5]],
        own: &'a mut [Of; 5],
        key: &'a Keypair,
        shares: &[Share],
    ) -> Result<Group<'a>, DriverError> {
        let (mut drivers, mut until) = (Vec::new(), 0.0);
        for (hands, (contest, share)) in parts.iter_mut().zip(SHARES) {
            until += share;
            let settings = self.settings(contest, Role::Part { share, until });
            let store = Store::open(&self.folder.path().join(contest))?;
            drivers.push((contest.to_owned(), Driver::begin(settings, store, world(hands, key), false)?));
        }
        let settings = self.settings("", Role::Joint(shares.to_vec()));
        let [clock, chain, _, _, pages] = own;
        let (checkpoints, bench) = (Box::leak(Box::new(Idle)), Box::leak(Box::new(Idle)));
        let world = World { clock, chain, checkpoints, bench, pages, signer: key };
        let joint = Driver::begin(settings, Store::open(self.folder.path())?, world, false)?;
        Ok(Group::of(joint, drivers))
    }

    fn until_held(&self, day: &str, killed: bool) {
        let held = |group: &Group<'_>| {
            let state = group.head().state();
            let sealed =
                state.seal_on_chain.is_some() || matches!(state.on_chain, Some(OnChain::NotSet { .. }));
            state.day.to_string() == day && state.phase == Phase::Holding && sealed
        };
        self.run(killed, held);
    }

    fn weights(&self, contest: &str, day: &str) -> Weights {
        let path = self.folder.path().join(contest).join("days").join(day).join("weights.json");
        Weights::from_json(&std::fs::read_to_string(path).unwrap()).unwrap()
    }
}

fn noon_of(day: &str) -> i64 {
    noon(&day.parse().unwrap()).unwrap()
}

fn rounded(shares: &BTreeMap<String, f64>) -> Vec<(&str, f64)> {
    shares.iter().map(|(hotkey, share)| (hotkey.as_str(), (share * 1e6).round() / 1e6)).collect()
}

#[test]
fn two_contests_have_days_of_their_own_and_one_vector_of_weights() {
    for killed in [false, true] {
        let ground = Ground::new();
        ground.until_held(FIRST, killed);
        let planet = ground.planet.borrow();
        assert_eq!(planet.set.len(), 1, "one vector, set once");
        let shares = planet.shares();
        assert_eq!(rounded(&shares), [("a1", 0.56), ("a2", 0.14), ("b1", 0.24), ("b2", 0.06)]);
        // Each contest's own day decides as if it were alone, and says its share.
        for (contest, share) in SHARES {
            let weights = ground.weights(contest, FIRST);
            assert_eq!((weights.origin, weights.share), (Origin::Earned, Some(share)));
            let sum: f64 = weights.entries.iter().map(|entry| entry.share).sum();
            assert!((sum - 1.0).abs() < 1e-9 && weights.entries.len() == 2);
            let folder = ground.folder.path().join(contest).join("days").join(FIRST);
            let record =
                DayRecord::from_json(&std::fs::read_to_string(folder.join("day.json")).unwrap()).unwrap();
            assert_eq!(record.entries().count(), 2, "the others' entries are for another contest");
            assert_eq!(record.submissions.len(), 4, "and stand there");
        }
        // The day of both together names theirs, is sealed, and its digest is the one on chain.
        let folder = ground.folder.path().join("days").join(FIRST);
        let joint = Joint::from_json(&std::fs::read_to_string(folder.join("joint.json")).unwrap()).unwrap();
        for part in &joint.contests {
            let own = ground.folder.path().join(&part.contest).join("days").join(FIRST);
            assert_eq!(part.manifest, Some(manifest::read(&own).unwrap().1));
        }
        let (sealed, digest) = manifest::read(&folder).unwrap();
        manifest::check_files(&folder, &sealed).unwrap();
        assert_eq!(planet.seals, [(FIRST.parse().unwrap(), digest)]);
        for published in ["a", "b", ""] {
            let folder = ground.folder.path().join("site").join(published).join(FIRST);
            assert!(folder.join("manifest.json").is_file(), "{}", folder.display());
        }
        // One at a time is measured, the first of the list first.
        let order: Vec<&str> = ground.measured.borrow().iter().map(|(_, contest)| *contest).collect();
        let mut runs = order.clone();
        runs.dedup();
        assert_eq!(runs, ["a", "b"]);
    }
}

#[test]
fn a_contest_without_a_winner_follows_its_own_rule_and_nobody_gets_its_share() {
    let ground = Ground::new();
    ground.until_held(FIRST, false);
    // Nobody is faster than the baseline in one of them: who had weights lost them, and its share goes to its own fallback.
    {
        let mut planet = ground.planet.borrow_mut();
        for hotkey in ["b1", "b2"] {
            planet.miners.get_mut(hotkey).unwrap().speedup = 1.0;
        }
    }
    ground.until_held("2026-03-07", false);
    assert_eq!(ground.weights("b", "2026-03-07").origin, Origin::Fallback);
    let all = ground.weights("", "2026-03-07");
    assert!(
        all.reason.contains("b (30.0%, fallback)") && all.reason.contains("a (70.0%, earned)"),
        "{all:?}"
    );
    let shares = ground.planet.borrow().shares();
    assert_eq!(rounded(&shares), [("a1", 0.56), ("a2", 0.14), ("owner", 0.3)]);
    // All that is known of it is seen: the contests' alarms are the validator's.
    ground.run(false, |group| {
        let status = group.status();
        assert_eq!(status.contests.len(), 2);
        assert!(
            status.alarms.iter().any(|alarm| alarm.starts_with("b: no weights were earned")),
            "{status:?}"
        );
        let metrics = status.metrics(0);
        assert!(metrics.contains("edgemaxx_candidates{contest=\"a\"} 2\n"), "{metrics}");
        assert_eq!(metrics.matches("# TYPE edgemaxx_phase gauge").count(), 1);
        true
    });
}

#[test]
fn weights_of_all_contests_stay_fresh_while_the_next_day_is_measured() {
    let ground = Ground::new();
    ground.until_held(FIRST, false);
    ground.planet.borrow_mut().bench_s = 5 * 3600;
    ground.until_held("2026-03-07", false);
    let planet = ground.planet.borrow();
    assert!(planet.set.len() > 2, "{:?}", planet.set.iter().map(|(block, _)| block).collect::<Vec<_>>());
    let blocks: Vec<u64> = planet.set.iter().map(|(block, _)| *block).collect();
    let most = Policy::default().alarm_blocks;
    assert!(blocks.windows(2).all(|pair| pair[1] - pair[0] < most), "{blocks:?} of {BLOCK_S} s");
    let hotkeys = |weights: &Weights| weights.entries.iter().map(|e| e.hotkey.clone()).collect::<Vec<_>>();
    for (_, weights) in &planet.set {
        assert_eq!(hotkeys(weights), ["a1", "a2", "b1", "b2"], "never one contest's alone");
    }
    // The first of the list leaves time to the second.
    let order: Vec<&str> = ground.measured.borrow().iter().map(|(_, contest)| *contest).collect();
    let mut runs = order;
    runs.dedup();
    assert_eq!(runs, ["a", "b", "a", "b"]);
}

#[test]
fn a_bench_that_fails_for_one_contest_is_left_to_the_other() {
    let ground = Ground::new();
    ground.planet.borrow_mut().bench_trouble = Some(BenchTrouble::Unfit("no room".to_owned()));
    let mut seen = 0;
    ground.run(false, |group| {
        let parts = group.status().contests;
        seen += u32::from(parts.values().all(|part| part.trouble.is_some()));
        if seen > 3 {
            ground.planet.borrow_mut().bench_trouble = None;
        }
        group.head().state().phase == Phase::Holding && group.head().state().day.to_string() == FIRST
    });
    assert_eq!(rounded(&ground.planet.borrow().shares()).len(), 4);
}

#[test]
fn a_day_under_way_keeps_its_contests_and_shares() {
    let ground = Ground::new();
    let key = key();
    // A day of one contest is under way with this data.
    let mut one = hands(&ground.of("a"));
    let settings = ground.settings("", Role::Alone);
    let settings = Settings { contest: CONTEST.to_owned(), ..settings };
    drop(
        Driver::begin(settings, Store::open(ground.folder.path()).unwrap(), world(&mut one, &key), false)
            .unwrap(),
    );
    let mut parts: Vec<[Of; 5]> = SHARES.iter().map(|(contest, _)| hands(&ground.of(contest))).collect();
    let mut own = hands(&ground.of(""));
    let refused = ground.group(&mut parts, &mut own, &key, &ground.shares);
    assert!(refused.is_err_and(|error| error.to_string().contains("a day is under way")));
    // Nor do shares change while it is, and they may when it is over.
    let ground = Ground::new();
    ground.run(false, |group| group.head().state().phase == Phase::Collecting);
    let others =
        [("a", 0.5), ("b", 0.5)].map(|(contest, share)| Share { contest: contest.to_owned(), share });
    let mut begin = |shares: &[Share]| ground.group(&mut parts, &mut own, &key, shares).map(drop);
    assert!(begin(&others).is_err_and(|error| error.to_string().contains("a day is under way")));
    begin(&ground.shares).unwrap();
    ground.until_held(FIRST, false);
    begin(&others).unwrap();
}
