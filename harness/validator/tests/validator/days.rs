//! Days on which everything goes wrong: each ends with weights, or says why not.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use crate::common::{Planet, drive, settings};
use edgemaxx_contract::day::{BY_ENGINE, Fate};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::weights::{Origin, Weights};
use edgemaxx_seal::manifest;
use edgemaxx_validator::calendar::noon;
use edgemaxx_validator::driver::Driver;
use edgemaxx_validator::group::Group;
use edgemaxx_validator::policy::Policy;
use edgemaxx_validator::state::{OnChain, Phase, State, Trouble};
use edgemaxx_validator::status::{Contact, Seen, Status};
use edgemaxx_validator::store::{Store, StoreError};
use edgemaxx_validator::world::{BenchTrouble, ChainTrouble};

const FIRST: &str = "2026-03-06";

fn noon_of(day: &str) -> i64 {
    noon(&day.parse().unwrap()).unwrap()
}

/// A planet an hour before the first day's noon, with three miners.
fn planet() -> Rc<RefCell<Planet>> {
    let planet = Planet::at(noon_of(FIRST) - 3600);
    planet.borrow_mut().join("a", "hf:a/a@1", 2.0);
    planet.borrow_mut().now += 60;
    planet.borrow_mut().join("b", "hf:b/b@1", 1.5);
    planet.borrow_mut().now += 60;
    planet.borrow_mut().join("c", "hf:c/c@1", 0.9);
    planet
}

/// The state in which `day` holds.
fn until_held(planet: &Rc<RefCell<Planet>>, folder: &Path, day: &str) -> State {
    let mut held = None;
    drive(planet, &settings(folder), Store::open(folder).unwrap(), |driver| {
        let state = driver.state();
        assert!(state.day.to_string().as_str() <= day, "{day} was passed over: {state:?}");
        if state.day.to_string() == day && state.on_chain.is_some() {
            held = Some(state.clone());
        }
        held.is_some()
    })
    .unwrap();
    held.unwrap()
}

fn weights(folder: &Path, day: &str) -> Weights {
    let path = folder.join("days").join(day);
    let (manifest, _) = manifest::read(&path).unwrap();
    manifest::check_signature(&manifest).unwrap().expect("signed");
    manifest::check_files(&path, &manifest).unwrap();
    Weights::from_json(&std::fs::read_to_string(path.join("weights.json")).unwrap()).unwrap()
}

/// The day that a validator begins which is told to begin at once, so many seconds before the noon of `FIRST`.
fn begun_by_hand(before: i64) -> String {
    let folder = tempfile::tempdir().unwrap();
    let hand = crate::common::Hand(Planet::at(noon_of(FIRST) - before));
    let (mut hands, key) = (crate::common::hands(&hand), crate::common::key());
    let world = crate::common::world(&mut hands, &key);
    let store = Store::open(folder.path()).unwrap();
    let driver = Driver::begin(settings(folder.path()), store, world, true).unwrap();
    assert_eq!(driver.state().phase, Phase::Collecting);
    driver.state().day.to_string()
}

#[test]
fn a_day_begun_by_hand_has_time_to_be_measured() {
    assert_eq!(begun_by_hand(3 * 3600), "2026-03-05");
    assert_eq!(begun_by_hand(2 * 3600), FIRST, "no session of the day before may begin any more");
    assert_eq!(begun_by_hand(60), FIRST);
}

/// Drives until the seal of `FIRST` was dealt with, for better or worse.
fn until_sealed(planet: &Rc<RefCell<Planet>>, folder: &Path) -> (State, Status) {
    let mut sealed = None;
    drive(planet, &settings(folder), Store::open(folder).unwrap(), |driver| {
        if driver.state().seal_on_chain.is_some() {
            sealed = Some((driver.state().clone(), driver.status()));
        }
        sealed.is_some()
    })
    .unwrap();
    sealed.unwrap()
}

#[test]
fn the_seal_is_committed_beside_the_weights_and_a_refusal_is_a_note() {
    let (planet, folder) = (planet(), tempfile::tempdir().unwrap());
    let (state, _) = until_sealed(&planet, folder.path());
    let (_, digest) = manifest::read(&folder.path().join("days").join(FIRST)).unwrap();
    assert_eq!(planet.borrow().seals, [(FIRST.parse().unwrap(), digest)]);
    assert!(matches!(state.seal_on_chain, Some(OnChain::Set { .. })), "{state:?}");

    let (planet, folder) = (self::planet(), tempfile::tempdir().unwrap());
    planet.borrow_mut().refuses_seal = Some(ChainTrouble::Refused("too soon".to_owned()));
    let (state, status) = until_sealed(&planet, folder.path());
    assert!(matches!(state.on_chain, Some(OnChain::Set { .. })));
    assert!(matches!(&state.seal_on_chain, Some(OnChain::NotSet { why }) if why.contains("too soon")));
    assert_eq!((status.trouble, status.alarms), (None, Vec::new()));
    let journal = Store::look(folder.path()).unwrap().journal(1).unwrap();
    assert!(journal[0].what.contains("not committed: the chain refuses: too soon"), "{journal:?}");
}

/// A trial's second day need not wait for its noon; when that comes, the day was held already.
#[test]
fn a_day_begun_in_advance_is_not_run_again_at_its_noon() {
    let (planet, folder) = (planet(), tempfile::tempdir().unwrap());
    until_held(&planet, folder.path(), FIRST);
    let hand = crate::common::Hand(Rc::clone(&planet));
    let (mut hands, key) = (crate::common::hands(&hand), crate::common::key());
    let world = crate::common::world(&mut hands, &key);
    let store = Store::open(folder.path()).unwrap();
    let mut driver = Driver::begin(settings(folder.path()), store, world, false).unwrap();
    driver.next_now().unwrap();
    assert_eq!(
        (driver.state().day.to_string().as_str(), driver.state().phase),
        ("2026-03-07", Phase::Collecting)
    );
    driver.next_now().unwrap();
    assert_eq!(driver.state().day.to_string(), "2026-03-07", "a day under way goes first");
    let mut group = Group::alone(driver);
    group.run(true, |_| Vec::new()).unwrap();
    assert!(planet.borrow().now < noon_of("2026-03-07"), "in advance");
    let record = group.head().state().record.clone().unwrap();
    assert!(record.closed_unix_s < noon_of("2026-03-07"));
    drop(group);
    planet.borrow_mut().now = noon_of("2026-03-07") + 3600;
    assert_eq!(until_held(&planet, folder.path(), "2026-03-07").record, Some(record));
    until_held(&planet, folder.path(), "2026-03-08");
}

#[test]
fn a_good_day_pays_by_rank_and_the_next_one_follows_it() {
    let (planet, folder) = (planet(), tempfile::tempdir().unwrap());
    until_held(&planet, folder.path(), FIRST);
    let first = weights(folder.path(), FIRST);
    assert_eq!((first.origin, first.winner.as_deref()), (Origin::Earned, Some("a")));
    let shares = planet.borrow().shares();
    assert!((shares["a"] - 0.8).abs() < 1e-9 && (shares["b"] - 0.2).abs() < 1e-9, "{shares:?}");
    assert!(!shares.contains_key("c"), "slower than the baseline");
    // A copy of the winner, one that is better, and one that is nearly the winner's.
    let later = noon_of(FIRST) + 4 * 3600;
    planet.borrow_mut().now = later;
    planet.borrow_mut().join("d", "hf:a/a@1", 2.0);
    planet.borrow_mut().join("e", "hf:e/e@1", 3.0);
    planet.borrow_mut().join("f", "hf:a/a@1-fork", 2.0);
    planet.borrow_mut().join("g", "hf:g/g@1", 2.0);
    planet.borrow_mut().near.insert("hf:g/g@1".to_owned(), "hf:a/a@1".to_owned());
    planet.borrow_mut().opaque.push("hf:e/e@1".to_owned());
    let state = until_held(&planet, folder.path(), "2026-03-07");
    let second = weights(folder.path(), "2026-03-07");
    assert_eq!(second.winner.as_deref(), Some("e"));
    for submission in &state.record.unwrap().submissions {
        let copied = matches!(&submission.fate, Fate::Copy { of, .. } if of == "a");
        assert_eq!(copied, ["d", "f"].contains(&submission.hotkey.as_str()), "{submission:?}");
        // Weights alike are measured: they evict only what stands after one that stands.
        let repeats = matches!(&submission.fate, Fate::Candidate { repeats: Some(r), .. } if r.of == ["a"]);
        assert_eq!(repeats, submission.hotkey == "g", "{submission:?}");
        // Whose weights nobody can compare is marked so.
        let marked = matches!(&submission.fate, Fate::Candidate { by_engine: true, .. });
        assert_eq!(marked, submission.hotkey == "e", "{submission:?}");
    }
    let ranking = std::fs::read_to_string(folder.path().join("days/2026-03-07/ranking.json")).unwrap();
    assert_eq!(ranking.matches(BY_ENGINE).count(), 1, "{ranking}");
    assert!(!planet.borrow().shares().contains_key("g"), "the group has one place");
    let days = folder.path().join("days");
    let (manifest, _) = manifest::read(&days.join("2026-03-07")).unwrap();
    manifest::check_previous(&manifest, &days.join(FIRST)).unwrap();
    let decisions: Vec<_> = planet.borrow().set.iter().map(|(_, weights)| weights.day.to_string()).collect();
    assert_eq!(decisions.iter().filter(|day| *day == "2026-03-07").count(), 1, "{decisions:?}");
}

#[test]
fn yesterdays_winner_stays_until_somebody_is_proven_better() {
    let (planet, folder) = (planet(), tempfile::tempdir().unwrap());
    planet.borrow_mut().noise = (0.01, 3);
    until_held(&planet, folder.path(), FIRST);
    planet.borrow_mut().now = noon_of(FIRST) + 7200;
    // Truly faster, by less than what can be told.
    planet.borrow_mut().join("e", "hf:e/e@1", 2.02);
    until_held(&planet, folder.path(), "2026-03-07");
    let kept = weights(folder.path(), "2026-03-07");
    assert_eq!(kept.winner.as_deref(), Some("a"), "{}", kept.reason);
    assert!(kept.reason.contains("stays the winner"));
    planet.borrow_mut().now = noon_of("2026-03-07") + 7200;
    planet.borrow_mut().join("e", "hf:e/e@2", 2.6);
    until_held(&planet, folder.path(), "2026-03-08");
    assert_eq!(weights(folder.path(), "2026-03-08").winner.as_deref(), Some("e"));
}

/// What goes wrong on the second day, and what its weights are then.
#[test]
fn every_bad_day_has_its_policy() {
    type Harm = fn(&mut Planet);
    let second = noon_of("2026-03-07");
    let cases: Vec<(&str, Harm, Origin, &str)> = vec![
        (
            "nobody submits",
            |p| p.miners.values_mut().for_each(|m| m.block = u64::MAX),
            Origin::Kept,
            "nobody submitted",
        ),
        (
            "all are invalid",
            |p| p.invalid = p.miners.values().map(|m| m.source.clone()).collect(),
            Origin::Fallback,
            "none of 3 submissions",
        ),
        ("unfit", |p| p.unfit = true, Origin::Kept, "unfit"),
        (
            "the chain is away for hours",
            |p| p.away = vec![(p.now, p.now + 5 * 3600)],
            Origin::Earned,
            "a stays",
        ),
        (
            "the chain is away all day",
            |p| p.away = vec![(p.now, p.now + 9 * 3600)],
            Origin::Kept,
            "cannot be reached",
        ),
        ("all left", |p| p.miners.clear(), Origin::Fallback, "fallback owner"),
        ("one left", |p| drop(p.miners.remove("a")), Origin::Earned, "b wins"),
        (
            "nothing decodes",
            |p| {
                p.undecoded = p.miners.keys().cloned().collect();
                p.miners.values_mut().for_each(|m| m.block = u64::MAX)
            },
            Origin::Kept,
            "none of 3 commitments",
        ),
        (
            "the bench cannot",
            |p| p.bench_trouble = Some(BenchTrouble::Hopeless("no GPU".to_owned())),
            Origin::Kept,
            "no GPU",
        ),
        (
            "the bench is unfit all day",
            |p| p.bench_trouble = Some(BenchTrouble::Unfit("the disk is full".to_owned())),
            Origin::Kept,
            "the disk is full",
        ),
        ("the contest takes too long", |p| p.bench_s = 40 * 3600, Origin::Earned, "a stays"),
        ("the clock is an hour fast", |p| p.clock_off = 3600, Origin::Earned, "a stays"),
        ("the clock is an hour slow", |p| p.clock_off = -3600, Origin::Earned, "a stays"),
    ];
    for (name, harm, origin, why) in cases {
        let (planet, folder) = (planet(), tempfile::tempdir().unwrap());
        until_held(&planet, folder.path(), FIRST);
        planet.borrow_mut().now = second - 7200;
        harm(&mut planet.borrow_mut());
        let state = until_held(&planet, folder.path(), "2026-03-07");
        let weights = weights(folder.path(), "2026-03-07");
        assert_eq!(weights.origin, origin, "{name}: {}", weights.reason);
        assert!(weights.reason.contains(why), "{name}: {}", weights.reason);
        assert!(matches!(state.on_chain, Some(OnChain::Set { .. })), "{name}: {:?}", state.on_chain);
        let set = planet.borrow().set.iter().filter(|(_, set)| *set == weights).count();
        assert!(set >= 1, "{name}: the weights are on chain");
        if let Some(block) = state.record.unwrap().block {
            assert!(
                (second..second + 3600).contains(&block.unix_s),
                "{name}: noon's block, whatever the clock says"
            );
        }
    }
}

#[test]
fn who_may_not_set_weights_is_told_and_sets_them_when_he_may() {
    for trouble in [ChainTrouble::Unregistered, ChainTrouble::NoPermit] {
        let (planet, folder) = (planet(), tempfile::tempdir().unwrap());
        planet.borrow_mut().refuses = Some(trouble.clone());
        let store = Store::open(folder.path()).unwrap();
        drive(&planet, &settings(folder.path()), store, |driver| {
            let status = driver.status();
            let stuck = driver.state().trouble.as_ref().is_some_and(|t| t.attempts > 5);
            if stuck {
                assert_eq!(status.phase, Phase::SettingWeights);
                assert!(status.alarms.iter().any(|alarm| alarm.contains(&trouble.to_string())), "{status:?}");
            }
            stuck
        })
        .unwrap();
        planet.borrow_mut().refuses = None;
        assert!(matches!(until_held(&planet, folder.path(), FIRST).on_chain, Some(OnChain::Set { .. })));
        // All day long: the day ends all the same, and says why.
        planet.borrow_mut().now = noon_of("2026-03-07") - 60;
        planet.borrow_mut().refuses = Some(trouble.clone());
        let state = until_held(&planet, folder.path(), "2026-03-07");
        assert_eq!(state.on_chain, Some(OnChain::NotSet { why: trouble.to_string() }));
    }
}

#[test]
fn two_noons_and_missed_ones_make_one_day_each() {
    let (planet, folder) = (planet(), tempfile::tempdir().unwrap());
    until_held(&planet, folder.path(), FIRST);
    // The clock is set back over noon: the same noon comes twice, the same day does not.
    planet.borrow_mut().clock_off = -6 * 3600;
    let store = Store::open(folder.path()).unwrap();
    drive(&planet, &settings(folder.path()), store, |driver| {
        assert_eq!(driver.state().day.to_string(), FIRST);
        driver.status().phase == Phase::Holding && planet.borrow().now > noon_of(FIRST) + 20 * 3600
    })
    .unwrap();
    // Off for three days: the noons that were missed are skipped, the last one is not.
    planet.borrow_mut().clock_off = 0;
    planet.borrow_mut().now = noon_of("2026-03-10") + 600;
    until_held(&planet, folder.path(), "2026-03-10");
    let (manifest, _) = manifest::read(&folder.path().join("days/2026-03-10")).unwrap();
    assert_eq!(manifest.previous.unwrap().day.to_string(), FIRST);
    assert!(!folder.path().join("days/2026-03-08").exists());
    let journal = Store::look(folder.path()).unwrap().journal(100).unwrap();
    assert!(
        journal
            .iter()
            .any(|entry| entry.what.contains("2026-03-07 to the day before 2026-03-10 were missed"))
    );
}

#[test]
fn weights_are_kept_fresh_all_day() {
    let (planet, folder) = (planet(), tempfile::tempdir().unwrap());
    planet.borrow_mut().bench_s = 5 * 3600;
    until_held(&planet, folder.path(), "2026-03-08");
    let policy = Policy::default();
    let blocks: Vec<u64> = planet.borrow().set.iter().map(|(block, _)| *block).collect();
    for pair in blocks.windows(2) {
        assert!(pair[1] - pair[0] <= policy.refresh_blocks + 100, "{blocks:?}");
        assert!(pair[1] - pair[0] >= 100, "not more often than a subnet allows: {blocks:?}");
    }
}

#[test]
fn memory_is_locked_checked_and_rebuilt_from_what_was_published() {
    let (planet, folder) = (planet(), tempfile::tempdir().unwrap());
    let held = until_held(&planet, folder.path(), FIRST);
    let first = Store::open(folder.path()).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Locked { .. })));
    drop(first);
    let path = folder.path().join("validator.db");
    let whole = std::fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();
    let error = Store::open(folder.path()).and_then(|store| store.latest().map(drop)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    std::fs::write(&path, b"not a database, but long enough to be looked at as one").unwrap();
    let error = Store::open(folder.path()).map(drop).unwrap_err();
    assert!(
        matches!(error, StoreError::Damaged { .. }) && error.to_string().contains("move it aside"),
        "{error}"
    );
    // A sealed day is not measured again: its weights are set.
    std::fs::remove_file(&path).unwrap();
    let again = until_held(&planet, folder.path(), FIRST);
    assert_eq!((again.manifest, &again.weights), (held.manifest, &held.weights));
    assert!(matches!(again.on_chain, Some(OnChain::Set { .. })));
    std::fs::remove_file(&path).unwrap();
    // Nothing published is lost: the next day follows the last sealed one, with its winner.
    let state = until_held(&planet, folder.path(), "2026-03-07");
    assert_eq!(state.previous.unwrap().day.to_string(), FIRST);
    assert!(weights(folder.path(), "2026-03-07").reason.contains("a stays the winner"));
}

#[test]
fn who_asks_whether_a_validator_runs_keeps_none_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    std::thread::scope(|scope| {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let looking = folder.path();
        scope.spawn(move || {
            while ended.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                Store::is_in_use(looking);
            }
        });
        for _ in 0..200 {
            drop(Store::open(looking).unwrap());
        }
        drop(end);
    });
    let held = Store::open(folder.path()).unwrap();
    assert!(Store::is_in_use(folder.path()));
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Locked { .. })));
    drop(held);
    assert!(!Store::is_in_use(folder.path()));
}

#[test]
fn a_full_disk_ends_the_program_and_loses_nothing() {
    let (planet, folder) = (planet(), tempfile::tempdir().unwrap());
    for index in 0..200 {
        planet.borrow_mut().join(&format!("m{index}"), &format!("hf:m/m@{index}"), 1.1);
    }
    let store = Store::open(folder.path()).unwrap();
    store.limit_pages(4).unwrap();
    let mut last = None;
    let error = drive(&planet, &settings(folder.path()), store, |driver| {
        last = Some(driver.state().clone());
        false
    })
    .unwrap_err();
    assert!(error.to_string().contains("the disk is full"), "{error}");
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.latest().unwrap(), last, "the memory is what it was before");
    drop(store);
    let state = until_held(&planet, folder.path(), FIRST);
    assert!(matches!(state.on_chain, Some(OnChain::Set { .. })));
}

#[test]
fn a_status_says_what_somebody_should_look_at() {
    let planet = planet();
    let folder = tempfile::tempdir().unwrap();
    let state = until_held(&planet, folder.path(), FIRST);
    let policy = Policy::default();
    let block = match state.on_chain {
        Some(OnChain::Set { block }) => block,
        _ => panic!("set"),
    };
    let seen = Seen { contact: Some(Contact { head: block + 10, unix_s: state.since }), ..Seen::default() };
    let status = Status::of(&state, &seen, state.since, &policy);
    assert_eq!((status.alarms.len(), status.submissions.candidates), (0, 3));
    assert!(status.metrics(state.since).contains("edgemaxx_weights_age_blocks 10\n"));
    // Who hangs, or has lost the chain, is noticed by when he last read it.
    for later_s in [60, 600] {
        let stale = Status::of(&state, &seen, state.since + policy.contact_s + later_s, &policy);
        assert_eq!(stale.alarms, ["the chain was not read for more than 60 min"], "it is one alarm");
    }
    let seen = Seen {
        contact: Some(Contact { head: block + 5000, unix_s: state.since }),
        skew_s: Some(900),
        ..seen
    };
    let status = Status::of(&state, &seen, state.since, &policy);
    let alarms = [
        "the weights on chain are more than 4500 blocks old",
        "this machine's clock is more than 120 s ahead of the chain's; days follow the chain's",
    ];
    assert_eq!(status.alarms, alarms);
    assert!(status.metrics(state.since).contains("edgemaxx_alarms 2\n"));
    // However they move, these are the same alarms.
    let seen = Seen {
        contact: Some(Contact { head: block + 5001, unix_s: state.since }),
        skew_s: Some(901),
        ..seen
    };
    let mut state = state;
    for attempts in [5, 6] {
        state.trouble = Some(Trouble {
            what: "no answer".to_owned(),
            since: state.since,
            retry_at: state.since,
            attempts,
        });
        let alarms = [&alarms[..], &["tried again and again: no answer"]].concat();
        assert_eq!(Status::of(&state, &seen, state.since, &policy).alarms, alarms);
    }
}
