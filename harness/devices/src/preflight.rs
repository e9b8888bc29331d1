//! Preflight: is this machine what the contest asks for, and quiet enough to be believed?

use std::path::Path;

use edgemaxx_contract::contest::Device;

use crate::check::{Check, Fitness};
use crate::cpu;
use crate::vendors::vendor;
use crate::which_card::Chosen;

/// What a contest asks of a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The device.
    pub device: Device,
    /// Threads that an engine may compute with.
    pub threads: u32,
    /// Weights of all processes that are in memory at once, as their checkpoints say, bytes; `None`: nobody knows.
    pub weights_bytes: Option<u64>,
}

/// Looks at the device that was chosen and at the machine around it; `folder` is where the run is written.
pub fn examine(wanted: &Wanted, chosen: &Chosen, folder: &Path) -> Vec<Check> {
    let mut checks = vendor(wanted.device.kind).examine(&wanted.device, chosen.found());
    checks.extend(cpu::examine(wanted.threads, folder));
    checks.extend(wanted.weights_bytes.and_then(|weights| weights_fit(weights, chosen)));
    checks
}

/// Whether weights that are in memory at once fit into what was chosen; `None`: nobody knows how much it holds.
pub fn weights_fit(weights: u64, chosen: &Chosen) -> Option<Check> {
    let room = match chosen {
        Chosen::Card(card) => vendor(card.kind).memory_bytes(card),
        Chosen::Processor => cpu::memory_bytes(),
        Chosen::Missing(_) => None,
    };
    Some(together(weights, room?))
}

/// Whether what is to be in memory at once fits into it, of which so much there is and so much is free.
fn together(weights: u64, (all, free): (u64, u64)) -> Check {
    const WHY: &str = "processes that are asked in turn are in memory at once: a session's two, a block's baseline, control and candidates";
    const CURE: &str = "a smaller `measurement.block`, or `measurement.residency = \"alternating\"`, which keeps one in memory at a time \
                        (so does \"swapped\" on a card of NVIDIA's)";
    let mib = |bytes: u64| bytes >> 20;
    let found =
        format!("at least {} MiB of weights at once; {} of {} MiB free", mib(weights), mib(free), mib(all));
    let found = Check::fit("weights together", WHY, found);
    match weights {
        weights if weights > all => found.but(Fitness::Unfit, CURE),
        weights if weights > free => {
            found.but(Fitness::Advice, format!("end what holds memory, or take {CURE}"))
        }
        _ => found,
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::contest::DeviceKind;

    use super::*;

    #[test]
    fn what_does_not_fit_is_not_begun() {
        use Fitness::{Advice, Fit, Unfit};
        let of = |gib: u64| together(gib << 30, (24 << 30, 20 << 30));
        assert_eq!([19, 20, 21, 24, 25].map(|gib| of(gib).fitness), [Fit, Fit, Advice, Advice, Unfit]);
        let check = of(25);
        assert_eq!(check.found, "at least 25600 MiB of weights at once; 20480 of 24576 MiB free");
        assert!(check.cure.contains("alternating"), "{}", check.cure);
    }

    #[test]
    fn weights_are_looked_at_where_they_and_the_memory_are_known() {
        let names = |weights_bytes: Option<u64>, chosen: &Chosen| {
            let device = Device { kind: DeviceKind::Cpu, name: None, free_memory_mib: None, driver: None };
            let checks = examine(&Wanted { device, threads: 1, weights_bytes }, chosen, Path::new("."));
            checks.iter().map(|check| check.name).collect::<Vec<_>>()
        };
        let without = names(None, &Chosen::Processor);
        assert!(!without.is_empty() && !without.contains(&"weights together"), "{without:?}");
        assert_eq!(names(Some(1), &Chosen::Processor).last(), Some(&"weights together"));
        assert_eq!(
            weights_fit(u64::MAX, &Chosen::Processor).map(|check| check.fitness),
            Some(Fitness::Unfit)
        );
        assert!(weights_fit(1, &Chosen::Missing("no card".to_owned())).is_none());
    }
}
