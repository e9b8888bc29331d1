//! What is found on this machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use edgemaxx_contract::telemetry::Throttle;
use edgemaxx_engine::SandboxStatus;
use nvml_wrapper::enum_wrappers::device::{Clock, ComputeMode, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::{Device, Nvml};

use crate::telemetry::throttle_reasons;

/// What is found. `None`: the system does not tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The GPU that engines would use, or why the driver cannot be asked; `None`: not wanted.
    pub gpu: Option<Result<GpuFacts, String>>,
    /// How engines are confined.
    pub sandbox: SandboxStatus,
    /// Frequency governors of the processors, each once, sorted.
    pub governors: Vec<String>,
    /// Processors that this process may use.
    pub cpus: u32,
    /// Load over the last minute.
    pub load: Option<f64>,
    /// Memory that programs can still get, bytes.
    pub memory_free_bytes: Option<u64>,
    /// Room on the disk for the run, bytes.
    pub disk_free_bytes: Option<u64>,
}

/// A GPU as its driver describes it. `None`: it does not tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GpuFacts {
    /// Number by PCI bus, from 0.
    pub index: u32,
    /// As the driver names it.
    pub name: String,
    /// The driver's version.
    pub driver: String,
    /// The newest CUDA that the driver can run: major, minor.
    pub cuda: Option<(i32, i32)>,
    /// `default`, `exclusive process` or `prohibited`.
    pub compute_mode: Option<&'static str>,
    /// Whether memory corrects errors.
    pub ecc: Option<bool>,
    /// Power limit now and by default, watts.
    pub power_limit_w: Option<(f64, f64)>,
    /// Clock of the multiprocessors now and at most, MHz.
    pub clock_mhz: Option<(u32, u32)>,
    /// Clock for applications by default: what it can hold, MHz.
    pub default_clock_mhz: Option<u32>,
    /// Temperature, and from where on it slows down, °C.
    pub temperature_c: Option<u32>,
    /// Why its clocks are lower than they could be.
    pub throttle: Vec<Throttle>,
    /// Memory in all and free, bytes.
    pub memory_bytes: Option<(u64, u64)>,
    /// Processes that use it: number, and memory held where it is known, bytes.
    pub processes: Vec<(u32, Option<u64>)>,
    /// Whether the driver stays loaded between programs.
    pub persistence: Option<bool>,
    /// Share of the last moments in which anything ran on it, percent.
    pub busy_percent: Option<u32>,
}

/// Looks at this machine; at the GPU of this number by PCI bus, if one is wanted. `folder` is where
/// runs are written.
pub fn gather(gpu: Option<u32>, sandbox: &SandboxStatus, folder: &Path) -> Facts {
    let read = |path: &str| fs::read_to_string(path).ok();
    let memory = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    });
    Facts {
        gpu: gpu.map(gpu_facts),
        sandbox: sandbox.clone(),
        governors: governors(),
        cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        load: read("/proc/loadavg").and_then(|text| text.split_ascii_whitespace().next()?.parse().ok()),
        memory_free_bytes: memory,
        disk_free_bytes: edgemaxx_engine::free_bytes(folder),
    }
}

fn governors() -> Vec<String> {
    let folders = fs::read_dir("/sys/devices/system/cpu").into_iter().flatten().flatten();
    let governor = |folder: fs::DirEntry| {
        fs::read_to_string(folder.path().join("cpufreq/scaling_governor"))
            .ok()
            .map(|text| text.trim().to_owned())
    };
    folders.filter_map(governor).collect::<BTreeSet<_>>().into_iter().collect()
}

fn gpu_facts(index: u32) -> Result<GpuFacts, String> {
    let nvml = Nvml::init().map_err(|error| error.to_string())?;
    let device = nvml.device_by_index(index).map_err(|error| format!("GPU {index}: {error}"))?;
    let watts = |mw: u32| f64::from(mw) / 1000.0;
    let mode = |mode| match mode {
        ComputeMode::Default => "default",
        ComputeMode::ExclusiveProcess | ComputeMode::ExclusiveThread => "exclusive process",
        ComputeMode::Prohibited => "prohibited",
    };
    let memory_of = |memory| match memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    };
    Ok(GpuFacts {
        index,
        name: device.name().map_err(|error| format!("GPU {index}: its name: {error}"))?,
        driver: nvml.sys_driver_version().unwrap_or_default(),
        cuda: nvml.sys_cuda_driver_version().ok().map(|version| (version / 1000, version % 1000 / 10)),
        compute_mode: device.compute_mode().ok().map(mode),
        ecc: device.is_ecc_enabled().ok().map(|state| state.currently_enabled),
        power_limit_w: device
            .enforced_power_limit()
            .ok()
            .zip(device.power_management_limit_default().ok())
            .map(|(now, default)| (watts(now), watts(default))),
        clock_mhz: device.clock_info(Clock::SM).ok().zip(device.max_clock_info(Clock::SM).ok()),
        default_clock_mhz: device.default_applications_clock(Clock::Graphics).ok(),
        temperature_c: device.temperature(TemperatureSensor::Gpu).ok(),
        throttle: device.current_throttle_reasons().map(throttle_reasons).unwrap_or_default(),
        memory_bytes: device.memory_info().ok().map(|memory| (memory.total, memory.free)),
        processes: device
            .running_compute_processes()
            .unwrap_or_default()
            .into_iter()
            .map(|process| (process.pid, memory_of(process.used_gpu_memory)))
            .collect(),
        persistence: persistence(&device),
        busy_percent: device.utilization_rates().ok().map(|rates| rates.gpu),
    })
}

#[cfg(target_os = "linux")]
fn persistence(device: &Device<'_>) -> Option<bool> {
    device.is_in_persistent_mode().ok()
}

/// Elsewhere drivers know no such thing.
#[cfg(not(target_os = "linux"))]
fn persistence(_: &Device<'_>) -> Option<bool> {
    None
}
