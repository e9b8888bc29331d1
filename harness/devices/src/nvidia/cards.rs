//! Which cards there are.

use std::fs;

use edgemaxx_contract::contest::DeviceKind;
use edgemaxx_contract::environment::Card;
use nvml_wrapper::{Device, Nvml};

use crate::cpu::field;

/// Every card that the driver shows, by PCI bus.
///
/// # Errors
/// In words: why the driver cannot be asked.
pub(super) fn cards() -> Result<Vec<Card>, String> {
    let nvml = Nvml::init().map_err(|error| error.to_string())?;
    let driver = nvml.sys_driver_version().ok();
    let count = nvml.device_count().map_err(|error| error.to_string())?;
    (0..count)
        .map(|index| {
            let of = |error| format!("GPU {index}: {error}");
            let device = nvml.device_by_index(index).map_err(of)?;
            Ok(Card {
                kind: DeviceKind::Cuda,
                index,
                name: device.name().map_err(of)?,
                uuid: device.uuid().ok(),
                driver: driver.clone(),
                // A card's node has a number of its own.
                node: device.minor_number().ok().map(|minor| format!("/dev/nvidia{minor}")),
            })
        })
        .collect()
}

/// Opens a card by its own name, or by its number where it has none.
///
/// # Errors
/// In words: why the driver does not.
pub(super) fn open<'a>(nvml: &'a Nvml, card: &Card) -> Result<Device<'a>, String> {
    match &card.uuid {
        Some(uuid) => nvml.device_by_uuid(uuid.as_str()),
        None => nvml.device_by_index(card.index),
    }
    .map_err(|error| format!("GPU {}: {error}", card.index))
}

/// The names of all cards, by bus.
pub(crate) fn names() -> Vec<String> {
    let names = names_by_kernel();
    // Some containers show the library and not the kernel's files.
    if names.is_empty() {
        cards().unwrap_or_default().into_iter().map(|card| card.name).collect()
    } else {
        names
    }
}

fn names_by_kernel() -> Vec<String> {
    let mut folders: Vec<_> = fs::read_dir("/proc/driver/nvidia/gpus")
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    folders.sort();
    let name = |text: String| field(&text, "Model").map(str::to_owned);
    folders.iter().filter_map(|folder| name(fs::read_to_string(folder.join("information")).ok()?)).collect()
}
