//! Locking and resetting clocks through the driver, and to what.

use edgemaxx_contract::environment::Card;
use nvml_wrapper::Nvml;
use nvml_wrapper::enums::device::GpuLockedClocksSetting;

use super::cards::open;
use super::facts::GpuFacts;
use crate::vendor::Clocks;

/// To what clocks are locked unless somebody knows better: the default, or the highest where the driver tells none.
pub(super) fn steady_mhz(gpu: &GpuFacts) -> Option<u32> {
    gpu.default_clock_mhz.or(gpu.clock_mhz.map(|(_, most)| most))
}

/// The driver's management library.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NvmlClocks;

impl Clocks for NvmlClocks {
    fn lock(&mut self, card: &Card, mhz: u32) -> Result<(), String> {
        let setting = GpuLockedClocksSetting::Numeric { min_clock_mhz: mhz, max_clock_mhz: mhz };
        let nvml = Nvml::init().map_err(|error| error.to_string())?;
        open(&nvml, card)?.set_gpu_locked_clocks(setting).map_err(|error| error.to_string())
    }

    fn reset(&mut self, card: &Card) -> Result<(), String> {
        let nvml = Nvml::init().map_err(|error| error.to_string())?;
        open(&nvml, card)?.reset_gpu_locked_clocks().map_err(|error| error.to_string())
    }
}
