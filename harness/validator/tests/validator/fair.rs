//! Nobody's pay depends on names' order, on uids, on hopeless company, or on how often the same
//! work is handed in. Whole days of random miners, with and without the change.

use std::collections::BTreeMap;

use crate::common::{Planet, chance, drive, settings};
use edgemaxx_validator::calendar::noon;
use edgemaxx_validator::store::Store;

/// Hotkey, source, true speedup; in the order of their commitments.
type Miners = Vec<(String, String, f64)>;

fn miners(case: u64) -> Miners {
    let count = 2 + ((chance(case, "count") + 1.0) * 5.0) as usize;
    (0..count)
        .map(|index| {
            let name = format!("m{index:02}");
            // Some are equal, some slower than the baseline.
            let steps = ((chance(case, &name) + 1.0) * 6.0).floor();
            (name.clone(), format!("hf:{name}/x@1"), 0.9 + 0.1 * steps)
        })
        .collect()
}

/// What a day pays, by hotkey.
fn pay(miners: &Miners, case: u64) -> BTreeMap<String, f64> {
    let planet = Planet::at(noon(&"2026-03-06".parse().unwrap()).unwrap() - 3600);
    for (hotkey, source, speedup) in miners {
        planet.borrow_mut().join(hotkey, source, *speedup);
        planet.borrow_mut().now += 24;
    }
    planet.borrow_mut().noise = (0.005, case);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::in_memory().unwrap();
    drive(&planet, &settings(folder.path()), store, |driver| driver.state().on_chain.is_some()).unwrap();
    let shares = planet.borrow().shares();
    assert!((shares.values().sum::<f64>() - 1.0).abs() < 1e-9);
    shares
}

fn same(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>, what: &str) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{what}");
    for (name, share) in a {
        assert!((share - b[name]).abs() < 1e-12, "{what}: {name}: {share} {}", b[name]);
    }
}

#[test]
fn pay_depends_on_work_alone() {
    for case in 0..12 {
        let miners = miners(case);
        let paid = pay(&miners, case);

        let mut turned = miners.clone();
        turned.reverse();
        same(&pay(&turned, case), &paid, "another order of commitments, other uids");

        let mut hopeless = miners.clone();
        hopeless.insert(0, ("a-hopeless".to_owned(), "hf:h/h@1".to_owned(), 0.5));
        same(&pay(&hopeless, case), &paid, "a hopeless candidate");

        // Everybody's work handed in again by others, under the same name and as a fork.
        let mut copied = miners.clone();
        for (index, (_, source, speedup)) in miners.iter().enumerate() {
            copied.push((format!("a-copy{index}"), source.clone(), *speedup));
            copied.push((format!("a-fork{index}"), format!("{source}-fork"), *speedup));
        }
        same(&pay(&copied, case), &paid, "copies");
    }
}

/// The work decides, not the name: with the names exchanged, the pay is.
#[test]
fn the_better_is_never_paid_less_and_equals_alike() {
    for case in 0..12 {
        let miners = miners(case);
        let paid = pay(&miners, case);
        let share = |name: &String| paid.get(name).copied().unwrap_or(0.0);
        for (a, _, fast) in &miners {
            for (b, _, slow) in &miners {
                if fast > slow {
                    assert!(share(a) >= share(b), "{case}: {a} {fast} {b} {slow}: {paid:?}");
                }
            }
        }
    }
}
