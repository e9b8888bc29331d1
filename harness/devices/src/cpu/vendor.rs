//! The processor as a device.

use std::path::Path;

use edgemaxx_contract::contest::{Device, DeviceKind};
use edgemaxx_contract::environment::Card;

use super::{checks, facts};
use crate::check::Check;
use crate::vendor::Vendor;

/// The processor.
#[derive(Debug, Clone, Copy)]
pub struct Cpu;

impl Vendor for Cpu {
    fn kind(&self) -> DeviceKind {
        DeviceKind::Cpu
    }

    fn examine(&self, _: &Device, _: Result<Option<&Card>, &str>) -> Vec<Check> {
        const WHY: &str = "a contest is won on its own device";
        vec![Check::fit("device", WHY, "the processor, as the contest asks")]
    }
}

/// The machine, whatever device a contest is for.
pub(crate) fn examine(threads: u32, folder: &Path) -> Vec<Check> {
    checks::checks(threads, &facts::gather(folder))
}
