//! What the facts about the machine mean for any contest. Pure.

use super::facts::Facts;
use crate::check::{Check, Fitness};

/// Less memory than this makes engines swap, bytes.
const LITTLE_MEMORY: u64 = 1 << 30;
/// Less disk than this leaves no room for what a run keeps, bytes.
const LITTLE_DISK: u64 = 256 << 20;

/// Every check, in the order in which they are shown.
pub(super) fn checks(threads: u32, facts: &Facts) -> Vec<Check> {
    const SWAP: &str = "engines that swap are timed by the disk";
    const FULL: &str = "a full disk ends a run";
    vec![
        governor(facts),
        load(threads, facts),
        room("memory", facts.memory_free_bytes, LITTLE_MEMORY, Fitness::Advice, SWAP),
        room("disk", facts.disk_free_bytes, LITTLE_DISK, Fitness::Unfit, FULL),
    ]
}

fn governor(facts: &Facts) -> Check {
    const WHY: &str = "a governor that saves power lets frequencies wander";
    if facts.governors.is_empty() {
        return Check::unknown("processor governor", WHY);
    }
    let found = Check::fit("processor governor", WHY, facts.governors.join(", "));
    if facts.governors == ["performance"] {
        return found;
    }
    let command = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor";
    found.but(Fitness::Advice, "set it to performance").by(command.to_owned())
}

fn load(threads: u32, facts: &Facts) -> Check {
    const WHY: &str = "what others compute, the engines wait for";
    let Some(load) = facts.load else { return Check::unknown("load", WHY) };
    let found = Check::fit("load", WHY, format!("{load:.2} on {} processors", facts.cpus));
    if threads > facts.cpus {
        let cure = format!("the contest computes with {} threads: take a machine that has as many", threads);
        return found.but(Fitness::Advice, cure);
    }
    if load + f64::from(threads) > f64::from(facts.cpus) + 0.5 {
        return found.but(Fitness::Advice, "end other programs (`top` names them), or wait");
    }
    found
}

fn room(name: &'static str, free: Option<u64>, least: u64, without: Fitness, why: &'static str) -> Check {
    let Some(free) = free else { return Check::unknown(name, why) };
    let found = Check::fit(name, why, format!("{} MiB free", free >> 20));
    if free < least { found.but(without, format!("free {} MiB", least >> 20)) } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            governors: vec!["performance".to_owned()],
            cpus: 16,
            load: Some(0.2),
            memory_free_bytes: Some(64 << 30),
            disk_free_bytes: Some(64 << 30),
        }
    }

    /// What is no better than `least`, by name, with what is to be done.
    fn found(facts: &Facts, least: Fitness) -> Vec<(&'static str, String)> {
        let found = checks(4, facts).into_iter();
        found.filter(|check| check.fitness >= least).map(|check| (check.name, check.cure)).collect()
    }

    #[test]
    fn a_quiet_machine_is_fit_and_a_full_disk_is_not() {
        assert_eq!(found(&facts(), Fitness::Unknown), []);
        let full = Facts { disk_free_bytes: Some(5 << 20), ..facts() };
        let [(name, cure)] = &found(&full, Fitness::NoWeights)[..] else { panic!("one check") };
        assert!(*name == "disk" && cure.contains("free 256 MiB"), "{name}: {cure}");
    }

    #[test]
    fn what_makes_results_noisier_is_advised_against() {
        let one = |facts: Facts, name: &str| {
            let found = found(&facts, Fitness::Advice);
            assert!(found.len() == 1 && found[0].0 == name && !found[0].1.is_empty(), "{found:?}");
        };
        one(Facts { governors: vec!["powersave".to_owned()], ..facts() }, "processor governor");
        one(Facts { load: Some(15.0), ..facts() }, "load");
        one(Facts { cpus: 2, load: Some(0.0), ..facts() }, "load");
        one(Facts { memory_free_bytes: Some(1 << 20), ..facts() }, "memory");
    }
}
