//! Who has something on a card, as the driver lists it: by whatever way, not by CUDA alone.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

/// Processes with something on any card.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// That compute there: by CUDA, OpenCL, Vulkan.
    pub(super) computing: BTreeSet<u32>,
    /// That could draw: by Vulkan, OpenGL.
    pub(super) drawing: BTreeSet<u32>,
}

/// The driver's lists of now.
///
/// # Errors
/// In words: why the driver cannot be asked.
pub(super) fn listed() -> Result<Listed, String> {
    static NVML: OnceLock<Nvml> = OnceLock::new();
    let nvml = match NVML.get() {
        Some(nvml) => nvml,
        None => {
            let opened = Nvml::init().map_err(|error| error.to_string())?;
            NVML.get_or_init(|| opened)
        }
    };
    read(nvml).map_err(|error| error.to_string())
}

fn read(nvml: &Nvml) -> Result<Listed, NvmlError> {
    let mut found = Listed::default();
    for index in 0..nvml.device_count()? {
        let device = nvml.device_by_index(index)?;
        found.computing.extend(device.running_compute_processes()?.iter().map(|process| process.pid));
        found.drawing.extend(device.running_graphics_processes()?.iter().map(|process| process.pid));
    }
    Ok(found)
}
