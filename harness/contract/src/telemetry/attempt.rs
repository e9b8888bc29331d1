//! What telemetry says of one request.

/// How the energy of a request was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EnergySource {
    /// The GPU's own counter.
    Counter,
    /// The power it drew, integrated.
    Power,
}

impl EnergySource {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Counter => "energy counter",
            Self::Power => "power, integrated",
        }
    }
}

/// What telemetry says of one request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AttemptTelemetry {
    /// Energy that the GPU drew meanwhile, joules.
    pub energy_j: Option<(f64, EnergySource)>,
    /// Mean clock of the GPU's multiprocessors meanwhile, MHz.
    pub gpu_mhz: Option<f64>,
    /// Mean frequency of the processors meanwhile, MHz.
    pub cpu_mhz: Option<f64>,
    /// The GPU was slowed down meanwhile, by heat or for lack of supply.
    pub throttled: bool,
}
