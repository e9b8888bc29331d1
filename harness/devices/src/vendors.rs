//! The one table of vendors.

use edgemaxx_contract::contest::{Device, DeviceKind};

use crate::apple::Apple;
use crate::cpu::Cpu;
use crate::nvidia::Nvidia;
use crate::vendor::Vendor;

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

/// What is in this machine: a card of any name where there is one, else the processor.
pub fn any_device() -> Device {
    let there = VENDORS.iter().find(|vendor| vendor.cards().is_ok_and(|cards| !cards.is_empty()));
    let kind = there.map_or(DeviceKind::Cpu, |vendor| vendor.kind());
    Device { kind, name: None, free_memory_mib: None, driver: None }
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
