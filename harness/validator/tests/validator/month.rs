//! A month of 256 miners who come, go, copy and commit anew, with the change to daylight saving in
//! it; what must always hold is checked after every step. And: two validators with different noise.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{Planet, chance, drive, settings};
use edgemaxx_contract::day::Fate;
use edgemaxx_contract::weights::Origin;
use edgemaxx_validator::calendar::noon;
use edgemaxx_validator::state::{OnChain, Phase};
use edgemaxx_validator::store::Store;

const MINERS: u32 = 256;
const FIRST: &str = "2026-02-20";
const DAYS: u32 = 30;

fn noon_of(day: &str) -> i64 {
    noon(&day.parse().unwrap()).unwrap()
}

/// What happens to the miners between two days, and to the chain.
fn churn(planet: &mut Planet, day: u32) {
    for index in 0..MINERS {
        let name = format!("m{index:03}");
        let luck = chance(u64::from(day), &name);
        let speedup = 1.6 + 0.7 * chance(u64::from(day), &format!("{name} speed"));
        let source = format!("hf:{name}/x@{day}");
        if day == 0 {
            planet.join(&name, &source, speedup);
        } else if luck > 0.97 {
            // Deregistered, and its uid given to somebody new.
            planet.miners.remove(&name);
            planet.join(&format!("{name}-{day}"), &source, speedup);
        } else if luck > 0.9 && planet.miners.contains_key(&name) {
            planet.join(&name, &source, speedup);
        } else if luck < -0.97
            && let Some(best) = planet.miners.get("m007").map(|miner| miner.source.clone())
            && name != "m007"
        {
            planet.join(&name, &best, 2.2);
        }
        planet.now += 2;
    }
    planet.unfit = day % 11 == 5;
    if day % 7 == 3 {
        let away = planet.now + 20 * 3600;
        planet.away.push((away, away + 4 * 3600));
    }
}

#[test]
fn a_month_of_256_miners_holds_what_must_always_hold() {
    let planet = Planet::at(noon_of(FIRST) - 3 * 3600);
    let folder = tempfile::tempdir().unwrap();
    {
        let mut planet = planet.borrow_mut();
        planet.noise = (0.004, 17);
        planet.bench_s = 120;
        churn(&mut planet, 0);
    }
    let mut day = 0;
    let mut last: Option<(String, Phase)> = None;
    let mut finished: BTreeSet<String> = BTreeSet::new();
    let mut origins: BTreeMap<&str, u32> = BTreeMap::new();
    let mut settings = settings(folder.path());
    settings.policy.look_s = 900;
    let mut before = None;
    drive(&planet, &settings, Store::in_memory().unwrap(), |driver| {
        let state = driver.state();
        // Only what changed needs a look.
        if before.as_ref() == Some(state) {
            return finished.len() as u32 == DAYS;
        }
        before = Some(state.clone());
        let today = state.day.to_string();
        // Forward only: no day twice, no phase twice.
        if let Some((earlier, phase)) = &last {
            assert!(today > *earlier || (today == *earlier && state.phase >= *phase), "{earlier} {phase:?}");
        }
        last = Some((today.clone(), state.phase));
        if let Some(record) = &state.record {
            let hotkeys: BTreeSet<_> = record.submissions.iter().map(|s| &s.hotkey).collect();
            assert_eq!(hotkeys.len(), record.submissions.len(), "one submission a hotkey");
            let registered: BTreeSet<_> = record.registered.iter().collect();
            assert!(hotkeys.is_subset(&registered), "who left is not measured");
            let mut sources = BTreeSet::new();
            for submission in &record.submissions {
                let candidate = matches!(submission.fate, Fate::Candidate { .. });
                assert!(!candidate || sources.insert(&submission.source), "a copy is not measured");
            }
        }
        if let Some(weights) = &state.weights {
            let sum: f64 = weights.entries.iter().map(|entry| entry.share).sum();
            assert!(weights.origin == Origin::None || (sum - 1.0).abs() < 1e-9, "{sum}");
            assert!(!weights.reason.is_empty(), "every day says why");
            let record = state.record.as_ref().unwrap();
            let registered: BTreeSet<_> = record.registered.iter().collect();
            for entry in &weights.entries {
                assert!(registered.contains(&entry.hotkey), "who left is not paid");
                let copy = record.submissions.iter().find(|s| s.hotkey == entry.hotkey);
                assert!(!copy.is_some_and(|s| matches!(s.fate, Fate::Copy { .. })), "a copy is not paid");
            }
        }
        if state.on_chain.is_some() && finished.insert(today) {
            assert!(matches!(state.on_chain, Some(OnChain::Set { .. })), "{:?}", state.on_chain);
            let origin = state.weights.as_ref().map(|weights| weights.origin);
            *origins.entry(if origin == Some(Origin::Earned) { "earned" } else { "kept" }).or_default() += 1;
            day += 1;
            churn(&mut planet.borrow_mut(), day);
        }
        finished.len() as u32 == DAYS
    })
    .unwrap();
    assert_eq!(finished.last().map(String::as_str), Some("2026-03-21"), "no day was lost, none came twice");
    assert_eq!(origins, BTreeMap::from([("earned", 27), ("kept", 3)]), "days 5, 16 and 27 are unfit");
    let set = &planet.borrow().set;
    assert!(set.windows(2).all(|pair| pair[1].0 > pair[0].0));
}

/// Ranks, ties sharing their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |x: f64| values.iter().filter(|v| **v < x).count() as f64;
    let equal = |x: f64| values.iter().filter(|v| **v == x).count() as f64;
    values.iter().map(|x| below(*x) + (equal(*x) + 1.0) / 2.0).collect()
}

fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (ma, mb) = (mean(&a), mean(&b));
    let cross = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
    };
    cross(&a, ma, &b, mb) / (cross(&a, ma, &a, ma) * cross(&b, mb, &b, mb)).sqrt()
}

#[test]
fn validators_with_different_noise_agree_where_gaps_can_be_told() {
    // Intervals of ± 4 standard deviations at sd .4%: gaps of 2 × 2 × 4 × .4% = 6.4% can always be told.
    let sd = 0.004;
    let truth = [1.2, 1.3, 1.3, 1.41, 1.53, 1.53, 1.53, 1.66, 1.8, 1.95, 2.12, 2.3];
    let weights = |seed: u64| {
        let planet = Planet::at(noon_of(FIRST) - 3600);
        for (index, speedup) in truth.iter().enumerate() {
            planet.borrow_mut().join(&format!("m{index:02}"), &format!("hf:m/m@{index}"), *speedup);
        }
        planet.borrow_mut().noise = (sd, seed);
        let folder = tempfile::tempdir().unwrap();
        drive(&planet, &settings(folder.path()), Store::in_memory().unwrap(), |driver| {
            driver.state().on_chain.is_some()
        })
        .unwrap();
        let shares = planet.borrow().shares();
        (0..truth.len())
            .map(|index| shares.get(&format!("m{index:02}")).copied().unwrap_or(0.0))
            .collect::<Vec<_>>()
    };
    let all: Vec<Vec<f64>> = (0..12).map(weights).collect();
    for (index, a) in all.iter().enumerate() {
        assert!((a[1] - a[2]).abs() < 1e-12 && (a[4] - a[5]).abs() < 1e-12, "ties are paid alike: {a:?}");
        for b in &all[index + 1..] {
            let rho = spearman(a, b);
            assert!(rho >= 0.95, "{rho}: {a:?} {b:?}");
        }
    }
}
