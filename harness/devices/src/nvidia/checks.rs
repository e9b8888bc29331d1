//! What the facts about an NVIDIA GPU mean for a contest. Pure.

use edgemaxx_contract::contest::Device;

use super::clocks::steady_mhz;
use super::facts::GpuFacts;
use crate::check::{Check, Fitness};
use crate::which_card::fits;

/// The oldest driver that runs programs built with CUDA 12 (NVIDIA's CUDA compatibility guide,
/// minor version compatibility).
const OLDEST_DRIVER: &str = "525.60.13";
/// More work than this on a GPU nobody should be using is somebody else's, percent.
const BUSY_PERCENT: u32 = 5;

/// Every check, in the order in which they are shown: of the GPU, or of why there is none.
pub(super) fn checks(wanted: &Device, found: Result<&GpuFacts, &str>) -> Vec<Check> {
    const WHY: &str = "a contest is won on its own device";
    let gpu = match found {
        Ok(gpu) => gpu,
        Err(why_not) => {
            let cure = format!(
                "the contest is for {}: run it on such a machine, with NVIDIA's driver installed \
                 (`nvidia-smi` must list the card; in a container, start it with --gpus all)",
                wanted.name.as_deref().unwrap_or("an NVIDIA GPU")
            );
            let found = format!("the driver shows no NVIDIA GPU: {why_not}");
            return vec![Check::fit("device", WHY, found).but(Fitness::Unfit, cure)];
        }
    };
    let device = Check::fit("device", WHY, format!("{}, card {}", gpu.name, gpu.index));
    let mut checks = vec![match &wanted.name {
        Some(name) if !fits(wanted, &gpu.name) => {
            let cure = format!("the contest is for {name:?}: run it on a machine that has one");
            device.but(Fitness::Unfit, cure)
        }
        _ => device,
    }];
    checks.extend(gpu_checks(wanted, gpu));
    checks
}

fn gpu_checks(wanted: &Device, gpu: &GpuFacts) -> Vec<Check> {
    let smi = |what: String| format!("sudo nvidia-smi -i {} {what}", gpu.index);
    let mut checks = vec![driver(wanted, gpu), busy(gpu), memory(wanted, gpu)];

    const MODE: &str = "engines must be able to open the card, two of them at a time";
    checks.push(match gpu.compute_mode {
        None => Check::unknown("compute mode", MODE),
        Some("default") => Check::fit("compute mode", MODE, "default"),
        Some(other) => Check::fit("compute mode", MODE, other)
            .but(Fitness::Unfit, "baseline and candidate share the card: set the default mode")
            .by(smi("-c DEFAULT".to_owned())),
    });

    const CLOCKS: &str = "clocks that follow heat and load are the largest noise there is";
    checks.push(match gpu.clock_mhz.zip(steady_mhz(gpu)) {
        None => Check::unknown("clocks", CLOCKS),
        Some(((now, most), steady)) => {
            Check::fit("clocks", CLOCKS, format!("{now} MHz now, {most} MHz at most; the driver does not tell whether they are locked"))
                .but(Fitness::Advice, format!("lock them to what the card holds under load ({steady} MHz unless you know better), and undo it with `nvidia-smi -i {} -rgc`; --lock-clocks does both for one run", gpu.index))
                .by(smi(format!("-lgc {steady},{steady}")))
        }
    });

    const POWER: &str = "a lower limit is a slower card";
    checks.push(match gpu.power_limit_w {
        None => Check::unknown("power limit", POWER),
        Some((now, default)) if (now - default).abs() < 1.0 => {
            Check::fit("power limit", POWER, format!("{now:.0} W, the default"))
        }
        Some((now, default)) => {
            Check::fit("power limit", POWER, format!("{now:.0} W; the default is {default:.0} W"))
                .but(Fitness::Advice, "other validators measure at the default")
                .by(smi(format!("-pl {default:.0}")))
        }
    });

    const HEAT: &str = "a card that is slowed down by heat measures its fan";
    let slow: Vec<String> = gpu.throttle.iter().filter(|t| t.slows()).map(ToString::to_string).collect();
    let temperature = gpu.temperature_c.map_or("temperature unknown".to_owned(), |c| format!("{c} °C"));
    checks.push(if slow.is_empty() {
        Check::fit("heat", HEAT, temperature)
    } else {
        Check::fit("heat", HEAT, format!("{temperature}; {}", slow.join(", ")))
            .but(Fitness::Unfit, "let it cool, see to its fans and its power supply")
    });

    const PERSISTENCE: &str =
        "without it the driver starts anew with the first engine, and forgets locked clocks";
    checks.push(match gpu.persistence {
        None => Check::unknown("persistence", PERSISTENCE),
        Some(true) => Check::fit("persistence", PERSISTENCE, "on"),
        Some(false) => Check::fit("persistence", PERSISTENCE, "off")
            .but(Fitness::Advice, "turn it on")
            .by(smi("-pm 1".to_owned())),
    });

    const ECC: &str = "it costs memory and speed; validators should agree on it";
    checks.push(match gpu.ecc {
        None => Check::unknown("ECC", ECC),
        Some(on) => Check::fit("ECC", ECC, if on { "on" } else { "off" }),
    });
    checks
}

/// Whether the driver keeps from the card who is not asked.
pub(super) fn rest(kept: Result<(), String>) -> Check {
    const WHY: &str = "who is not asked must leave the card to who is";
    match kept {
        Ok(()) => Check::fit("rest", WHY, "the driver locks contexts, and lists who is on the card"),
        Err(why) => Check::fit("rest", WHY, format!("nothing proves that a side rests: {why}"))
            .but(Fitness::NoWeights, "measure where the driver is 570 or newer and shows all processes"),
    }
}

fn driver(wanted: &Device, gpu: &GpuFacts) -> Check {
    const WHY: &str = "an old driver cannot run the engines' kernels";
    let oldest = wanted.driver.as_deref().unwrap_or(OLDEST_DRIVER);
    let cuda = gpu.cuda.map_or(String::new(), |(major, minor)| format!(", CUDA up to {major}.{minor}"));
    let found = Check::fit("driver", WHY, format!("{}{cuda}", gpu.driver));
    if version(&gpu.driver).is_empty() {
        return Check::unknown("driver", WHY);
    }
    if version(&gpu.driver) < version(oldest) {
        return found.but(Fitness::Unfit, format!("install NVIDIA's driver {oldest} or newer"));
    }
    found
}

/// The numbers of a version, to be compared.
fn version(text: &str) -> Vec<u32> {
    text.split('.').map_while(|part| part.trim().parse().ok()).collect()
}

fn busy(gpu: &GpuFacts) -> Check {
    const WHY: &str = "what others compute there, the engines wait for";
    let work = gpu.busy_percent.unwrap_or(0);
    if gpu.processes.is_empty() && work <= BUSY_PERCENT {
        return Check::fit("other programs", WHY, "none on the card");
    }
    let named = |(pid, memory): &(u32, Option<u64>)| match memory {
        Some(bytes) => format!("process {pid} holds {} MiB", bytes >> 20),
        None => format!("process {pid}"),
    };
    let mut found: Vec<String> = gpu.processes.iter().take(8).map(named).collect();
    found.push(format!("{work}% busy"));
    Check::fit("other programs", WHY, found.join(", "))
        .but(Fitness::Unfit, "end them, a display on the card too, or wait (`nvidia-smi` names them)")
}

fn memory(wanted: &Device, gpu: &GpuFacts) -> Check {
    const WHY: &str = "both engines of a pair are on the card at once";
    let Some((total, free)) = gpu.memory_bytes else { return Check::unknown("GPU memory", WHY) };
    let found = Check::fit("GPU memory", WHY, format!("{} of {} MiB free", free >> 20, total >> 20));
    match wanted.free_memory_mib {
        Some(least) if free >> 20 < least => found.but(
            Fitness::Unfit,
            format!("the contest needs {least} MiB free: end what holds the rest, or take a larger card"),
        ),
        _ => found,
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::contest::DeviceKind;
    use edgemaxx_contract::telemetry::Throttle;

    use super::*;

    const RTX: &str = "NVIDIA GeForce RTX 4090";

    fn gpu() -> GpuFacts {
        GpuFacts {
            name: RTX.to_owned(),
            driver: "550.54.14".to_owned(),
            cuda: Some((12, 4)),
            compute_mode: Some("default"),
            power_limit_w: Some((450.0, 450.0)),
            clock_mhz: Some((210, 3105)),
            temperature_c: Some(40),
            memory_bytes: Some((24 << 30, 23 << 30)),
            persistence: Some(true),
            busy_percent: Some(0),
            ..GpuFacts::default()
        }
    }

    fn wanted() -> Device {
        Device {
            kind: DeviceKind::Cuda,
            name: Some(RTX.to_owned()),
            free_memory_mib: Some(20_000),
            driver: None,
        }
    }

    /// What is worse than advice, by name, with what is to be done.
    fn unfit(found: Result<&GpuFacts, &str>) -> Vec<(&'static str, String)> {
        let found = checks(&wanted(), found).into_iter();
        found.filter(|check| check.fitness > Fitness::Advice).map(|check| (check.name, check.cure)).collect()
    }

    #[test]
    fn no_weights_come_of_a_card_where_nothing_proves_rest() {
        assert_eq!(rest(Ok(())).fitness, Fitness::Fit);
        let check = rest(Err("this driver cannot lock contexts: 570 or newer can".to_owned()));
        assert!(
            check.fitness == Fitness::NoWeights && check.found.contains("cannot lock contexts"),
            "{check:?}"
        );
    }

    #[test]
    fn the_right_card_is_fit_and_told_to_lock_its_clocks() {
        let gpu = GpuFacts { index: 2, ..gpu() };
        assert_eq!(unfit(Ok(&gpu)), []);
        let found = checks(&wanted(), Ok(&gpu));
        assert!(found[0].found.contains("card 2"), "{:?}", found[0]);
        let clocks = found.iter().find(|check| check.name == "clocks").expect("a check");
        assert_eq!(clocks.commands, ["sudo nvidia-smi -i 2 -lgc 3105,3105"]);
        assert!(found.iter().all(|check| check.fitness == Fitness::Fit
            || !check.cure.is_empty()
            || check.fitness == Fitness::Unknown));
    }

    #[test]
    fn every_unfit_card_is_told_why_and_what_to_do() {
        let with = |change: &dyn Fn(&mut GpuFacts)| {
            let mut gpu = gpu();
            change(&mut gpu);
            unfit(Ok(&gpu))
        };
        let one = |found: Vec<(&'static str, String)>, name: &str, words: &str| {
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(found[0].0 == name && found[0].1.contains(words), "{found:?}");
        };
        one(unfit(Err("libnvidia-ml.so.1: not found")), "device", "driver installed");
        one(with(&|gpu| gpu.name = "NVIDIA H200".to_owned()), "device", RTX);
        one(with(&|gpu| gpu.driver = "470.199.02".to_owned()), "driver", OLDEST_DRIVER);
        one(with(&|gpu| gpu.processes = vec![(77, Some(1 << 30))]), "other programs", "end them");
        one(with(&|gpu| gpu.busy_percent = Some(90)), "other programs", "end them");
        one(with(&|gpu| gpu.memory_bytes = Some((24 << 30, 8 << 30))), "GPU memory", "20000 MiB");
        one(with(&|gpu| gpu.compute_mode = Some("prohibited")), "compute mode", "default mode");
        one(with(&|gpu| gpu.throttle = vec![Throttle::HwThermalSlowdown]), "heat", "cool");
        assert!(with(&|gpu| gpu.throttle = vec![Throttle::SwPowerCap, Throttle::GpuIdle]).is_empty());
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(version("525.60.13") < version("525.105.17"));
        assert!(version("535.54") > version("525.60.13"));
        assert!(version("").is_empty());
    }
}
