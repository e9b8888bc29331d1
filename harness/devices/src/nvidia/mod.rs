//! NVIDIA GPUs, through the driver's management library (NVML), which is opened when needed.

mod cards;
mod checks;
mod clocks;
mod contexts;
mod facts;
mod listed;
mod telemetry;
mod vendor;

pub(crate) use cards::names;
pub use vendor::Nvidia;
