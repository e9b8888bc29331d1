//! `telemetry.jsonl`: what the machine did while a plan was executed.

mod attempt;
mod log;
mod record;

pub use attempt::{AttemptTelemetry, EnergySource};
pub use log::{Execution, TelemetryError, TelemetryLog};
pub use record::{
    GpuDevice, GpuProcess, GpuReading, HostReading, Owner, Reading, TelemetryEnd, TelemetryHeader,
    TelemetryRecord, TelemetryStart, Throttle, TreeReading,
};
