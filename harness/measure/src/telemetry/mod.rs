//! Telemetry: a thread of its own reads the machine while a plan is executed and appends what it
//! finds to `telemetry.jsonl`. It never touches `samples.jsonl`; the two meet in `analyze`.
//!
//! [`Recorder`] is the thread, [`Source`]s read: [`NvmlSource`] the GPU, [`HostSource`] the
//! processors, [`TreeSource`] the engines' processes, [`MockSource`] nothing at all.

mod file;
mod host;
mod mock;
mod nvml;
mod recorder;
mod source;
mod tree;

pub use file::TELEMETRY_FILE;
pub use host::HostSource;
pub use mock::MockSource;
pub use nvml::NvmlSource;
pub(crate) use nvml::reasons as throttle_reasons;
pub use recorder::{NoTelemetry, Recorder, Settings, Telemetry};
pub use source::{Moment, Source, Watched};
pub use tree::TreeSource;
