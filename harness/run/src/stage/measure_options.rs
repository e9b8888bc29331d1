//! How a run is measured: what is asked for beside its plan.

use edgemaxx_devices::Ask;

/// How a run is measured.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Write no telemetry.jsonl: no energy, GPU memory or clock frequencies in the report.
    pub no_telemetry: bool,
    /// Measure although this machine is not fit for the contest; no weights can come of it.
    pub allow_unfit: bool,
    /// The card that engines see.
    pub device: Ask,
    /// The card of each lane, where the run has several.
    pub devices: &'a [u32],
    /// Lock the card's clocks for this run, and put them back afterwards; takes root's rights.
    pub lock_clocks: bool,
    /// Begin no session after this moment, seconds since 1970-01-01 UTC.
    pub deadline: Option<u64>,
    /// The command that would go on after an interruption.
    pub resume: &'a str,
}

impl<'a> Options<'a> {
    /// On any machine, and the first of its cards that will do; what is unfit about it is recorded.
    pub fn anywhere(resume: &'a str) -> Self {
        let (device, deadline) = (Ask::First, None);
        Self {
            no_telemetry: false,
            allow_unfit: true,
            device,
            devices: &[],
            lock_clocks: false,
            deadline,
            resume,
        }
    }
}
