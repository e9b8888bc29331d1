//! `environment.json`: the machine as it is now.

use std::fs;

use edgemaxx_contract::contest::{Device, DeviceKind};
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::format::Document as _;
use edgemaxx_engine::{Pins, SandboxStatus};

/// The machine, the pins, and what is unfit about them for `device`.
pub fn environment(device: &Device, sandbox: &SandboxStatus, pins: &Pins) -> Environment {
    let gpus = gpu_names();
    let unfit = unfit(device, &gpus, sandbox);
    Environment {
        format: Environment::expected_format(),
        edgemaxx: env!("CARGO_PKG_VERSION").to_owned(),
        os: os(),
        cpu: cpu(),
        cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        memory_bytes: memory_bytes(),
        gpus,
        sandbox: sandbox.to_string(),
        protocol_ns: None,
        pins: pins.lines(),
        unfit,
    }
}

/// Why results of this machine must not set weights, in words; empty: nothing found.
pub fn unfit(device: &Device, gpus: &[String], sandbox: &SandboxStatus) -> Vec<String> {
    let mut reasons = Vec::new();
    if device.kind == DeviceKind::Cuda && gpus.is_empty() {
        reasons.push("the contest is for an NVIDIA GPU, and the driver shows none here".to_owned());
    }
    if let (DeviceKind::Cuda, Some(name)) = (device.kind, &device.name)
        && !gpus.is_empty()
        && !gpus.contains(name)
    {
        reasons.push(format!("the contest is for {name:?}; here is {}", gpus.join(", ")));
    }
    if device.kind == DeviceKind::Metal && !cfg!(target_os = "macos") {
        reasons.push("the contest is for an Apple GPU, and this is not macOS".to_owned());
    }
    if !sandbox.is_sandboxed() {
        reasons.push(format!("engines are not confined ({sandbox})"));
    }
    reasons
}

/// GPUs as NVIDIA's kernel driver names them, by bus.
pub fn gpu_names() -> Vec<String> {
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
    use edgemaxx_engine::ProcessLimit;

    fn device(kind: DeviceKind, name: Option<&str>) -> Device {
        Device { kind, name: name.map(str::to_owned) }
    }

    #[test]
    fn a_wrong_device_and_a_missing_sandbox_are_unfit() {
        let bwrap = SandboxStatus::Bubblewrap {
            program: "/usr/bin/bwrap".into(),
            disable_userns: true,
            processes: ProcessLimit::User,
        };
        let none = SandboxStatus::Unsandboxed { reason: "bwrap not found".to_owned() };
        let rtx = "NVIDIA GeForce RTX 4090".to_owned();
        assert!(unfit(&device(DeviceKind::Cpu, None), &[], &bwrap).is_empty());
        assert_eq!(unfit(&device(DeviceKind::Cpu, None), &[], &none).len(), 1);
        let wants = device(DeviceKind::Cuda, Some(&rtx));
        assert!(unfit(&wants, std::slice::from_ref(&rtx), &bwrap).is_empty());
        assert_eq!(unfit(&wants, &[], &bwrap).len(), 1);
        assert_eq!(unfit(&wants, &["NVIDIA H200".to_owned()], &bwrap).len(), 1);
    }

    #[test]
    fn this_machine_has_a_processor_and_memory() {
        let sandbox = SandboxStatus::Unsandboxed { reason: "not asked".to_owned() };
        let pins = Pins { threads: 2, gpu: None };
        let environment = environment(&device(DeviceKind::Cpu, None), &sandbox, &pins);
        assert!(environment.cpus > 0 && !environment.cpu.is_empty() && !environment.os.is_empty());
        assert!(environment.memory_bytes > 1 << 20 || !cfg!(target_os = "linux"));
        assert!(environment.pins.is_sorted() && environment.pins.contains(&"LC_ALL=C".to_owned()));
    }
}
