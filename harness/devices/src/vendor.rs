//! What a kind of device can tell and be told, and the one table of them.

use std::path::PathBuf;
use std::time::Duration;

use edgemaxx_contract::contest::{Device, DeviceKind};
use edgemaxx_contract::environment::Card;

use crate::apple::Apple;
use crate::clocks::Clocks;
use crate::cpu::Cpu;
use crate::nvidia::Nvidia;
use crate::preflight::Check;
use crate::telemetry::Source;

/// A kind of device. What a kind has nothing of, it leaves as it is here.
pub trait Vendor: Sync {
    /// Which.
    fn kind(&self) -> DeviceKind;

    /// What would have to be made before anything computes on it; `None`: something does.
    fn lacks(&self) -> Option<&'static str> {
        None
    }

    /// Cards that its driver shows, by bus; none where the device is the machine itself.
    ///
    /// # Errors
    /// In words: why the driver cannot be asked.
    fn cards(&self) -> Result<Vec<Card>, String> {
        Ok(Vec::new())
    }

    /// Variables for every engine, which sees this card and no other, or none at all.
    fn variables(&self, seen: Option<&Card>) -> Vec<(&'static str, String)> {
        let _ = seen;
        Vec::new()
    }

    /// Device nodes by which an engine reaches a card.
    fn nodes(&self, card: &Card) -> Vec<PathBuf> {
        let _ = card;
        Vec::new()
    }

    /// Whether the device is what is asked for, and in what state: `found` is the card, or why there is none.
    fn examine(&self, wanted: &Device, found: Result<Option<&Card>, &str>) -> Vec<Check>;

    /// What a card is watched by.
    ///
    /// # Errors
    /// In words: why it cannot be watched.
    fn source(&self, card: &Card) -> Result<Box<dyn Source>, String> {
        Err(format!("{}: nothing watches such cards", card.name))
    }

    /// Time between two readings.
    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// What changes its clocks, where something can.
    fn clocks(&self) -> Option<Box<dyn Clocks>> {
        None
    }

    /// The clock that a card can hold, MHz.
    ///
    /// # Errors
    /// In words: why it is not known.
    fn steady_clock_mhz(&self, card: &Card) -> Result<u32, String> {
        Err(format!("{}: nothing tells its clocks", card.name))
    }
}

/// Every kind of device.
pub const VENDORS: &[&dyn Vendor] = &[&Cpu, &Nvidia, &Apple];

/// The vendor of a kind of device.
pub fn vendor(kind: DeviceKind) -> &'static dyn Vendor {
    match kind {
        DeviceKind::Cpu => &Cpu,
        DeviceKind::Cuda => &Nvidia,
        DeviceKind::Metal => &Apple,
    }
}

/// Refuses a kind of device that nothing computes on.
///
/// # Errors
/// What would be needed, in words.
pub fn computed_on(kind: DeviceKind) -> Result<(), &'static str> {
    vendor(kind).lacks().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_vendor_and_is_listed_once() {
        let kinds = [DeviceKind::Cpu, DeviceKind::Cuda, DeviceKind::Metal];
        assert!(kinds.iter().all(|kind| vendor(*kind).kind() == *kind));
        assert_eq!(VENDORS.iter().map(|vendor| vendor.kind()).collect::<Vec<_>>(), kinds);
    }

    #[test]
    fn what_nothing_computes_on_is_refused_with_what_is_missing() {
        assert_eq!(computed_on(DeviceKind::Cpu), Ok(()));
        assert_eq!(computed_on(DeviceKind::Cuda), Ok(()));
        assert!(computed_on(DeviceKind::Metal).unwrap_err().contains("devices/src/apple"));
    }
}
