//! `telemetry.jsonl`: what the machine did while a plan was executed.

mod log;
mod record;

pub use log::{Execution, TelemetryError, TelemetryLog};
pub use record::{
    GpuDevice, GpuProcess, GpuReading, HostReading, Owner, Reading, TelemetryEnd, TelemetryHeader,
    TelemetryRecord, TelemetryStart, Throttle, TreeReading,
};
