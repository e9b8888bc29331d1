//! Preflight: is this machine what the contest asks for, and quiet enough to be believed?

use std::path::Path;

use edgemaxx_contract::contest::Device;

use crate::check::Check;
use crate::choose::Chosen;
use crate::cpu;
use crate::list::vendor;

/// What a contest asks of a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The device.
    pub device: Device,
    /// Threads that an engine may compute with.
    pub threads: u32,
}

/// Looks at the device that was chosen and at the machine around it; `folder` is where the run is written.
pub fn examine(wanted: &Wanted, chosen: &Chosen, folder: &Path) -> Vec<Check> {
    let mut checks = vendor(wanted.device.kind).examine(&wanted.device, chosen.found());
    checks.extend(cpu::examine(wanted.threads, folder));
    checks
}
