//! Apple GPUs as devices.

use edgemaxx_contract::contest::{Device, DeviceKind};
use edgemaxx_contract::environment::Card;

use crate::check::{Check, Fitness};
use crate::vendor::Vendor;

/// What is missing, and where it would go.
const LACKS: &str = "nothing computes on Apple GPUs yet: it takes the built-in engine's kernels for Metal \
                     (harness/candle), the facts, clocks and telemetry of such a GPU (harness/devices/src/apple), and a \
                     confinement of engines on macOS";

/// Apple GPUs.
#[derive(Debug, Clone, Copy)]
pub struct Apple;

impl Vendor for Apple {
    fn kind(&self) -> DeviceKind {
        DeviceKind::Metal
    }

    fn lacks(&self) -> Option<&'static str> {
        Some(LACKS)
    }

    fn examine(&self, _: &Device, _: Result<Option<&Card>, &str>) -> Vec<Check> {
        let here = if cfg!(target_os = "macos") { "an Apple GPU" } else { "this is not macOS" };
        vec![Check::fit("device", "a contest is won on its own device", here).but(Fitness::Unfit, LACKS)]
    }
}
