//! A source that reads nothing: what it tells is given.

use edgemaxx_contract::telemetry::{GpuDevice, GpuReading, Reading};

use crate::source::{Moment, Source};

/// Tells of one GPU what a function makes of the reading's number and time.
pub struct MockSource {
    device: GpuDevice,
    tell: Box<dyn FnMut(u64, u64) -> GpuReading + Send>,
}

impl MockSource {
    /// A GPU that `tell(turn, at_ns)` describes.
    pub fn new(name: &str, tell: impl FnMut(u64, u64) -> GpuReading + Send + 'static) -> Self {
        let device = GpuDevice {
            index: 0,
            name: name.to_owned(),
            driver: "0".to_owned(),
            memory_bytes: 24 << 30,
            power_limit_mw: None,
        };
        Self { device, tell: Box::new(tell) }
    }
}

impl Source for MockSource {
    fn devices(&self) -> Vec<GpuDevice> {
        vec![self.device.clone()]
    }

    fn read(&mut self, moment: &Moment<'_>, into: &mut Vec<Reading>) {
        into.push(Reading::Gpu((self.tell)(moment.turn, (moment.now_ns)())));
    }
}
