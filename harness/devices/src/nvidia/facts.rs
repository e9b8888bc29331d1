//! What NVIDIA's driver tells of a GPU.

use edgemaxx_contract::environment::Card;
use edgemaxx_contract::telemetry::Throttle;
use nvml_wrapper::enum_wrappers::device::{Clock, ComputeMode, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::{Device, Nvml};

use super::cards::open;
use super::telemetry::reasons;

/// A GPU as its driver describes it. `None`: it does not tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct GpuFacts {
    /// Number by PCI bus, from 0.
    pub(super) index: u32,
    /// As the driver names it.
    pub(super) name: String,
    /// The driver's version.
    pub(super) driver: String,
    /// The newest CUDA that the driver can run: major, minor.
    pub(super) cuda: Option<(i32, i32)>,
    /// `default`, `exclusive process` or `prohibited`.
    pub(super) compute_mode: Option<&'static str>,
    /// Whether memory corrects errors.
    pub(super) ecc: Option<bool>,
    /// Power limit now and by default, watts.
    pub(super) power_limit_w: Option<(f64, f64)>,
    /// Clock of the multiprocessors now and at most, MHz.
    pub(super) clock_mhz: Option<(u32, u32)>,
    /// Clock for applications by default: what it can hold, MHz.
    pub(super) default_clock_mhz: Option<u32>,
    /// Temperature, and from where on it slows down, °C.
    pub(super) temperature_c: Option<u32>,
    /// Why its clocks are lower than they could be.
    pub(super) throttle: Vec<Throttle>,
    /// Memory in all and free, bytes.
    pub(super) memory_bytes: Option<(u64, u64)>,
    /// Processes that use it: number, and memory held where it is known, bytes.
    pub(super) processes: Vec<(u32, Option<u64>)>,
    /// Whether the driver stays loaded between programs.
    pub(super) persistence: Option<bool>,
    /// Share of the last moments in which anything ran on it, percent.
    pub(super) busy_percent: Option<u32>,
}

/// Asks the driver about a card.
///
/// # Errors
/// In words: why it cannot be asked.
pub(super) fn facts(card: &Card) -> Result<GpuFacts, String> {
    let nvml = Nvml::init().map_err(|error| error.to_string())?;
    let device = open(&nvml, card)?;
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
        index: card.index,
        name: card.name.clone(),
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
        throttle: device.current_throttle_reasons().map(reasons).unwrap_or_default(),
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
