//! `environment.json`: the machine as it is now.

use std::fs;

use edgemaxx_contract::environment::{Confinement, Environment};
use edgemaxx_contract::format::Document as _;
use edgemaxx_engine::{Pins, SandboxStatus};

/// The machine, the pins, and what preflight found that keeps weights from this run.
pub fn environment(sandbox: &SandboxStatus, pins: &Pins, unfit: Vec<String>) -> Environment {
    Environment {
        format: Environment::expected_format(),
        edgemaxx: env!("CARGO_PKG_VERSION").to_owned(),
        os: os(),
        cpu: cpu(),
        cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        memory_bytes: memory_bytes(),
        gpus: gpu_names(),
        sandbox: Confinement::from(sandbox),
        protocol_ns: None,
        pins: pins.lines(),
        unfit,
    }
}

/// GPUs as NVIDIA's driver names them, by bus.
pub fn gpu_names() -> Vec<String> {
    let names = kernel_gpu_names();
    // Some containers show the library and not the kernel's files.
    if names.is_empty() { library_gpu_names() } else { names }
}

fn library_gpu_names() -> Vec<String> {
    let Ok(nvml) = nvml_wrapper::Nvml::init() else { return Vec::new() };
    let count = nvml.device_count().unwrap_or(0);
    (0..count).filter_map(|index| nvml.device_by_index(index).ok()?.name().ok()).collect()
}

fn kernel_gpu_names() -> Vec<String> {
    let mut folders: Vec<_> = fs::read_dir("/proc/driver/nvidia/gpus")
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    folders.sort();
    folders
        .iter()
        .filter_map(|folder| value(&fs::read_to_string(folder.join("information")).ok()?, "Model"))
        .collect()
}

/// The value of the first line `name: value`.
fn value(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
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
    value(&info, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn memory_bytes() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = value(&info, "MemTotal").and_then(|text| text.strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn this_machine_has_a_processor_and_memory() {
        let sandbox = SandboxStatus::Unsandboxed { reason: "not asked".to_owned() };
        let pins = Pins { threads: 2, gpu: None };
        let environment = environment(&sandbox, &pins, vec!["a reason".to_owned()]);
        assert_eq!(environment.unfit, ["a reason"]);
        assert!(environment.cpus > 0 && !environment.cpu.is_empty() && !environment.os.is_empty());
        assert!(environment.memory_bytes > 1 << 20 || !cfg!(target_os = "linux"));
        assert!(environment.pins.is_sorted() && environment.pins.contains(&"LC_ALL=C".to_owned()));
    }
}
