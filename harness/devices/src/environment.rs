//! `environment.json`: the machine as it is now.

use std::collections::BTreeMap;
use std::fs;

use edgemaxx_contract::environment::{Bounds, Build, Confinement, Environment};
use edgemaxx_contract::format::Document as _;

use crate::cpu::{cpus, field, memory_bytes};
use crate::nvidia;
use crate::pins::Pins;

/// The machine, what was built, the pins, how engines are confined and held, and what preflight found that keeps weights from
/// this run.
pub fn environment(
    build: Build,
    sandbox: Confinement,
    bounds: Option<Bounds>,
    pins: &Pins,
    unfit: Vec<String>,
) -> Environment {
    Environment {
        format: Environment::expected_format(),
        edgemaxx: env!("CARGO_PKG_VERSION").to_owned(),
        build: Some(build),
        os: os(),
        cpu: cpu(),
        cpus: cpus(),
        memory_bytes: memory_bytes().map_or(0, |(total, _)| total),
        gpus: nvidia::names(),
        card: pins.card.clone(),
        sandbox,
        bounds,
        protocol_ns: None,
        peaks: None,
        work: BTreeMap::new(),
        pins: pins.lines(),
        unfit,
        lanes: Vec::new(),
    }
}

fn os() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim_matches('"').to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let name = name.unwrap_or_else(|| std::env::consts::OS.to_owned());
    if kernel.trim().is_empty() { name } else { format!("{name}, kernel {}", kernel.trim()) }
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    field(&info, "model name").unwrap_or(std::env::consts::ARCH).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn this_machine_has_a_processor_and_memory() {
        let build = Build {
            commit: "unknown".to_owned(),
            profile: "dev".to_owned(),
            rustc: "rustc".to_owned(),
            features: Vec::new(),
        };
        let pins = Pins::processor(2);
        let environment = environment(
            build,
            Confinement::Bubblewrap { note: None },
            None,
            &pins,
            vec!["a reason".to_owned()],
        );
        assert_eq!(environment.unfit, ["a reason"]);
        assert!(environment.cpus > 0 && !environment.cpu.is_empty() && !environment.os.is_empty());
        assert!(environment.memory_bytes > 1 << 20 || !cfg!(target_os = "linux"));
        assert!(environment.pins.is_sorted() && environment.pins.contains(&"LC_ALL=C".to_owned()));
    }
}
