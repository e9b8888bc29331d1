//! What one GPU does, again and again.

use std::collections::BTreeMap;

use edgemaxx_contract::environment::Card;
use edgemaxx_contract::telemetry::{GpuDevice, GpuProcess, GpuReading, Owner, Reading, Throttle};
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::{Device, Nvml};

use super::cards::open;
use crate::cpu::tree_usage;
use crate::source::{Moment, Source};

/// Processes are asked for once in so many readings.
const PROCESSES_EVERY: u64 = 4;

/// Reads one GPU.
pub(super) struct NvmlSource {
    nvml: Nvml,
    card: Card,
    device: GpuDevice,
    /// The driver's time of the last use by a process that was seen, microseconds.
    seen_us: u64,
}

impl NvmlSource {
    /// Opens a card.
    ///
    /// # Errors
    /// In words: why it cannot be watched.
    pub(super) fn open(card: &Card) -> Result<Self, String> {
        let nvml = Nvml::init().map_err(|error| error.to_string())?;
        let device = {
            let device = open(&nvml, card)?;
            GpuDevice {
                index: card.index,
                name: card.name.clone(),
                driver: nvml.sys_driver_version().unwrap_or_default(),
                memory_bytes: device.memory_info().map_or(0, |memory| memory.total),
                power_limit_mw: device.enforced_power_limit().ok(),
            }
        };
        Ok(Self { nvml, card: card.clone(), device, seen_us: 0 })
    }
}

impl Source for NvmlSource {
    fn devices(&self) -> Vec<GpuDevice> {
        vec![self.device.clone()]
    }

    fn read(&mut self, moment: &Moment<'_>, into: &mut Vec<Reading>) {
        let Ok(device) = open(&self.nvml, &self.card) else { return };
        let energy_mj = device.total_energy_consumption().ok();
        // Of all values, energy is the one whose moment matters most.
        let at_ns = (moment.now_ns)();
        let mut reading = GpuReading {
            at_ns,
            device: self.device.index,
            sm_mhz: device.clock_info(Clock::SM).ok(),
            memory_mhz: device.clock_info(Clock::Memory).ok(),
            power_mw: device.power_usage().ok(),
            energy_mj,
            temperature_c: device.temperature(TemperatureSensor::Gpu).ok(),
            busy_percent: device.utilization_rates().ok().map(|rates| rates.gpu),
            memory_used_bytes: device.memory_info().ok().map(|memory| memory.used),
            throttle: device.current_throttle_reasons().map(reasons).unwrap_or_default(),
            processes: None,
        };
        if moment.turn.is_multiple_of(PROCESSES_EVERY) {
            let (processes, seen_us) = processes(&device, moment, self.seen_us);
            (reading.processes, self.seen_us) = (processes, seen_us);
        }
        into.push(Reading::Gpu(reading));
    }
}

/// Memory and work on the GPU by owner, in the order of [`Owner`]; and the newest moment seen.
fn processes(device: &Device<'_>, moment: &Moment<'_>, seen_us: u64) -> (Option<Vec<GpuProcess>>, u64) {
    let Ok(running) = device.running_compute_processes() else { return (None, seen_us) };
    let owned: Vec<(Owner, Vec<u32>)> = moment
        .watched
        .iter()
        .filter_map(|watched| Some((watched.side.into(), tree_usage(watched.root)?.processes)))
        .collect();
    let owner = |pid: u32| {
        owned.iter().find(|(_, pids)| pids.contains(&pid)).map_or(Owner::Other, |(owner, _)| *owner)
    };
    let mut found: BTreeMap<Owner, GpuProcess> = BTreeMap::new();
    let entry = |owner| GpuProcess { owner, memory_bytes: None, busy_percent: None };
    for process in running {
        let owner = owner(process.pid);
        let total = found.entry(owner).or_insert_with(|| entry(owner));
        if let UsedGpuMemory::Used(bytes) = process.used_gpu_memory {
            total.memory_bytes = Some(total.memory_bytes.unwrap_or(0) + bytes);
        }
    }
    // Several moments since the last time: each process's mean, then the sum over processes.
    let used = device.process_utilization_stats(seen_us).unwrap_or_default();
    let mut by_process: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    let mut newest = seen_us;
    for sample in used.iter().filter(|sample| sample.timestamp > seen_us && sample.sm_util <= 100) {
        let (sum, count) = by_process.entry(sample.pid).or_default();
        (*sum, *count) = (*sum + sample.sm_util, *count + 1);
        newest = newest.max(sample.timestamp);
    }
    for (pid, (sum, count)) in by_process {
        let owner = owner(pid);
        let total = found.entry(owner).or_insert_with(|| entry(owner));
        total.busy_percent = Some((total.busy_percent.unwrap_or(0) + sum / count).min(100));
    }
    (Some(found.into_values().collect()), newest)
}

/// NVML's bits by name, in the order of [`Throttle`].
pub(super) fn reasons(bits: ThrottleReasons) -> Vec<Throttle> {
    let known = [
        (ThrottleReasons::GPU_IDLE, Throttle::GpuIdle),
        (ThrottleReasons::APPLICATIONS_CLOCKS_SETTING, Throttle::ApplicationsClocksSetting),
        (ThrottleReasons::SW_POWER_CAP, Throttle::SwPowerCap),
        (ThrottleReasons::HW_SLOWDOWN, Throttle::HwSlowdown),
        (ThrottleReasons::SYNC_BOOST, Throttle::SyncBoost),
        (ThrottleReasons::SW_THERMAL_SLOWDOWN, Throttle::SwThermalSlowdown),
        (ThrottleReasons::HW_THERMAL_SLOWDOWN, Throttle::HwThermalSlowdown),
        (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, Throttle::HwPowerBrakeSlowdown),
        (ThrottleReasons::DISPLAY_CLOCK_SETTING, Throttle::DisplayClockSetting),
    ];
    let rest = known.iter().fold(bits, |rest, (bit, _)| rest.difference(*bit));
    let named = known.iter().filter(|(bit, _)| bits.contains(*bit)).map(|(_, name)| *name);
    named.chain((!rest.is_empty()).then_some(Throttle::Unknown)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_names() {
        assert_eq!(reasons(ThrottleReasons::empty()), []);
        let two = ThrottleReasons::GPU_IDLE | ThrottleReasons::HW_THERMAL_SLOWDOWN;
        assert_eq!(reasons(two), [Throttle::GpuIdle, Throttle::HwThermalSlowdown]);
        let foreign = ThrottleReasons::from_bits_retain(1 << 40) | ThrottleReasons::SW_POWER_CAP;
        assert_eq!(reasons(foreign), [Throttle::SwPowerCap, Throttle::Unknown]);
    }

    #[test]
    fn a_machine_without_the_library_says_so() {
        // With a driver there is nothing to see here; NVML numbers GPUs from 0.
        let kind = edgemaxx_contract::contest::DeviceKind::Cuda;
        let card = Card { kind, index: u32::MAX, name: String::new(), uuid: None, driver: None, node: None };
        let error = NvmlSource::open(&card).err().expect("no such GPU");
        assert!(!error.is_empty());
    }
}
