//! Entries under a seal: nobody who sees the files can be earlier, and nobody gains by a seal of something else.

use edgemaxx_contract::day::{DayRecord, Fate};
use edgemaxx_contract::format::Document as _;
use edgemaxx_validator::calendar::noon;
use edgemaxx_validator::state::Phase;
use edgemaxx_validator::store::Store;
use edgemaxx_validator::world::Hindrance;

use crate::common::{BLOCK_S, GENESIS, Miner, Planet, drive, settings};

const DAY: &str = "2026-03-06";

/// The first block at or after noon.
fn close() -> u64 {
    ((noon(&DAY.parse().unwrap()).unwrap() - GENESIS) as u64).div_ceil(BLOCK_S as u64)
}

/// A day of these miners, changed by `change`: its record, and who earned.
fn day(change: impl Fn(&mut Planet)) -> (DayRecord, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let planet = Planet::at(noon(&DAY.parse().unwrap()).unwrap() - 3600);
    change(&mut planet.borrow_mut());
    drive(&planet, &settings(folder.path()), Store::in_memory().unwrap(), |driver| {
        driver.state().phase == Phase::Holding
    })
    .unwrap();
    let text = std::fs::read_to_string(folder.path().join("days").join(DAY).join("day.json")).unwrap();
    let paid = planet.borrow().shares().into_keys().collect();
    (DayRecord::from_json(&text).unwrap(), paid)
}

fn join(planet: &mut Planet, name: &str, source: &str, block: u64, sealed: Option<(u64, u64)>) {
    let miner = Miner { sealed, ..Miner::open(block, 0, source.to_owned(), 2.0) };
    planet.miners.insert(name.to_owned(), miner);
}

fn fate<'a>(record: &'a DayRecord, name: &str) -> &'a Fate {
    &record.submissions.iter().find(|submission| submission.hotkey == name).unwrap().fate
}

/// Published between the seal and its opening: a watcher commits to the very repository, to a fork, to the same weights, all
/// before the opening is final. The seal was first.
#[test]
fn a_watcher_who_commits_before_the_opening_is_later_than_the_seal() {
    let own = "hf:honest/m@1";
    for copy in [own, "hf:honest/m@1-fork", "hf:watcher/m@1"] {
        let (record, paid) = day(|planet| {
            join(planet, "honest", own, 0, Some((close() - 200, close() - 50)));
            join(planet, "a-watcher", copy, close() - 60, None);
            planet.near.insert("hf:watcher/m@1".to_owned(), own.to_owned());
        });
        assert_eq!(paid, ["honest"], "{copy}: {record:#?}");
        let first = &record.submissions[0];
        assert_eq!((first.hotkey.as_str(), first.since), ("honest", close() - 200));
        // Without the seal the watcher would have been first.
        let (_, paid) = day(|planet| {
            join(planet, "honest", own, close() - 50, None);
            join(planet, "a-watcher", copy, close() - 60, None);
            planet.near.insert("hf:watcher/m@1".to_owned(), own.to_owned());
        });
        assert_eq!(paid, ["a-watcher"], "{copy}");
    }
}

#[test]
fn what_is_sealed_at_noon_is_measured_if_it_is_opened_in_time() {
    for (opened, measured) in [(1, true), (149, true), (151, false), (5000, false)] {
        let (record, paid) = day(|planet| {
            join(planet, "late", "hf:late/m@1", 0, Some((close() - 10, close() + opened)));
        });
        assert_eq!(
            matches!(fate(&record, "late"), Fate::Candidate { .. }),
            measured,
            "{opened}: {record:#?}"
        );
        assert_eq!(matches!(fate(&record, "late"), Fate::Sealed), !measured, "{opened}");
        assert_eq!(paid == ["late"], measured, "{opened}: {paid:?}");
        assert!(record.opened.is_some_and(|block| block.number == close() + 150));
    }
    // Nobody who had nothing under a seal gains by the second look.
    let (record, _) = day(|planet| {
        join(planet, "late", "hf:late/m@1", 0, Some((close() - 10, close() + 1)));
        join(planet, "too-late", "hf:too/m@1", close() + 1, None);
    });
    assert_eq!(record.submissions.len(), 1, "{record:#?}");
    // Where nothing is sealed there is no second look, and no waiting.
    let (record, _) = day(|planet| join(planet, "open", "hf:open/m@1", close() - 5, None));
    assert_eq!(record.opened, None);
}

/// Whoever seals one thing and opens the seal with another's files is out, and the other keeps his place.
#[test]
fn a_seal_of_other_files_dates_nothing() {
    let theirs = "hf:honest/m@1";
    for copy in [theirs, "hf:honest/m@1-fork"] {
        let (record, paid) = day(|planet| {
            join(planet, "honest", theirs, close() - 100, None);
            join(planet, "cheat", copy, 0, Some((close() - 1000, close() - 50)));
            planet.swapped.insert(copy.to_owned(), "hf:nothing/at@1".to_owned());
        });
        // The honest one's own claim, if he had one, would be swapped with it: he has none.
        assert!(
            matches!(fate(&record, "cheat"), Fate::Invalid { reason } if reason.contains("sealed")),
            "{record:#?}"
        );
        assert_eq!(paid, ["honest"], "{copy}");
    }
}

/// What keeps weights from being set is known before anything is measured, and only what stays is an alarm.
#[test]
fn hindrances_are_shown_from_the_start() {
    let hindrance = |why: &str, until| Hindrance { why: why.to_owned(), until };
    for (until, alarmed) in [(None, true), (Some(1_000_000), true), (Some(1), false)] {
        let folder = tempfile::tempdir().unwrap();
        let planet = Planet::at(noon(&DAY.parse().unwrap()).unwrap() - 3600);
        planet.borrow_mut().hindrances = vec![hindrance("NeuronNoValidatorPermit: none", until)];
        let mut phases = Vec::new();
        drive(&planet, &settings(folder.path()), Store::in_memory().unwrap(), |driver| {
            let status = driver.status();
            let said = status.alarms.iter().any(|alarm| alarm.contains("NeuronNoValidatorPermit"));
            phases.push((status.phase, said));
            phases.len() == 3
        })
        .unwrap();
        // The first look is before the first tick.
        assert_eq!(phases[1], (Phase::Waiting, alarmed), "{until:?}");
    }
}
