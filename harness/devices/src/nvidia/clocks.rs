//! Locking and resetting clocks through the driver.

use edgemaxx_contract::environment::Card;
use nvml_wrapper::Nvml;
use nvml_wrapper::enums::device::GpuLockedClocksSetting;

use super::cards::open;
use crate::vendor::Clocks;

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
