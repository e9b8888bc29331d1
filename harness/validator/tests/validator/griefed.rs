//! Days on which some of twelve miners copy, vanish and grieve: whoever is honestly best earns on every one of them.
//!
//! The best seals his entry before anybody can see it. Copies stand before its opening, in the same block and after it; they
//! are broken, identical or perturbed.

use std::collections::BTreeMap;

use edgemaxx_contract::day::{DayRecord, Fate};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::ranking::{Ranking, Standing};
use edgemaxx_contract::weights::{Origin, Weights};
use edgemaxx_validator::calendar::{next, noon};
use edgemaxx_validator::state::{OnChain, Phase};
use edgemaxx_validator::store::Store;

use crate::common::{BLOCK_S, GENESIS, Miner, Planet, drive, settings};

const DAYS: u32 = 20;

/// A number below `n` that depends on its arguments alone.
fn pick(day: u32, what: &str, n: u64) -> u64 {
    let digest = Digest::of_fields([&day.to_le_bytes()[..], what.as_bytes()]);
    let bytes: [u8; 8] = std::array::from_fn(|index| digest.as_bytes()[index]);
    u64::from_le_bytes(bytes) % n
}

/// Twelve miners of a day; the honest best's hotkey.
fn people(planet: &mut Planet, day: u32) -> String {
    planet.miners.clear();
    planet.near.clear();
    for list in [&mut planet.gone, &mut planet.unreachable, &mut planet.slow, &mut planet.invalid] {
        list.clear();
    }
    let block = planet.head() - 100;
    let source = |name: &str| format!("hf:{name}/m@{day}");
    let add = |planet: &mut Planet, name: &str, block: u64, index: u32, source: String, speedup: f64| {
        planet.miners.insert(name.to_owned(), Miner::open(block, index, source, speedup));
    };
    // Five honest ones; the best is `m4`, by a margin that can be told.
    for n in 0..5u64 {
        let speedup = 1.2 + 0.3 * n as f64 + pick(day, &format!("speed {n}"), 100) as f64 / 1000.0;
        let name = format!("m{n}");
        add(planet, &name, block, 10 + n as u32, source(&name), speedup);
    }
    let best = source("m4");
    if let Some(miner) = planet.miners.get_mut("m4") {
        miner.sealed = Some((block - 20, block));
    }
    // Seven others, each of some kind; their names come before the best's in any alphabet.
    for n in 0..7 {
        let name = format!("a{n}");
        let own = source(&name);
        let when = pick(day, &format!("when {n}"), 3);
        // Before the block, in the block, after it.
        let (at, index) =
            [(block - 5, 0), (block, if n % 2 == 0 { n } else { 20 + n }), (block + 5, 0)][when as usize];
        match pick(day, &format!("kind {n}"), 7) {
            // The best's weights in a folder that cannot be loaded.
            0 => {
                planet.near.insert(own.clone(), best.clone());
                add(planet, &name, at, index, own, 0.0);
            }
            1 => add(planet, &name, at, index, best.clone(), 0.0),
            2 => {
                planet.near.insert(own.clone(), best.clone());
                add(planet, &name, at, index, own, planet.miners["m4"].speedup * 1.01);
            }
            3 => {
                planet.gone.push(own.clone());
                add(planet, &name, at, index, own, 5.0);
            }
            4 => {
                planet.unreachable.push(own.clone());
                add(planet, &name, at, index, own, 5.0);
            }
            5 => {
                planet.slow.push(own.clone());
                add(planet, &name, at, index, own, 5.0);
            }
            _ => {
                planet.invalid.push(own.clone());
                add(planet, &name, at, index, own, 5.0);
            }
        }
    }
    "m4".to_owned()
}

#[test]
fn the_honest_best_earns_on_each_of_twenty_days() {
    let folder = tempfile::tempdir().unwrap();
    let first = "2026-03-06".parse().unwrap();
    let planet = Planet::at(noon(&first).unwrap() - 3600);
    assert!(planet.borrow().now > GENESIS + 200 * BLOCK_S);
    let mut best = people(&mut planet.borrow_mut(), 0);
    let (mut day, mut today) = (0, first);
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    let mut settings = settings(folder.path());
    settings.policy.look_s = 600;
    drive(&planet, &settings, Store::in_memory().unwrap(), |driver| {
        let state = driver.state();
        if state.day != today || state.phase != Phase::Holding {
            return day == DAYS;
        }
        let days = folder.path().join("days").join(today.to_string());
        let text = |name: &str| std::fs::read_to_string(days.join(name)).unwrap();
        let record = DayRecord::from_json(&text("day.json")).unwrap();
        let ranking = Ranking::from_json(&text("ranking.json")).unwrap();
        let weights = Weights::from_json(&text("weights.json")).unwrap();
        assert_eq!(weights.origin, Origin::Earned, "day {day}: {}", weights.reason);
        let share = |name: &str| weights.entries.iter().find(|entry| entry.hotkey == name).map(|e| e.share);
        assert!(
            share(&best).is_some_and(|share| share > 0.5),
            "day {day}: {:?} {record:#?}",
            weights.entries
        );
        assert!(matches!(state.on_chain, Some(OnChain::Set { .. })));
        assert_eq!(record.submissions.len(), 12, "everybody is listed");
        for submission in record.submissions.iter().filter(|submission| submission.hotkey.starts_with('a')) {
            assert_eq!(share(&submission.hotkey), None, "day {day}: {submission:?}");
            let standing =
                ranking.entries.iter().find(|entry| entry.name == submission.hotkey).map(|e| e.standing);
            *kinds
                .entry(match (&submission.fate, standing) {
                    (Fate::Copy { .. }, _) => "copy before it is measured",
                    (Fate::Candidate { .. }, Some(Standing::Copy)) => "copy that was measured",
                    (Fate::Candidate { .. }, Some(Standing::Failed)) => "copy that fails",
                    (Fate::Invalid { reason }, _) if reason.contains("404") => "gone",
                    (Fate::Invalid { reason }, _) if reason.contains("503") => "out of reach",
                    (Fate::Invalid { reason }, _) if reason.contains("in time") => "slow",
                    (Fate::Invalid { .. }, _) => "invalid",
                    other => panic!("day {day}: {other:?}"),
                })
                .or_default() += 1;
        }
        // Nobody holds up the day for longer than the policy says, not even all of them together.
        let measured_by = noon(&today).unwrap() + 2 * driver.policy().wait_for_s + 12 * 3600;
        assert!(state.since < measured_by, "day {day}");
        day += 1;
        today = next(&today).unwrap();
        best = people(&mut planet.borrow_mut(), day);
        day == DAYS
    })
    .unwrap();
    assert_eq!(day, DAYS);
    assert_eq!(kinds.len(), 7, "every kind occurred: {kinds:?}");
}

/// A repository that is not there costs half an hour, and others are measured; one that never ends to come, two hours.
#[test]
fn who_is_not_there_holds_up_nobody_for_long() {
    for (kind, limit) in [("gone", 1800), ("unreachable", 7200), ("slow", 4 * 3600)] {
        let folder = tempfile::tempdir().unwrap();
        let start = noon(&"2026-03-06".parse().unwrap()).unwrap();
        let planet = Planet::at(start - 3600);
        planet.borrow_mut().join("good", "hf:good/m@1", 2.0);
        planet.borrow_mut().join("bad", "hf:bad/m@1", 3.0);
        {
            let mut planet = planet.borrow_mut();
            let list = match kind {
                "gone" => &mut planet.gone,
                "unreachable" => &mut planet.unreachable,
                _ => &mut planet.slow,
            };
            list.push("hf:bad/m@1".to_owned());
        }
        let mut since = 0;
        drive(&planet, &settings(folder.path()), Store::in_memory().unwrap(), |driver| {
            since = driver.state().since;
            driver.state().phase == Phase::Measuring
        })
        .unwrap();
        let waited = since - start;
        assert!((limit..limit + 900).contains(&waited), "{kind}: {waited} s");
    }
}

/// He who comes late, but before the day stops waiting for him, is measured as everybody else.
#[test]
fn a_latecomer_joins_while_the_day_waits() {
    let folder = tempfile::tempdir().unwrap();
    let start = noon(&"2026-03-06".parse().unwrap()).unwrap();
    let planet = Planet::at(start - 3600);
    planet.borrow_mut().join("good", "hf:good/m@1", 2.0);
    planet.borrow_mut().join("late", "hf:late/m@1", 3.0);
    planet.borrow_mut().gone.push("hf:late/m@1".to_owned());
    drive(&planet, &settings(folder.path()), Store::in_memory().unwrap(), |driver| {
        if planet.borrow().now > start + 1000 {
            planet.borrow_mut().gone.clear();
        }
        driver.state().phase == Phase::Holding
    })
    .unwrap();
    assert!(planet.borrow().shares()["late"] > 0.5, "{:?}", planet.borrow().shares());
}
