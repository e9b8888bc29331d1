//! Who has something on a card, as the driver lists it: by whatever way, not by CUDA alone.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use edgemaxx_contract::environment::Card;
use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::cards::open;

/// Processes with something on a card.
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
pub(super) fn listed(card: &Card) -> Result<Listed, String> {
    static NVML: OnceLock<Nvml> = OnceLock::new();
    let nvml = match NVML.get() {
        Some(nvml) => nvml,
        None => {
            let opened = Nvml::init().map_err(|error| error.to_string())?;
            NVML.get_or_init(|| opened)
        }
    };
    let device = open(nvml, card)?;
    let computing = device.running_compute_processes().map_err(|error| error.to_string())?;
    let drawing = match device.running_graphics_processes() {
        // A card that cannot draw.
        Err(NvmlError::NotSupported) => Vec::new(),
        found => found.map_err(|error| error.to_string())?,
    };
    Ok(Listed {
        computing: computing.iter().map(|process| process.pid).collect(),
        drawing: drawing.iter().map(|process| process.pid).collect(),
    })
}
